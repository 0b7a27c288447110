package frontier

import (
	"strings"

	"salvor"
	"salvor/api"
)

// An item is always in exactly one place: a lane, the waiting list, a lease, or
// the outcomes. enter... puts it there, leave takes it away; both keep the
// counters, the indexes and the robots gate.

func (t *tx) enterQueue(q *queue, id itemID, it *item, front uint8) {
	t.robotsFirst(q, id, it)
	it.state, it.front, it.seq = api.StateQueued, front, q.seq
	q.seq++
	l := q.lane(it.band, front)
	l.push(slot{it.seq, id.key})
	if len(l.pend) == 1 {
		t.pushed = append(t.pushed, q)
	}
	t.k = keyQueued(t.k[:0], id.crawl, id.host, it.band, front, it.seq)
	t.set(t.k, id.key[:])
	q.t.Queued++
	q.c.t.Queued++
	t.opened(q, it, 1)
	t.m.setReady(q)
	t.put(id, it)
}

func (t *tx) enterWaiting(q *queue, id itemID, it *item, due int64) {
	it.state, it.due = api.StateWaiting, due
	t.k = keyWaiting(t.k[:0], due, id)
	t.set(t.k, nil)
	t.waits = append(t.waits, waiting{due, id})
	t.m.due = min(t.m.due, due)
	q.t.Waiting++
	q.c.t.Waiting++
	t.opened(q, it, 1)
	t.put(id, it)
}

func (t *tx) enterLease(q *queue, id itemID, it *item, l salvor.LeaseID) {
	it.state, it.lease = api.StateLeased, l
	q.t.Leased++
	q.c.t.Leased++
	t.opened(q, it, 1)
	t.put(id, it)
	if len(t.m.out) < outKept {
		t.m.out[id] = it
	}
}

// outKept is how many leased items stay decoded, for the report that is to
// come: some 30 MB at most.
const outKept = 1 << 16

// enterOutcome settles. The answer is in it.ans.
func (t *tx) enterOutcome(q *queue, id itemID, it *item, o salvor.Outcome) {
	it.state, it.outcome = api.StateSettled, o
	if !o.HasCapture() {
		t.k = keyUnsaved(t.k[:0], o, id)
		t.set(t.k, nil)
	}
	t.countOutcome(q, it, 1)
	t.put(id, it)
}

// leave takes an item out of where it is. A lease it is taken off is returned,
// for who wants to know.
func (t *tx) leave(q *queue, id itemID, it *item) (off *lease) {
	switch it.state {
	case api.StateQueued:
		t.k = keyQueued(t.k[:0], id.crawl, id.host, it.band, it.front, it.seq)
		t.once(t.k)
		q.lane(it.band, it.front).count--
		q.t.Queued--
		q.c.t.Queued--
		t.m.setReady(q)
		it.front, it.seq = 0, 0
	case api.StateWaiting:
		t.k = keyWaiting(t.k[:0], it.due, id)
		t.delete(t.k)
		q.t.Waiting--
		q.c.t.Waiting--
		it.due = 0
	case api.StateLeased:
		if l := t.m.leases[it.lease]; l != nil {
			l.drop(id.key)
			t.touchLease(l)
			off = l
		}
		q.t.Leased--
		q.c.t.Leased--
		it.lease = 0
		delete(t.m.out, id)
	case api.StateSettled:
		if !it.outcome.HasCapture() {
			t.k = keyUnsaved(t.k[:0], it.outcome, id)
			t.delete(t.k)
		}
		t.countOutcome(q, it, -1)
		it.outcome = salvor.Open
		return nil
	}
	t.opened(q, it, -1)
	if it.class == salvor.ClassRobots { // it may have been answered
		it.band = salvor.BandRobots
	}
	return off
}

// opened counts an item without outcome in or out of the robots gate.
func (t *tx) opened(q *queue, it *item, n int64) {
	if it.band == salvor.BandRobots {
		q.robots += n
	}
	t.touch(q)
}

func (t *tx) countOutcome(q *queue, it *item, n int64) {
	q.t.Outcomes[it.outcome] += n
	q.c.t.Outcomes[it.outcome] += n
	t.touch(q)
	if it.ans.status != 0 {
		t.count(q.c, statKey{kind: statCode, code: it.ans.status}, n, n*it.ans.bytes)
	}
	if it.ans.typ != "" || it.ans.place != (salvor.Place{}) { // a capture without a type is one of ""
		t.count(q.c, statKey{kind: statType, text: it.ans.typ}, n, n*it.ans.bytes)
	}
	if it.ans.reason != "" || !it.outcome.HasCapture() {
		t.count(q.c, statKey{kind: statReason, outcome: it.outcome, text: it.ans.reason}, n, n*it.ans.bytes)
	}
}

func (t *tx) count(c *crawl, k statKey, urls, bytes int64) {
	n, ok := c.stats[k]
	if !ok && len(c.stats) >= statsKept {
		k.text, k.code = "other", 0
		n, ok = c.stats[k]
	}
	if !ok {
		k.text = strings.Clone(k.text)
		n = new(api.Count)
		c.stats[k] = n
	}
	n.URLs += urls
	n.Bytes += bytes
	t.stats = append(t.stats, dirtyStat{c, k})
}

// countCapture counts bytes that lie in a segment, whatever they are to their
// item.
func (t *tx) countCapture(q *queue, e *api.Entry) {
	late := int64(0)
	if q.c.Deadline != 0 && e.At > q.c.Deadline {
		late = 1
	}
	for _, n := range []*api.Totals{&q.t, &q.c.t} {
		n.Captures++
		n.Bytes += e.Bytes
		n.Late += late
	}
	t.touch(q)
}

// pop takes up to n items off the head of a host's queue, robots items alone
// while there are any.
func (t *tx) pop(q *queue, n int, f func(itemID, *item)) {
	for i := 0; i < len(q.lanes) && n > 0; i++ {
		l := &q.lanes[i]
		if q.robots > 0 && l.band != salvor.BandRobots {
			return
		}
		for n > 0 && l.count > 0 && t.err == nil {
			if id, it := t.next(q, l); it != nil {
				f(id, it)
				n--
			}
		}
	}
}

// next takes the next entry off a lane's read-ahead. It is nil where the
// item has left the lane since, or the read-ahead had to be filled.
func (t *tx) next(q *queue, l *lane) (id itemID, it *item) {
	if len(l.buf) == 0 {
		if l.whole {
			t.corrupt("queue: fewer items than counted")
			return id, nil
		}
		if l.room == roomIdle {
			t.m.readers++
		}
		t.fail(l.refill(t.m.db, q))
		return id, nil
	}
	s := l.buf[0]
	l.buf = l.buf[1:]
	id = itemID{q.c.ID, q.h.num, s.key}
	it = t.item(id)
	if it == nil || it.state != api.StateQueued || it.band != l.band || it.front != l.front || it.seq != s.seq {
		return id, nil
	}
	t.leave(q, id, it)
	l.cursor = s.seq + 1
	return id, it
}
