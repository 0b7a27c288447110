// Package rescue is the engine of `salvor save`: every role of a node in one
// process, for one crawl, on one directory.
//
// It opens what an archive directory holds (frontier, segments, log), runs a
// worker on it until nothing is left, a limit is reached or somebody says
// stop, then seals, reports and lets go. Whatever ends the process, the next
// run on the directory goes on where the last durable acknowledgement was.
package rescue

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"salvor"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
)

// Engine carries jobs out. Its zero value is ready.
type Engine struct{}

var _ job.Engine = Engine{}

// Run crawls as the job says; see job.Engine.
func (Engine) Run(ctx context.Context, j job.Job) (job.Result, error) {
	r, err := open(ctx, j)
	if err != nil {
		return job.Result{}, err
	}
	res, err := r.run(ctx)
	cerr := r.close(context.WithoutCancel(ctx), ctx.Err() == nil)
	if res.Reason == job.NoSpace && salvor.ClassOf(cerr) == salvor.Exhausted {
		cerr = nil // that is why it ended, and the log holds what could not be flushed
	}
	return res, errors.Join(err, cerr)
}

// run is the life of a crawl's process, from its first request to its report.
func (r *rescue) run(ctx context.Context) (job.Result, error) {
	if err := r.roomLeft(0); err != nil {
		return job.Result{}, err
	}
	if err := r.seed(ctx); err != nil {
		return job.Result{}, err
	}
	r.before = r.snapshot(ctx).Bytes
	r.show(progress.Crawling)
	reason, err := r.work(ctx)
	if ctx.Err() != nil {
		return job.Result{Reason: job.Interrupted, Final: r.shown}, r.stoppedNow()
	}
	if err != nil && salvor.ClassOf(err) != salvor.Exhausted {
		return job.Result{}, err
	}
	if err != nil {
		reason = job.NoSpace
		r.detail = err.Error()
	}
	return r.finish(ctx, reason)
}

// work runs the worker, and beside it what a changed scope left to do, and
// watches both. They have ended when it returns.
func (r *rescue) work(ctx context.Context) (job.Reason, error) {
	beside, leave := context.WithCancel(ctx)
	w := watch{rescue: r, tick: time.NewTicker(watchEvery), bytes: r.shown.Bytes, leave: leave}
	defer w.tick.Stop()
	worked, chored := make(chan error, 1), make(chan error, 1)
	var running errgroup.Group
	defer func() {
		leave()
		_ = running.Wait() // their errors went through the channels
	}()
	if err := w.start(ctx); err != nil {
		return "", err
	}
	if end := r.job.Settings.Deadline; !end.IsZero() && !time.Now().Before(end) {
		w.drain(job.Deadline) // what was captured is still reported
	}
	r.askChores()
	swept := make(chan struct{})
	running.Go(func() error { chored <- r.beside(beside, swept); return nil })
	running.Go(func() error { <-swept; worked <- r.worker.Run(ctx); return nil })
	return w.until(ctx, worked, chored)
}

// beside is what runs beside the worker: chores, and what keeps the archive's
// part in a Store elsewhere up to date. The first error ends it.
func (r *rescue) beside(ctx context.Context, swept chan<- struct{}) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return r.doChores(ctx, swept) })
	all.Go(func() error { return r.keepCheckpoints(ctx) })
	all.Go(func() error { return r.keepMirror(ctx) })
	all.Go(func() error { return r.keepProbes(ctx) })
	return all.Wait()
}
