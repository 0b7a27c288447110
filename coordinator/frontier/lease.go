package frontier

import (
	"slices"
	"strings"

	"salvor"
	"salvor/api"
)

// register opens a session and ends the worker's earlier ones.
func (t *tx) register(c *Register) error {
	if s := t.m.sessions[c.Session]; s != nil {
		if s.worker == c.Worker {
			return nil
		}
		return salvor.Errorf(salvor.Conflict, "session %d is another worker's", c.Session).WithHint("Draw another number.")
	}
	for _, id := range t.m.sessionIDs() {
		if s := t.m.sessions[id]; s.worker == c.Worker {
			t.end(s)
		}
	}
	s := newSession(c.Session, strings.Clone(c.Worker))
	t.m.sessions[s.id] = s
	t.touchSession(s)
	return nil
}

func (m *Machine) sessionIDs() []salvor.SessionID {
	ids := make([]salvor.SessionID, 0, len(m.sessions))
	for id := range m.sessions {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// end ends a session; what it held returns to the queue.
func (t *tx) end(s *session) {
	if s == nil {
		return
	}
	for _, l := range slices.Clone(s.leases) {
		t.returnLease(l)
	}
	for slot := range s.ring {
		t.k = keyAnswer(t.k[:0], s.id, uint16(slot))
		t.delete(t.k)
	}
	delete(t.m.sessions, s.id)
	t.touchSession(s)
}

// returnLease ends a lease and puts its open items in front of their lanes, in
// the order they had.
func (t *tx) returnLease(l *lease) {
	for _, k := range slices.Clone(l.items) {
		id := itemID{l.q.c.ID, l.q.h.num, k}
		if it := t.item(id); it != nil {
			t.leave(l.q, id, it)
			t.enterQueue(l.q, id, it, frontReturned)
		}
	}
	t.dropLease(l)
}

// dropLease ends a lease without open items.
func (t *tx) dropLease(l *lease) {
	l.gone = true
	l.unbook()
	delete(t.m.leases, l.id)
	if i := slices.Index(l.s.leases, l); i >= 0 {
		l.s.leases = slices.Delete(l.s.leases, i, i+1)
	}
	t.touchLease(l)
}

// extend renews the leases a session lists and returns those it does not
// (protocol 4). Leases granted since the session knew of its last one are not
// judged: their answer may be on its way.
func (t *tx) extend(c *Extend) (api.Renewal, error) {
	s, err := t.session(c.Session)
	if err != nil {
		return api.Renewal{}, err
	}
	var r api.Renewal
	listed := make(map[salvor.LeaseID]bool, len(c.Held))
	for _, x := range c.Held {
		listed[x.Lease] = true
	}
	for _, l := range slices.Clone(s.leases) {
		if l.id >= c.From && l.id < c.Before && !listed[l.id] {
			t.returnLease(l)
		}
	}
	for _, x := range c.Held {
		l := t.m.leases[x.Lease]
		if l == nil || l.s != s {
			r.Lost = append(r.Lost, x.Lease)
			continue
		}
		t.setPace(l, t.allow(l, x.Pace))
		l.renewal = t.index
		t.touchLease(l)
		r.Granted = append(r.Granted, api.Extension{Lease: l.id, Pace: l.pace})
	}
	r.Merged = t.merged(r.Granted)
	if len(s.struck) > 0 {
		r.Struck, s.struck = s.struck, nil
		t.touchSession(s)
	}
	return r, nil
}

// merged are those leases whose hosts are merged now.
func (t *tx) merged(leases []api.Extension) (list []api.Member) {
	for _, x := range leases {
		if l := t.m.leases[x.Lease]; l != nil && l.q.h.group.name != "" {
			list = append(list, api.Member{Lease: x.Lease, Group: l.q.h.group.name})
		}
	}
	return list
}

// allow is the pace a lease may go on with. While a budget is overdrawn each
// lease falls to its equal share at its next extend, so that one round of
// extends makes the sum fit; what is not overdrawn is never raised above the
// budget.
func (t *tx) allow(l *lease, want salvor.Pace) salvor.Pace {
	want = min(want, salvor.Unlimited)
	h, c := l.q.h, l.q.c
	if want == 0 || c.State != salvor.CrawlRunning || h.blocked > t.m.meta.clock {
		return 0
	}
	budget := h.budget(c)
	if budget >= salvor.Unlimited {
		return want
	}
	own := l.pace
	share := budget / salvor.Pace(max(h.paced, 1))
	h.unbook(own)
	room := h.free(budget)
	h.book(own)
	return min(want, max(room, min(own, share)))
}

func (t *tx) setPace(l *lease, p salvor.Pace) {
	l.unbook()
	l.pace = p
	l.book()
}

// expire ends a lease that was not renewed since.
func (t *tx) expire(c *Expire) {
	if l := t.m.leases[c.Lease]; l != nil && l.renewal == c.Renewal {
		t.returnLease(l)
	}
}
