package crawler

import (
	"slices"
	"time"

	"salvor"
	"salvor/api"
)

// holdings lists every lease and the pace it still needs.
func (s *schedule) holdings() api.Holdings {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.giveBack()
	h := api.Holdings{Seen: s.seen, Leases: make([]api.Extension, 0, len(s.leases))}
	for _, l := range s.leases {
		e := api.Extension{Lease: l.ID}
		if l.started < l.total {
			e.Pace = salvor.Unlimited // as much as the budget allows
			h.Unstarted = append(h.Unstarted, api.Slice{Lease: l.ID, Items: l.total - l.started})
		}
		h.Leases = append(h.Leases, e)
	}
	return h
}

// giveBack drops what could not start before its lease ends anyway: a lease
// that is not listed returns to the queue, and its place to another host.
func (s *schedule) giveBack() {
	late := time.Now().Add(salvor.LeaseTTL)
	for _, h := range s.hosts {
		if len(h.items) > 0 && h.purse.blocked.After(late) {
			s.discard(h, func(task) bool { return true })
			s.park(h.purse)
		}
	}
}

// renewed takes the answer to holdings sent at sent. It returns what others wait
// for and this session has not begun: its holder hands it back.
func (s *schedule) renewed(r api.Renewal, sent instant) (recalled []task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = false
	for _, e := range r.Granted {
		if l := s.leases[e.Lease]; l != nil {
			s.cut = s.cut || e.Pace < l.pace && e.Pace > 0
			l.pace, l.granted = e.Pace, sent
		}
	}
	s.regroup(r)
	for _, id := range r.Lost {
		s.lose(id)
	}
	s.strike(r.Struck)
	for _, x := range r.Recalled {
		recalled = append(recalled, s.recall(x)...)
	}
	s.purses(func(p *purse) {
		p.brake.release()
		s.repace(p)
		p.hasten()
		s.park(p)
	})
	kick(s.wake)
	return recalled
}

// regroup puts the hosts of what was granted where they belong now.
func (s *schedule) regroup(r api.Renewal) {
	if len(s.groups)+len(r.Merged) == 0 {
		return
	}
	groups := make(map[salvor.LeaseID]string, len(r.Merged))
	for _, m := range r.Merged {
		groups[m.Lease] = m.Group
	}
	for _, e := range r.Granted {
		if l := s.leases[e.Lease]; l != nil {
			s.join(l.host, groups[e.Lease])
		}
	}
}

// recall takes those items of a lease out that would start last. They count as
// started, and hold their lease until they are handed back.
func (s *schedule) recall(x api.Slice) (taken []task) {
	l := s.leases[x.Lease]
	if l == nil {
		return nil
	}
	h := l.host
	for i := len(h.items) - 1; i >= 0 && len(taken) < x.Items; i-- {
		if h.items[i].lease == l {
			taken = append(taken, h.items[i])
			h.take(i)
			s.todo--
			s.begin(l)
		}
	}
	return taken
}

// lose removes a lease; its items not yet started are no longer ours.
func (s *schedule) lose(id salvor.LeaseID) {
	l := s.leases[id]
	if l == nil {
		return
	}
	h := l.host
	s.end(h, l)
	s.filter(h, func(x task) bool { return x.lease != l })
	s.repace(h.purse)
	s.park(h.purse)
}

// strike removes items that somebody else settled meanwhile.
func (s *schedule) strike(keys []salvor.Key) {
	if len(keys) == 0 {
		return
	}
	gone := make(map[salvor.Key]bool, len(keys))
	for _, k := range keys {
		gone[k] = true
	}
	for _, h := range s.hosts {
		s.discard(h, func(x task) bool { return gone[x.Key] })
		s.park(h.purse)
	}
}

// discard ends those of a host's items that have not begun and are gone.
func (s *schedule) discard(h *hostQueue, gone func(task) bool) {
	s.filter(h, func(x task) bool {
		if !gone(x) {
			return true
		}
		s.begin(x.lease)
		s.drop(x)
		return false
	})
}

func (s *schedule) filter(h *hostQueue, keep func(task) bool) {
	before := len(h.items)
	h.items = slices.DeleteFunc(h.items, func(x task) bool { return !keep(x) })
	s.todo -= before - len(h.items)
}

// clear drops everything not started: a drain. The items return to the queue
// when their lease is no longer listed, which is to be soon.
func (s *schedule) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dry = s.dry || s.todo > 0
	for _, h := range s.hosts {
		s.discard(h, func(task) bool { return true })
		s.park(h.purse)
	}
}
