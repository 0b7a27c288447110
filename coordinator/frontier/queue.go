package frontier

import (
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"salvor"
	"salvor/api"
)

// queue is one host's part of a crawl: its counters and its lanes.
type queue struct {
	c       *crawl
	h       *host
	t       api.Totals
	robots  int64  // items of BandRobots without an outcome: they gate the rest
	origins uint32 // origins with stored robots rules
	seq     uint64 // next place in any lane
	lanes   []lane // that ever had an item since Open, by band, front first
	ready   int    // position in its crawl's ready, -1 none
	dirty   bool
}

// lane is a first-in first-out queue of one band. A band has two: items that
// came back from a lease go in front of those that were never out. Every push
// gets a new, larger seq, so a lane is only ever read forward: the cursor never
// meets the tombstones of what was popped.
type lane struct {
	band  salvor.Band
	front uint8 // 0 returned, 1 fresh: 0 is popped first
	count int64

	// The smallest seq that may be queued. It moves with pops and is stored,
	// so that reading starts there after a restart too.
	cursor uint64

	// The next entries, read ahead. Entries whose item has left the lane since
	// are skipped by looking at the item. If !whole, the lane goes on in
	// Pebble from tail on, and after that in pend.
	buf   []slot
	whole bool
	tail  uint64
	room  int
	pend  []slot // pushed in this batch and not in buf
}

type slot struct {
	seq uint64
	key salvor.Key
}

// Read-ahead of a lane that was not popped yet, and of one that was.
const (
	roomIdle   = 16
	roomPopped = 256
)

const (
	frontReturned = 0
	frontFresh    = 1
)

// queued is how many items can be granted under the robots gate.
func (q *queue) queued() int64 {
	if q.robots == 0 {
		return q.t.Queued
	}
	var n int64
	for i := range q.lanes {
		if q.lanes[i].band == salvor.BandRobots {
			n += q.lanes[i].count
		}
	}
	return n
}

// returned is how many items at the head of the queue came back from leases.
func (q *queue) returned() int64 {
	for i := range q.lanes {
		if l := &q.lanes[i]; l.count > 0 {
			if l.front == frontReturned {
				return l.count
			}
			break
		}
	}
	return 0
}

func (q *queue) lane(band salvor.Band, front uint8) *lane {
	i, ok := slices.BinarySearchFunc(q.lanes, lane{band: band, front: front}, compareLanes)
	if !ok {
		q.lanes = slices.Insert(q.lanes, i, lane{band: band, front: front, whole: true, room: roomIdle})
	}
	return &q.lanes[i]
}

func compareLanes(a, b lane) int {
	if a.band != b.band {
		return int(a.band) - int(b.band)
	}
	return int(a.front) - int(b.front)
}

// push adds an entry at the end of a lane.
func (l *lane) push(s slot) {
	if l.count == 0 {
		l.cursor = s.seq
		l.buf, l.pend, l.whole = l.buf[:0], l.pend[:0], true
	}
	l.count++
	if l.whole && len(l.buf) < l.room {
		l.buf = append(l.buf, s)
		return
	}
	if l.whole {
		l.whole, l.tail = false, s.seq
	}
	l.pend = append(l.pend, s)
}

// flushed says that pend is in Pebble now.
func (l *lane) flushed() { l.pend = nil }

// forget gives the read-ahead's memory back.
func (l *lane) forget() {
	l.buf, l.room = nil, roomIdle
	l.whole, l.tail = l.count == 0, l.cursor
}

// refill reads ahead from Pebble, then from what this batch pushed.
func (l *lane) refill(db *pebble.DB, q *queue) error {
	l.room = roomPopped
	l.buf = l.buf[:0]
	prefix := keyLane(nil, q.c.ID, q.h.num, l.band, l.front)
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: keyQueued(nil, q.c.ID, q.h.num, l.band, l.front, l.tail),
		UpperBound: after(prefix),
	})
	if err != nil {
		return err
	}
	more := it.First()
	for ; more && len(l.buf) < l.room; more = it.Next() {
		s := slot{seq: seqOf(it.Key())}
		copy(s.key[:], it.Value())
		l.buf = append(l.buf, s)
		l.tail = s.seq + 1
	}
	if err := it.Close(); err != nil || more {
		return err
	}
	for _, s := range l.pend {
		if s.seq >= l.tail {
			l.buf = append(l.buf, s)
		}
	}
	l.whole, l.pend = true, nil
	return nil
}

func (q *queue) encode(w *writer) {
	w.byte(recordVersion)
	putTotals(w, &q.t)
	w.int(q.robots)
	w.uint(uint64(q.origins))
	w.uint(q.seq)
	n := 0
	for i := range q.lanes {
		if q.lanes[i].count > 0 {
			n++
		}
	}
	w.uint(uint64(n))
	for i := range q.lanes {
		if l := &q.lanes[i]; l.count > 0 {
			w.byte(byte(l.band))
			w.byte(l.front)
			w.int(l.count)
			w.uint(l.cursor)
		}
	}
}

func decodeQueue(c *crawl, h *host, s string) (*queue, bool) {
	r := reader{s: s}
	if r.byte() != recordVersion {
		r.fail()
	}
	q := &queue{c: c, h: h, ready: -1}
	getTotals(&r, &q.t)
	q.robots = r.int()
	q.origins = uint32(r.uint())
	q.seq = r.uint()
	for range r.count(4) {
		l := lane{band: salvor.Band(r.byte()), front: r.byte(), count: r.int(), cursor: r.uint()}
		l.forget()
		q.lanes = append(q.lanes, l)
	}
	return q, r.end()
}
