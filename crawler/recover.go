package crawler

import (
	"context"
	"time"

	"salvor"
	"salvor/api"
	"salvor/crawler/canon"
	"salvor/crawler/extract"
	"salvor/crawler/scope"
	"salvor/warc"
)

// recover reports what an earlier run captured and could not report any more.
// All links of those pages are sent again before (protocol 6). Attempts that
// settled nothing, and robots.txt, whose rules the journal does not hold, are
// left to be fetched again.
func (w *Worker) recover(ctx context.Context) error {
	known, err := w.c.Log.Tail(w.c.LogOffset)
	if err != nil {
		return err
	}
	var batch []finished
	for _, r := range w.c.Recovery.Entries {
		f, err := w.recovered(ctx, r)
		if err != nil {
			return err
		}
		if !known.Has(f.log.Begin, f.log.URL) {
			if err := w.c.Log.Write(f.log); err != nil {
				return err
			}
		}
		if batch = append(batch, f); len(batch) < commitBatch {
			continue
		}
		if err := w.reported(ctx, batch); err != nil {
			return err
		}
		batch = batch[:0]
	}
	return w.reported(ctx, batch)
}

// reported settles a batch of recovered exchanges.
func (w *Worker) reported(ctx context.Context, batch []finished) error {
	if len(batch) == 0 {
		return nil
	}
	if err := awaitLinks(ctx, batch); err != nil {
		return err
	}
	if err := w.c.Log.Sync(); err != nil {
		return err
	}
	var settled, waiting []finished
	var held []api.Entry
	receipts := make([]warc.Receipt, 0, len(batch))
	for _, f := range batch {
		tells := f.entry.Key != (salvor.Key{}) && f.entry.Outcome != salvor.Open && f.task.Class != salvor.ClassRobots
		if tells && f.entry.Outcome.HasCapture() && w.shelf.On && !w.c.Pool.Stored(f.receipt.Ticket.Segment) {
			waiting, held = append(waiting, f), append(held, f.entry)
			continue
		}
		receipts = append(receipts, *f.receipt)
		if tells {
			settled = append(settled, f)
		}
	}
	if err := w.holdOn(ctx, held); err != nil {
		return err
	}
	w.shelf.keep(waiting, w.c.LogOffset)
	if err := w.settle(ctx, settled); err != nil {
		return err
	}
	return w.c.Pool.Settled(ctx, receipts)
}

// holdOn keeps what an earlier run captured from being fetched again while its
// segments are on their way to the Store. It is said again before its time is
// over; if this worker dies, the items come due.
func (w *Worker) holdOn(ctx context.Context, entries []api.Entry) error {
	until := time.Now().Add(holdFor).UnixMilli()
	for len(entries) > 0 {
		n := min(len(entries), commitBatch)
		batch := make([]finished, n)
		for i, e := range entries[:n] {
			batch[i].entry = e.Held()
			batch[i].entry.Retry = until
		}
		if err := w.settle(ctx, batch); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// holdFirst does so before the session begins, whose registering gives back what
// the last one had leased: others would fetch it at once. It takes no session,
// since the lease's own is nobody's any more.
func (w *Worker) holdFirst(ctx context.Context) error {
	if !w.shelf.On {
		return nil
	}
	until := time.Now().Add(holdFor).UnixMilli()
	var batch []api.Entry
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		s := api.Settlement{Crawl: w.c.Crawl.ID, Entries: batch}
		err := repeat(ctx, func() error { return w.c.Coordinator.Settle(ctx, api.Call{}, s) })
		batch = batch[:0]
		return err
	}
	for _, r := range w.c.Recovery.Entries {
		e := r.Entry
		if !e.Outcome.HasCapture() || e.Class == salvor.ClassRobots || e.Key == (salvor.Key{}) || w.c.Pool.Stored(r.Receipt().Ticket.Segment) {
			continue
		}
		held := api.Entry{Key: e.Key, Host: e.Host, Lease: e.Lease, Round: e.Round}.Held()
		held.Retry = until
		if batch = append(batch, held); len(batch) < commitBatch {
			continue
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return flush()
}

const (
	holdFor   = 15 * time.Minute
	holdAgain = 5 * time.Minute
)

// recovered rebuilds an attempt from its journal entry and its records.
func (w *Worker) recovered(ctx context.Context, r warc.Recovered) (finished, error) {
	e := r.Entry
	x := task{Item: salvor.Item{
		Key: e.Key, Crawl: e.Crawl, Host: e.Host, URL: e.URL, Via: e.Via, Class: e.Class, Hop: e.Hop, Round: e.Round,
	}}
	receipt := r.Receipt()
	f := finished{task: x, receipt: &receipt, entry: api.Entry{
		Key: e.Key, Host: e.Host, Lease: e.Lease, Round: e.Round, Outcome: e.Outcome, Reason: clip(e.Reason), Status: e.Status,
		Place: r.Place, Digest: e.Digest, Bytes: e.Bytes, Type: clip(e.Type), At: e.At,
	}}
	f.log = w.logEntry(f, verdict{status: e.Status, outcome: e.Outcome, reason: e.Reason}, nil)
	f.log.Size, f.log.Type, f.log.Digest, f.log.Begin = e.Bytes, e.Type, e.Digest, time.UnixMilli(e.At)
	if len(e.Extra) > 0 && e.Extra[0] == linksLost {
		f.entry.Outcome = salvor.Open
		return f, nil
	}
	if e.Links && !w.c.Restored {
		return f, nil
	}
	offers, err := w.storedLinks(ctx, r)
	if w.c.Restored { // the copy of the state may not know the page
		offers = append(offers, w.itself(e)...)
	}
	f.links = w.sender.offer(WithRobots(w.c.Crawl, offers))
	return f, err
}

// itself offers a captured page as it was known when it was fetched.
func (w *Worker) itself(e warc.Entry) []api.Offer {
	u, err := canon.Parse(e.URL)
	if err != nil || e.Key == (salvor.Key{}) {
		return nil
	}
	it := w.item(u, scope.Decision{In: true, Class: e.Class, Band: salvor.BandPage, Hop: e.Hop}, e.Via)
	it.Round = e.Round
	return []api.Offer{{Item: it}}
}

// storedLinks judges the links of a stored page again.
func (w *Worker) storedLinks(ctx context.Context, r warc.Recovered) ([]api.Offer, error) {
	u, err := canon.Parse(r.URL)
	if err != nil || !r.HasMetadata {
		return nil, nil
	}
	m, err := r.Metadata(ctx)
	if err != nil || m == nil {
		return nil, err
	}
	var h harvest
	parent := scope.Parent{URL: u, Hop: r.Hop, Class: r.Class}
	for _, l := range m.Outlinks {
		target, err := canon.Parse(l.URL)
		if err != nil {
			continue
		}
		link := extract.Link{URL: target, Kind: extract.KindOf(l.Hop), Context: l.Context}
		if link.Kind == extract.Redirect && r.Class == salvor.ClassSeed {
			err = w.moveSeed(ctx, &h, task{Item: salvor.Item{URL: r.URL, Hop: r.Hop}}, link)
			if err != nil {
				return nil, err
			}
			continue
		}
		h.add(w, parent, link)
	}
	return h.offers, nil
}
