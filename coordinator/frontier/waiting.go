package frontier

import (
	"bytes"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"salvor/api"
)

// waiting is an entry of the waiting list.
type waiting struct {
	due int64
	id  itemID
}

// dueAtOnce is how many waiting items one entry of the log queues at most.
const dueAtOnce = 1000

// never is the due time of an empty waiting list.
const never = math.MaxInt64

// release queues what has come due, in the order of times. meta.low stays at
// or below every waiting item's time, so that nobody reads the tombstones of
// those released before.
func (t *tx) release() {
	clock := t.m.meta.clock
	if t.m.due > clock {
		t.m.meta.low = clock
		return
	}
	list, err := t.newDueList(clock)
	if err != nil {
		t.fail(err)
		return
	}
	defer func() { t.fail(list.close()) }()
	for n := 0; ; {
		w, ok := list.next()
		if !ok {
			break
		}
		it := t.item(w.id)
		if it == nil || it.state != api.StateWaiting || it.due != w.due {
			continue // left the list in this batch
		}
		q := t.m.crawls[w.id.crawl].queues[w.id.host]
		t.leave(q, w.id, it)
		t.enterQueue(q, w.id, it, frontFresh)
		if n++; n == dueAtOnce {
			t.m.meta.low, t.m.due = w.due, w.due
			return
		}
	}
	t.m.meta.low = clock
	t.m.due = list.rest(t.waits)
}

// dueList merges what Pebble has of the waiting list with what this batch put.
type dueList struct {
	it    *pebble.Iterator
	have  bool
	pend  []waiting
	clock int64
}

func (t *tx) newDueList(clock int64) (*dueList, error) {
	it, err := t.m.db.NewIter(&pebble.IterOptions{
		LowerBound: key64(nil, tagWaiting, uint64(t.m.meta.low)),
		UpperBound: []byte{tagWaiting + 1},
	})
	if err != nil {
		return nil, err
	}
	d := &dueList{it: it, have: it.First(), clock: clock}
	for _, w := range t.waits {
		if w.due <= clock {
			d.pend = append(d.pend, w)
		}
	}
	slices.SortFunc(d.pend, func(a, b waiting) int {
		return bytes.Compare(keyWaiting(nil, a.due, a.id), keyWaiting(nil, b.due, b.id))
	})
	d.pend = slices.Compact(d.pend)
	return d, nil
}

// next is the earliest entry that is due.
func (d *dueList) next() (w waiting, ok bool) {
	if d.have {
		w.due, w.id = parseWaiting(d.it.Key())
		ok = w.due <= d.clock
	}
	if len(d.pend) > 0 {
		p := d.pend[0]
		order := -1
		if ok {
			order = bytes.Compare(keyWaiting(nil, p.due, p.id), d.it.Key())
		}
		if order <= 0 {
			d.pend = d.pend[1:]
			w = p
		}
		if order < 0 {
			return w, true
		}
	}
	if ok {
		d.have = d.it.Next()
	}
	return w, ok
}

// rest is the time of the first entry that is not due yet.
func (d *dueList) rest(put []waiting) int64 {
	first := int64(never)
	if d.have {
		first, _ = parseWaiting(d.it.Key())
	}
	for _, w := range put {
		if w.due > d.clock {
			first = min(first, w.due)
		}
	}
	return first
}

func (d *dueList) close() error { return d.it.Close() }
