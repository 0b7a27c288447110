package frontier

import (
	"slices"
	"strings"

	"salvor"
	"salvor/api"
)

// settle takes reports (protocol 5).
func (t *tx) settle(by salvor.SessionID, s *api.Settlement) (SettleResult, error) {
	var r SettleResult
	c, err := t.crawl(s.Crawl)
	if err != nil {
		return r, err
	}
	for i := range s.Entries {
		switch t.report(by, c, &s.Entries[i]) {
		case took:
			r.Accepted++
		case duplicate:
			r.Duplicate++
		case stale:
			r.Stale++
		}
	}
	for i := range s.Robots {
		t.learn(c, s, &s.Robots[i])
	}
	return r, nil
}

type verdict int

const (
	took verdict = iota
	duplicate
	stale
)

func (t *tx) report(by salvor.SessionID, c *crawl, e *api.Entry) verdict {
	q := t.queue(c, e.Host)
	if q == nil {
		return stale
	}
	id := itemID{c.ID, q.h.num, e.Key}
	it := t.item(id)
	if it == nil || e.Round > it.round {
		return stale
	}
	if e.Verb == api.VerbSettle && e.Outcome.HasCapture() {
		return t.capture(by, q, id, it, e)
	}
	if e.Verb == api.VerbHold && it.open() && (it.state != api.StateLeased || t.level > 0 && by == 0 && it.lease == e.Lease) {
		return t.park(q, id, it, e)
	}
	if it.open() {
		return t.byLease(by, q, id, it, e)
	}
	if e.Verb == api.VerbSettle && it.outcome == e.Outcome && it.round == e.Round && it.ans == answerOf(e) {
		return took // said before
	}
	return stale
}

// byLease takes a report that counts only with the current lease.
func (t *tx) byLease(by salvor.SessionID, q *queue, id itemID, it *item, e *api.Entry) verdict {
	l := t.m.leases[it.lease]
	if it.state != api.StateLeased || it.lease != e.Lease || it.round != e.Round || l == nil || l.s.id != by {
		return stale
	}
	if e.Verb == api.VerbHold {
		t.answered(q, id, it)
		return took
	}
	t.take(q, id, it)
	if e.Verb == api.VerbSettle {
		t.conclude(q, id, it, e)
		return took
	}
	if e.Place != (salvor.Place{}) && t.shelve(id, it.round, e.Place) {
		t.countCapture(q, e) // recorded, though it is tried again
	}
	if e.Verb == api.VerbRetry {
		it.attempts++
	}
	it.ans.reason, it.ans.status, it.ans.at = e.Reason, e.Status, e.At
	switch {
	case e.Retry > t.m.meta.clock:
		t.enterWaiting(q, id, it, e.Retry)
	case e.Verb == api.VerbPostpone:
		t.enterQueue(q, id, it, frontReturned)
	default:
		t.enterQueue(q, id, it, frontFresh)
	}
	return took
}

// park keeps an item that an earlier session captured from being fetched until
// a time: its outcome comes before, or it is queued again. A worker that starts
// says so without a session before its new one ends the old, whose lease still
// has the item.
func (t *tx) park(q *queue, id itemID, it *item, e *api.Entry) verdict {
	if it.round != e.Round || e.Retry <= t.m.meta.clock {
		return stale
	}
	t.take(q, id, it)
	t.enterWaiting(q, id, it, e.Retry)
	return took
}

// answered opens the gate of a host whose robots.txt was captured: its rules
// are known, only its bytes are not durable yet.
func (t *tx) answered(q *queue, id itemID, it *item) {
	if it.band != salvor.BandRobots || it.class != salvor.ClassRobots {
		return
	}
	t.opened(q, it, -1)
	it.band = salvor.BandRequisite
	t.opened(q, it, 1)
	t.m.setReady(q)
	t.put(id, it)
}

// take takes an item out of where it is, and ends a lease that has no other.
func (t *tx) take(q *queue, id itemID, it *item) (off *lease) {
	off = t.leave(q, id, it)
	if off != nil && len(off.items) == 0 {
		t.dropLease(off)
	}
	return off
}

