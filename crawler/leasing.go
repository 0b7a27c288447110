package crawler

import (
	"context"
	"errors"
	"time"

	"salvor"
	"salvor/api"
)

const (
	// leaseItems is the largest slice of a host's queue asked for at once.
	leaseItems = 1000
	// leaseWait is how long a request for work waits at the coordinator.
	leaseWait = time.Second
	// reportEvery is how often hosts' feedback goes out.
	reportEvery = time.Second
	// gaveUpFor is how long a pace that a session gave up lies idle.
	gaveUpFor = salvor.ExtendEvery / 10
)

// keep holds the session's leases: it extends them, asks for more, and
// reports how hosts answered. Extends and requests for work are made one
// after the other, so that an extend never misses a lease whose answer is on
// its way. It ends with ctx; from the moment drain ends it asks for nothing.
func (w *Worker) keep(ctx, drain context.Context) error {
	var extended, reported time.Time
	for ctx.Err() == nil {
		// What a host asked for comes first: the extend after it has the new pace.
		pressed := w.sched.pressed()
		if pressed || time.Since(reported) >= reportEvery {
			if err := w.reportSoon(ctx); err != nil {
				return err
			}
			reported = time.Now()
		}
		if pressed || time.Since(extended) >= w.extendEvery() || w.sched.spent() {
			if err := w.extend(ctx); err != nil {
				return err
			}
			extended = time.Now()
		}
		if err := w.ask(ctx, drain); err != nil {
			return err
		}
	}
	return nil
}

// extendEvery is for how long the last extend is good.
func (w *Worker) extendEvery() time.Duration {
	if w.sched.gaveUp() || w.sched.brief() {
		return gaveUpFor
	}
	return salvor.ExtendEvery
}

// ask waits for work for at most a second, less when a host ran out of items.
func (w *Worker) ask(ctx, drain context.Context) error {
	hosts, not := w.sched.want(w.maxHosts(), leaseItems)
	if drain.Err() != nil || hosts <= 0 {
		select {
		case <-ctx.Done():
		case <-w.sched.hands:
		case <-time.After(leaseWait / 4):
		}
		return nil
	}
	sent := w.sched.now()
	call := w.session.call()
	leases, err := w.lease(ctx, call, api.Want{Crawl: w.c.Crawl.ID, Hosts: hosts, Items: leaseItems, Wait: min(leaseWait, w.extendEvery()), Not: not, Idle: w.sched.idle()})
	if err != nil {
		return stopped(ctx, err)
	}
	w.sched.add(leases, sent)
	return nil
}

// lease makes one request for work. When a host runs dry meanwhile it is
// broken off and repeated without waiting, so that no answer is missed.
func (w *Worker) lease(ctx context.Context, call api.Call, want api.Want) ([]api.Lease, error) {
	waiting, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		select {
		case <-w.sched.hands:
			cancel()
		case <-over:
		}
	}()
	leases, err := w.c.Coordinator.Lease(waiting, call, want)
	close(over)
	broken := waiting.Err() != nil
	cancel()
	if err == nil || (!broken && salvor.ClassOf(err) != salvor.Unavailable) || ctx.Err() != nil {
		return leases, err
	}
	want.Wait = 0
	err = repeat(ctx, func() (err error) {
		leases, err = w.c.Coordinator.Lease(ctx, call, want)
		return err
	})
	return leases, err
}

func (w *Worker) extend(ctx context.Context) error {
	held, sent := w.sched.holdings(), w.sched.now()
	var r api.Renewal
	err := w.session.do(ctx, func(c api.Call) (err error) {
		r, err = w.c.Coordinator.Extend(ctx, c, held)
		return err
	})
	if err != nil {
		return stopped(ctx, err)
	}
	return w.handBack(ctx, w.sched.renewed(r, sent))
}

// handBack returns items to the queue, for a session that has nothing to do.
func (w *Worker) handBack(ctx context.Context, xs []task) error {
	for len(xs) > 0 {
		n := min(len(xs), commitBatch)
		batch := make([]finished, n)
		for i, x := range xs[:n] {
			batch[i].entry = api.Entry{Key: x.Key, Host: x.Host, Lease: x.lease.ID, Round: x.Round, Verb: api.VerbPostpone}
		}
		if err := w.settle(ctx, batch); err != nil {
			return stopped(ctx, err)
		}
		w.sched.settled(xs[:n])
		xs = xs[n:]
	}
	return nil
}

// report tells how hosts answered, and returns when that is durable.
func (w *Worker) report(ctx context.Context) error {
	taken := time.Now()
	fs := w.sched.reports(w.c.Crawl.ID)
	if len(fs) == 0 {
		return nil
	}
	rest := fs
	if err := repeat(ctx, func() (err error) {
		rest, err = w.say(ctx, rest)
		return err
	}); err != nil {
		return stopped(ctx, err)
	}
	w.sched.told(taken)
	return nil
}

// say makes one attempt, and returns what must be said again.
func (w *Worker) say(ctx context.Context, fs []api.HostFeedback) (rest []api.HostFeedback, err error) {
	err = w.c.Coordinator.Feedback(ctx, fs)
	if e, ok := errors.AsType[*api.Unheard](err); ok {
		return e.Reports, err
	}
	return fs, err
}

// reportFor bounds an attempt to report beside the leases: they must not lapse
// because a part of the cluster is away.
const reportFor = 2 * time.Second

// reportSoon is report, but what cannot be told now is left for the next time.
func (w *Worker) reportSoon(ctx context.Context) error {
	taken := time.Now()
	fs := w.sched.reports(w.c.Crawl.ID)
	if len(fs) == 0 {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, reportFor)
	defer cancel()
	rest, err := w.say(limited, fs)
	switch {
	case err == nil:
		rest = nil
	case salvor.ClassOf(err) != salvor.Unavailable && limited.Err() == nil:
		return stopped(ctx, err)
	}
	w.sched.untold(rest)
	w.sched.told(taken)
	return nil
}

// maxHosts is how many hosts keep all connections busy.
func (w *Worker) maxHosts() int { return max(w.sched.connections(), 4) }

// stopped hides errors that only say that ctx ended.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
