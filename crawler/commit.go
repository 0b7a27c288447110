package crawler

import (
	"context"
	"net/http"
	"slices"
	"time"

	"salvor"
	"salvor/api"
	"salvor/crawler/crawllog"
	"salvor/warc"
)

// finished is an attempt that is over and waits to be reported.
type finished struct {
	task     task
	entry    api.Entry
	receipt  *warc.Receipt // of its records; nil when nothing was recorded
	links    []*parcel     // batches that carry its links
	robots   *api.Robots
	log      crawllog.Entry
	original *warc.Original // what later captures may point at, once durable
}

const (
	commitBatch = 512  // attempts reported at once
	heldMax     = 1024 // attempts waiting to be reported
	// commitEvery is the least distance of two reports: each costs fsyncs of
	// segments, journals, logs and the coordinator's log, however small it is.
	commitEvery = 40 * time.Millisecond
)

// commit reports finished attempts until dones closes. An item is settled
// only when its bytes are durable and every batch that carries one of its
// links was acknowledged (protocol 5).
func (w *Worker) commit(ctx context.Context) error {
	var last time.Time
	for f := range w.dones {
		batch := w.gather(f, commitEvery-time.Since(last))
		last = time.Now()
		if err := w.commitBatch(ctx, batch); err != nil {
			w.discard()
			return stopped(ctx, err)
		}
	}
	return nil
}

// gather takes what else gets ready within a time, and what is ready then.
func (w *Worker) gather(first finished, within time.Duration) []finished {
	batch := append(make([]finished, 0, 64), first)
	wait := time.NewTimer(max(within, 0))
	defer wait.Stop()
	for over := false; len(batch) < commitBatch; {
		select {
		case f, ok := <-w.dones:
			if !ok {
				return batch
			}
			batch = append(batch, f)
		case <-wait.C:
			over = true
		}
		if over && len(w.dones) == 0 {
			return batch
		}
	}
	return batch
}

// discard empties dones after an error, so that no fetcher hangs: the items
// stay leased or journalled, and the next run has them.
func (w *Worker) discard() {
	w.Drain()
	for range w.dones {
	}
}

func (w *Worker) commitBatch(ctx context.Context, batch []finished) error {
	if err := w.c.Pool.Sync(ctx); err != nil {
		return err
	}
	if err := awaitLinks(ctx, batch); err != nil {
		return err
	}
	log := w.c.Log.Offset()
	for i := range batch {
		if err := w.c.Log.Write(batch[i].log); err != nil {
			return err
		}
	}
	if err := w.c.Log.Sync(); err != nil {
		return err
	}
	// A host's wish to be left alone is durable before the answer that said so.
	if throttled(batch) {
		if err := w.report(ctx); err != nil {
			return err
		}
	}
	batch = w.shelf.keep(batch, log)
	if err := w.settle(ctx, batch); err != nil {
		return err
	}
	return w.released(ctx, batch)
}

func throttled(batch []finished) bool {
	return slices.ContainsFunc(batch, func(f finished) bool {
		return f.entry.Status == http.StatusTooManyRequests || f.entry.Status == http.StatusServiceUnavailable
	})
}

func awaitLinks(ctx context.Context, batch []finished) error {
	for _, f := range batch {
		for _, p := range f.links {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-p.done:
			}
			if p.err != nil {
				return p.err
			}
		}
	}
	return nil
}

func (w *Worker) settle(ctx context.Context, batch []finished) error {
	if len(batch) == 0 {
		return nil
	}
	s := api.Settlement{Crawl: w.c.Crawl.ID, Entries: make([]api.Entry, len(batch))}
	for i, f := range batch {
		s.Entries[i] = f.entry
		if f.robots != nil {
			s.Robots = append(s.Robots, *f.robots)
		}
	}
	return w.session.do(ctx, func(c api.Call) error { return w.c.Coordinator.Settle(ctx, c, s) })
}

// released does what was waiting for the acknowledgement.
func (w *Worker) released(ctx context.Context, batch []finished) error {
	tasks := make([]task, 0, len(batch))
	receipts := make([]warc.Receipt, 0, len(batch))
	for _, f := range batch {
		if f.task.lease != nil { // else an earlier run's
			tasks = append(tasks, f.task)
		}
		if f.receipt != nil {
			receipts = append(receipts, *f.receipt)
		}
		if f.original != nil && f.entry.Outcome == salvor.Saved {
			w.c.Originals.Add(f.entry.Digest, f.original.URL, f.original.Date)
		}
		w.stats.settled(f.entry)
		if f.task.counted {
			w.quota.Load().settled(f.entry)
		}
	}
	w.sched.settled(tasks)
	return w.c.Pool.Settled(ctx, receipts)
}