// capture takes a "saved" or "revisit", from whoever reports it: what was
// captured is never thrown away.
func (t *tx) capture(by salvor.SessionID, q *queue, id itemID, it *item, e *api.Entry) verdict {
	if it.round != e.Round {
		if it.ans.place != e.Place && t.shelve(id, e.Round, e.Place) {
			t.countCapture(q, e)
		}
		return stale // a capture of an older round, settling nothing
	}
	if !it.open() && it.outcome.HasCapture() {
		return t.again(q, id, it, e)
	}
	if !it.open() && it.ans.place != (salvor.Place{}) {
		t.shelve(id, it.round, it.ans.place)
	}
	off := t.take(q, id, it)
	if off != nil && (off.s.id != by || off.id != e.Lease) {
		off.s.struck = append(off.s.struck, id.key)
		t.touchSession(off.s)
	}
	t.conclude(q, id, it, e)
	return took
}

// again takes another capture of a settled round. The same place is the same
// report; any other is a duplicate capture, counted once.
func (t *tx) again(q *queue, id itemID, it *item, e *api.Entry) verdict {
	if it.ans.place == e.Place {
		return took
	}
	if t.shelve(id, e.Round, e.Place) {
		t.countCapture(q, e)
		q.t.Dups++
		q.c.t.Dups++
	}
	return duplicate
}

// shelve notes a capture that is not its item's outcome, so that it is counted
// once however often it is reported. It is false for one noted before.
func (t *tx) shelve(id itemID, round uint32, p salvor.Place) bool {
	key := keyCapture(nil, id, p)
	if t.shelved[string(key)] {
		return false
	}
	if ok, err := has(t.m.db, key); err != nil || ok {
		t.fail(err)
		return false
	}
	if t.shelved == nil {
		t.shelved = map[string]bool{}
	}
	t.shelved[string(key)] = true
	w := writer{}
	w.byte(recordVersion)
	w.uint(uint64(round))
	w.int(p.Length)
	t.set(key, w.b)
	return true
}

// conclude gives an item its outcome.
func (t *tx) conclude(q *queue, id itemID, it *item, e *api.Entry) {
	it.ans = answerOf(e)
	if e.Place != (salvor.Place{}) {
		t.countCapture(q, e)
	}
	if e.Outcome.HasCapture() {
		it.forget()
	}
	it.scope = q.c.Scope
	t.enterOutcome(q, id, it, e.Outcome)
}

func answerOf(e *api.Entry) answer {
	return answer{
		reason: e.Reason, status: e.Status, place: e.Place, digest: e.Digest,
		bytes: e.Bytes, typ: e.Type, at: e.At,
	}
}

// learn stores what an origin's robots.txt said, unless newer is known.
func (t *tx) learn(c *crawl, s *api.Settlement, x *api.Robots) {
	q := t.queue(c, hostOf(s.Entries, x.Origin))
	if q == nil {
		return
	}
	known := t.robots(q)
	i, ok := slices.BinarySearchFunc(known, x.Origin, func(k api.Robots, o string) int { return strings.Compare(k.Origin, o) })
	if ok && known[i].Fetched > x.Fetched {
		return
	}
	if !ok {
		q.origins++
		t.touch(q)
	}
	own := api.Robots{Origin: strings.Clone(x.Origin), Rules: x.Rules, Status: x.Status, Fetched: x.Fetched}
	t.rules = append(t.rules, originRules{q, own})
	t.m.texts[q] = putOrigin(known, own)
	w := writer{}
	w.byte(recordVersion)
	putRobots(&w, x)
	t.set(append(keyQueue(nil, tagRobots, c.ID, q.h.num), x.Origin...), w.b)
}

// hostOf is the host of an origin: that of the entry whose request it was, or
// else what stands between the slashes and the port.
func hostOf(entries []api.Entry, origin string) string {
	_, rest, _ := strings.Cut(origin, "://")
	for i := range entries {
		if tail, ok := strings.CutPrefix(rest, entries[i].Host); ok && (tail == "" || tail[0] == ':') {
			return entries[i].Host
		}
	}
	if i := strings.LastIndexByte(rest, ':'); i > 0 && !strings.HasSuffix(rest, "]") {
		rest = rest[:i]
	}
	return rest
}
