package frontier

import (
	"bytes"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"salvor"
	"salvor/api"
)

// reopen raises the round of items that are settled and not saved, and queues
// them again: a piece of at most Limit items, found through the index of what
// is not saved (protocol 5).
func (t *tx) reopen(c *Reopen) (ReopenResult, error) {
	var r ReopenResult
	cr, err := t.crawl(c.Crawl)
	if err != nil {
		return r, err
	}
	limit := min(c.Limit, maxPiece)
	if limit <= 0 {
		limit = maxPiece
	}
	ids, next, err := t.unsaved(cr, c, limit)
	if err != nil {
		t.fail(err)
		return r, nil
	}
	for _, id := range ids {
		it := t.item(id)
		if it == nil || it.state != api.StateSettled || it.outcome.HasCapture() {
			continue
		}
		if it.ans.place != (salvor.Place{}) {
			t.shelve(id, it.round, it.ans.place)
		}
		q := cr.queues[id.host]
		t.leave(q, id, it)
		it.round++
		it.attempts = 0
		it.ans = answer{reason: c.Reason}
		t.enterQueue(q, id, it, frontFresh)
		r.N++
	}
	if r.N > 0 {
		t.revive(cr)
	}
	r.Next = next
	return r, nil
}

// maxPiece is how many items one entry changes at most.
const maxPiece = 1000

// unsaved lists up to limit items of the wanted outcomes from a position on. It
// reads the index in Pebble, so a Reopen begins a batch of its own.
func (t *tx) unsaved(c *crawl, r *Reopen, limit int) (ids []itemID, next []byte, err error) {
	var only uint32
	if r.Host != "" {
		q := t.queue(c, r.Host)
		if q == nil {
			return nil, nil, nil
		}
		only = q.h.num
	}
	for o := salvor.Outcome(1); o < salvor.NumOutcomes; o++ {
		if !slices.Contains(r.Outcomes, o) {
			continue
		}
		prefix := append(key32(nil, tagUnsaved, uint32(c.ID)), byte(o))
		if only != 0 {
			prefix = keyUnsavedHost(nil, c.ID, o, only)
		}
		span := unsavedSpan{prefix, r.After, limit}
		if ids, next, err = span.read(t.m.db, ids, next); err != nil || len(ids) > limit {
			break
		}
	}
	if len(ids) <= limit {
		return ids, nil, err
	}
	return ids[:limit], next, err
}

// unsavedSpan is a part of the index, behind a position of an earlier piece.
type unsavedSpan struct {
	prefix, from []byte
	limit        int
}

// read appends items until there is one more than the limit; last is the key of
// the limit's item.
func (s unsavedSpan) read(db pebble.Reader, ids []itemID, last []byte) ([]itemID, []byte, error) {
	lower, upper := s.prefix, after(s.prefix)
	if bytes.Compare(s.from, upper) >= 0 {
		return ids, last, nil
	}
	if bytes.Compare(s.from, lower) >= 0 {
		lower = append(slices.Clip(s.from), 0)
	}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return ids, last, err
	}
	for ok := it.First(); ok && len(ids) <= s.limit; ok = it.Next() {
		_, id := parseUnsaved(it.Key())
		ids = append(ids, id)
		if len(ids) == s.limit {
			last = slices.Clone(it.Key())
		}
	}
	return ids, last, it.Close()
}

// exclude settles queued and waiting items as excluded by a rule. A worker
// that has one leased asks its own rules before it fetches.
func (t *tx) exclude(c *Exclude) (int64, error) {
	cr, err := t.crawl(c.Crawl)
	if err != nil {
		return 0, err
	}
	n := int64(0)
	for _, k := range c.Items {
		q := t.queue(cr, k.Host)
		if q == nil {
			continue
		}
		id := itemID{cr.ID, q.h.num, k.Key}
		it := t.item(id)
		if it == nil || it.state != api.StateQueued && it.state != api.StateWaiting {
			continue
		}
		t.leave(q, id, it)
		it.ans = answer{reason: c.Rule}
		it.scope = cr.Scope
		t.enterOutcome(q, id, it, salvor.Excluded)
		n++
	}
	return n, nil
}

// rank moves open items to other bands: those that are queued take their new
// place at once, the others when they come back. It returns how many moved.
func (t *tx) rank(c *Rank) (n int64, err error) {
	cr, err := t.crawl(c.Crawl)
	if err != nil {
		return 0, err
	}
	for _, k := range c.Items {
		q := t.queue(cr, k.Host)
		if q == nil {
			continue
		}
		id := itemID{cr.ID, q.h.num, k.Key}
		it := t.item(id)
		if it == nil || it.state == api.StateSettled || it.class == salvor.ClassRobots || it.band == k.Band {
			continue
		}
		n++
		if it.state != api.StateQueued {
			it.band = k.Band
			t.put(id, it)
			continue
		}
		t.leave(q, id, it)
		it.band = k.Band
		t.enterQueue(q, id, it, frontFresh)
	}
	return n, nil
}
