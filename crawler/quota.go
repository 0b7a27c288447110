package crawler

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"salvor"
	"salvor/api"
)

// quota bounds how many captures a crawl makes: each exchange takes a share
// before it starts, and gives it back when it ends without a capture that
// counts. So a limit is met exactly, however many fetchers there are. A nil
// quota is no bound.
type quota struct {
	left    *semaphore.Weighted
	waiting atomic.Int64 // fetchers that found nothing left
	pending atomic.Int64 // shares taken by exchanges that are not settled yet
}

// newQuota is what is left of limit captures; 0 is no limit.
func newQuota(limit, made int64) *quota {
	if limit <= 0 {
		return nil
	}
	q := &quota{left: semaphore.NewWeighted(limit)}
	q.left.TryAcquire(min(made, limit))
	return q
}

// take waits for a share; false when ctx ended first.
func (q *quota) take(ctx context.Context) bool {
	if q == nil {
		return true
	}
	if !q.left.TryAcquire(1) {
		q.waiting.Add(1)
		defer q.waiting.Add(-1)
		if q.left.Acquire(ctx, 1) != nil {
			return false
		}
	}
	q.pending.Add(1)
	return true
}

// settled says how an exchange that had taken a share ended.
func (q *quota) settled(e api.Entry) {
	if q == nil {
		return
	}
	q.pending.Add(-1)
	if e.Place == (salvor.Place{}) {
		q.left.Release(1)
	}
}

// spent reports whether fetchers wait for a share that nothing under way can
// give back.
func (q *quota) spent() bool {
	return q != nil && q.waiting.Load() > 0 && q.pending.Load() == 0
}

// openQuota counts what is left of Config.Limit. What an earlier run captured
// was reported before: it counts.
func (w *Worker) openQuota(ctx context.Context) error {
	if w.c.Limit <= 0 {
		return nil
	}
	t, err := w.c.Coordinator.Totals(ctx, w.c.Crawl.ID)
	if err == nil {
		w.quota.Store(newQuota(w.c.Limit, t.Captures+int64(w.shelf.len())))
	}
	return err
}

// AtLimit reports whether Config.Limit captures were made.
func (w *Worker) AtLimit() bool { return w.quota.Load().spent() }
