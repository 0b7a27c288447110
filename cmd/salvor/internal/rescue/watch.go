package rescue

import (
	"context"
	"fmt"
	"time"

	"salvor/api"
	"salvor/cmd/salvor/internal/control"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
)

const (
	// watchEvery is how often the crawl's counters are looked at.
	watchEvery = 250 * time.Millisecond
	// sampleEvery is the distance of the report's throughput samples.
	sampleEvery = 5 * time.Second
)

// watch looks at a crawl while its worker runs, and ends it when it is done,
// or a limit, the deadline or the operator says so.
type watch struct {
	*rescue
	tick     *time.Ticker
	reason   job.Reason // why the worker was drained; "" it was not
	cutAt    time.Time  // when it also ends what is under way
	idle     *api.Totals
	sampled  time.Time
	bytes    int64 // captured at the look before
	drainSig <-chan struct{}
	leave    context.CancelFunc // ends the chores
}

// start obeys the orders that are there already, so that nothing is fetched
// faster than they allow.
func (w *watch) start(ctx context.Context) error {
	if err := w.startRates(ctx); err != nil {
		return err
	}
	select {
	case c := <-w.job.Control:
		w.order(ctx, c)
	default:
	}
	return nil
}

func (w *watch) order(ctx context.Context, c control.Change) {
	if err := w.obey(ctx, c); err != nil {
		w.notice(progress.Error, "control", "", fmt.Sprintf("order not carried out: %v", err))
	}
}

// until waits for the worker's end.
func (w *watch) until(ctx context.Context, worked, chored <-chan error) (job.Reason, error) {
	w.drainSig = w.job.Drain
	for {
		select {
		case err := <-worked:
			return w.ended(ctx, err)
		case err := <-chored:
			chored = nil
			if err != nil {
				w.worker.Drain()
				return "", firstError(<-worked, err)
			}
		case <-w.drainSig:
			w.drainSig = nil
			w.drain(job.Interrupted)
		case c := <-w.job.Control:
			w.order(ctx, c)
		case <-w.tick.C:
			if err := w.look(ctx); err != nil && ctx.Err() == nil {
				w.worker.Drain()
				return "", firstError(<-worked, err)
			}
		}
	}
}

func (w *watch) ended(ctx context.Context, err error) (job.Reason, error) {
	if w.reason == "" {
		w.reason = job.Interrupted
	}
	return w.reason, err
}

// drain lets the worker finish what is under way; the first reason holds.
func (w *watch) drain(why job.Reason) {
	if w.reason != "" {
		return
	}
	w.reason = why
	if why != job.Done {
		w.show(progress.Draining)
	}
	w.cutAt = time.Now().Add(grace(why))
	w.leave()
	w.worker.Drain()
}

// grace is how long what is under way may go on after a drain: a stream
// without end would hold it up for ever.
func grace(why job.Reason) time.Duration {
	switch why {
	case job.Deadline, job.Limit, job.NoSpace:
		return 2 * time.Second
	}
	return 20 * time.Second
}

// look reads the counters: shows them, and finds ends.
func (w *watch) look(ctx context.Context) error {
	t, err := w.node.Totals(ctx, w.crawl.ID)
	if err != nil {
		return err
	}
	w.update(ctx, t)
	w.checkRoom(w.received(t))
	if err := firstError(w.sample(t), w.scopeMoves(false)); err != nil {
		return err
	}
	switch {
	case w.reason != "":
		if time.Now().After(w.cutAt) {
			w.worker.Cut()
		}
	case w.finished(t):
		return w.done()
	case !w.job.Settings.Deadline.IsZero() && time.Now().After(w.job.Settings.Deadline):
		w.drain(job.Deadline)
	case w.limited(t):
		w.drain(job.Limit)
	}
	return nil
}

// finished needs two looks in a row that show nothing open and nothing newly
// accepted (docs/protocol.md 7), and that all chores are done: they may find
// more.
func (w *watch) finished(t api.Totals) bool {
	was := w.idle
	w.idle = nil
	if t.Open() > 0 || t.Accepted == 0 || !w.chores.idle() {
		return false
	}
	w.idle = &t
	return was != nil && was.Accepted == t.Accepted
}

// done ends the crawl, unless the scope grew since stored pages were judged:
// what they link to may belong now.
func (w *watch) done() error {
	if err := w.scopeMoves(true); err != nil {
		return err
	}
	w.mu.Lock()
	widened := w.memory.Widened
	w.mu.Unlock()
	if !widened {
		w.drain(job.Done)
		return nil
	}
	w.idle = nil
	w.chores.ask(rescanning)
	return nil
}

// limited compares with what this archive may hold in all. The worker keeps
// the limit of URLs exactly; bytes overshoot by what is under way.
func (w *watch) limited(t api.Totals) bool {
	s := &w.job.Settings
	if t.Open() == 0 {
		return false // nothing is left that the limit could keep out: it is finished
	}
	return (s.LimitURLs > 0 && t.Captures >= s.LimitURLs) || w.worker.AtLimit() || (s.LimitBytes > 0 && w.received(t) >= s.LimitBytes)
}

func (w *watch) sample(t api.Totals) error {
	if time.Since(w.sampled) < sampleEvery {
		return nil
	}
	w.sampled = time.Now()
	return w.addSample(t)
}

// obey carries out what DIR/control asks for.
func (w *watch) obey(ctx context.Context, c control.Change) error {
	s := c.State
	if s.Stop {
		w.drain(job.Interrupted)
	}
	w.worker.Pause(s.Paused)
	w.pausedNow(s.Paused)
	n := s.PerOrigin
	if n == 0 {
		n = w.job.Settings.PerOrigin
	}
	w.worker.SetPerOrigin(n)
	w.client.SetPerOrigin(n)
	if err := w.setRates(ctx, s.Rates); err != nil {
		return err
	}
	if s.ExcludeUnread { // what it said before stays in force
		return nil
	}
	return w.exclude(ctx, s.Exclude)
}
