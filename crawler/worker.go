// Package crawler is the worker: it takes leases, fetches over the recording
// transport, extracts links, writes records, and reports.
//
// It is for whoever runs a worker: `salvor save` in process, a cluster node
// over the network. It guarantees that nothing starts without a valid lease or
// faster than it allows; that an item is reported as saved only when its bytes
// are durable and all its links were acknowledged; and that what was captured
// before a crash is reported by the next run instead of being fetched again.
package crawler

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"salvor/api"
	"salvor/crawler/crawllog"
	"salvor/crawler/fetch"
	"salvor/crawler/scope"
	"salvor/warc"
	"salvor/warc/cdx"
)

// RobotsPolicy is what robots.txt means for a crawl.
type RobotsPolicy uint8

const (
	RobotsObey   RobotsPolicy = iota // obey; when it cannot be had, go on slowly after a while
	RobotsStrict                     // obey; when it cannot be had, wait
	RobotsIgnore                     // record it, follow its sitemaps, obey nothing
)

// Config is what a worker needs. Nothing in it may be nil but the callbacks.
type Config struct {
	Coordinator  api.Coordinator
	Crawl        api.Crawl
	Name         string // persistent id; guarded by a lock on its spool
	Fetch        *fetch.Client
	Pool         *warc.Pool
	Recovery     warc.Recovery // what Pool's opening found
	Originals    *cdx.Originals
	Log          *crawllog.Writer
	LogOffset    int64 // lines before it belong to attempts that were reported
	Scope        *scope.Scope
	Robots       RobotsPolicy
	RobotsAgents []string // product tokens, the most specific first
	Tries        int
	Connections  int
	PerOrigin    int
	Throttle     *rate.Limiter // of starts, shared by the workers of a node; nil: none
	Outlinks     bool          // write metadata records with outlinks
	CrawlDelay   bool          // let robots.txt lower the rate
	Deadline     time.Time
	Limit        int64 // captures of the crawl at most; 0 none
	Hold         Hold
	Restored     bool // the coordinator's state is a copy from before Recovery's captures
	Logger       *slog.Logger

	// SeedMoved is told, durably before the target is queued, that a seed
	// redirects: the target becomes a seed, and the scope returned, with its
	// version, holds it.
	SeedMoved func(ctx context.Context, from, to string) (*scope.Scope, uint32, error)
	// ScopeBehind is told that the coordinator has a newer scope than the worker:
	// what is offered waits until SetScope brings it. nil: whoever changes the
	// scope brings it anyway.
	ScopeBehind func()
	// Recovered is told that all of Recovery was reported, or is held; may be nil.
	Recovered func()
	// Notice is told of things that happen once: an invalid certificate, a
	// robots.txt that cannot be had.
	Notice func(code, host, url, text string)
}

// Worker is one session's work on one crawl.
type Worker struct {
	c       Config
	session *session
	sched   *schedule
	sender  *sender
	shelf   *shelf
	tasks   chan task
	dones   chan finished
	rules   atomic.Pointer[judgement]
	quota   atomic.Pointer[quota]
	waits   patience
	stats   counters

	drain     context.Context
	drainNow  context.CancelFunc
	cutting   context.Context
	cutNow    context.CancelFunc
	left      context.Context
	leaveNow  context.CancelFunc
	hire      chan struct{} // there may be fewer fetchers than connections
	failure   sync.Once
	lastCall  *time.Timer // ends what is under way after a failure
	seedMoves sync.Mutex
	told      sync.Map // notices given
	asked     sync.Map // when an origin's robots.txt was asked for first in vain
}

// judgement is a scope and its version.
type judgement struct {
	*scope.Scope
	version uint32
}

// New makes a worker; Run starts it.
func New(c Config) *Worker {
	w := &Worker{
		c:     c,
		sched: newSchedule(c.PerOrigin, c.RobotsAgents),
		shelf: newShelf(c.Hold),
		tasks: make(chan task),
		hire:  make(chan struct{}, 1),
		dones: make(chan finished, heldMax),
	}
	w.stats.errors, w.stats.notes, w.stats.certs = map[string]int64{}, map[string]int64{}, map[[2]string]int64{}
	w.rules.Store(&judgement{c.Scope, c.Crawl.Scope})
	w.drain, w.drainNow = context.WithCancel(context.Background())
	w.cutting, w.cutNow = context.WithCancel(context.Background())
	w.left, w.leaveNow = context.WithCancel(context.Background())
	w.sched.setConnections(max(c.Connections, 1))
	w.sender = newSender(c.Crawl.ID, func() uint32 { return w.rules.Load().version }, w.rejudge, w.discover)
	w.sender.behind = c.ScopeBehind
	if c.Hold.On {
		w.sender.delay = heldDelay
	}
	return w
}

// Drain starts nothing more. Run returns when what is under way is settled.
func (w *Worker) Drain() { w.drainNow() }

// Cut ends the exchanges under way after a Drain: what came so far is recorded
// as truncated, and the items stay open.
func (w *Worker) Cut() { w.cutNow() }

// Leave ends the wait of a Drain for the Store: what is held by then stays in
// the journals for the next run, and the session ends.
func (w *Worker) Leave() { w.leaveNow() }

// Pause stops or restarts all starts.
func (w *Worker) Pause(on bool) { w.sched.freeze(on) }

// Rest gives back to the coordinator all that is leased and not started: during
// a long Pause others may want it, or the host's budget.
func (w *Worker) Rest() {
	w.sched.clear()
	kick(w.sched.hands)
}

// SetConnections changes how many exchanges may be under way at once, 1 at
// least. What is under way beyond a lower number goes on to its end.
func (w *Worker) SetConnections(n int) {
	w.sched.setConnections(max(n, 1))
	kick(w.hire)
}

// SetPerOrigin changes how many exchanges may be under way with one origin.
func (w *Worker) SetPerOrigin(n int) { w.sched.setPerOrigin(n) }

// SetScope changes the scope everything is judged by from now on. One that is
// older than what is in force changes nothing: two may be on their way at once.
func (w *Worker) SetScope(s *scope.Scope, version uint32) {
	next := &judgement{s, version}
	for now := w.rules.Load(); now.version <= version; now = w.rules.Load() {
		if w.rules.CompareAndSwap(now, next) {
			return
		}
	}
}

// Run works until the worker is drained, ctx ends or something fails for
// good. When ctx ends it stops at once: what was captured is in the journal.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.holdFirst(ctx); err != nil {
		return err
	}
	s, err := openSession(ctx, w.c.Coordinator, w.c.Name)
	if err != nil {
		return err
	}
	w.session = s
	after, stopAfter := context.WithCancel(ctx) // outlives the fetchers
	defer stopAfter()
	defer w.dismiss()
	var back errgroup.Group
	back.Go(func() error { w.sender.run(after); return nil })

	// What the last run captured is reported before anything is leased:
	// registering put it back into the queue.
	err = firstError(w.recover(ctx), w.openQuota(ctx))
	if err == nil {
		if w.c.Recovered != nil {
			w.c.Recovered()
		}
		back.Go(func() error { return w.failing(w.keep(after, w.drain)) })
		back.Go(func() error { return w.failing(w.settleStored(after)) })
		err = w.work(ctx)
	}
	stopAfter()
	if kerr := back.Wait(); err == nil {
		err = kerr
	}
	if ctx.Err() == nil { // how hosts answered last must be known when the crawl goes on
		err = firstError(err, w.report(ctx), s.end(ctx))
	}
	return firstError(err, ctx.Err())
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// failGrace is how long what is under way may go on after a failure.
const failGrace = 20 * time.Second

// failing ends the worker's work when one of its loops fails: soon, since the
// next run is to mend it.
func (w *Worker) failing(err error) error {
	if err != nil {
		w.failure.Do(func() {
			w.Drain()
			w.Leave()
			w.lastCall = time.AfterFunc(failGrace, w.Cut)
		})
	}
	return err
}

// dismiss lets go of what outlives a run's goroutines.
func (w *Worker) dismiss() {
	w.failure.Do(func() {})
	if w.lastCall != nil {
		w.lastCall.Stop()
	}
}

// work runs dispatcher, fetchers and committer until drained.
func (w *Worker) work(ctx context.Context) error {
	dispatch, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(w.drain, func() { stop(); w.sched.clear() })()
	go w.sched.dispatch(dispatch, w.tasks, w.shelf.Room, w.c.Throttle)

	var commits, fetchers errgroup.Group
	commits.Go(func() error { return w.failing(w.commit(ctx)) })
	fetchers.Go(func() error { w.crew(ctx, dispatch, &fetchers); return nil })
	err := fetchers.Wait()
	close(w.dones)
	if err = firstError(err, commits.Wait()); err != nil {
		return err
	}
	return w.empty(ctx)
}

// crew starts fetchers, as many as there are connections, until none is needed
// any more. Where connections become fewer the schedule keeps some idle.
func (w *Worker) crew(ctx, needed context.Context, fetchers *errgroup.Group) {
	for hired := 0; ; {
		for hired < w.sched.connections() {
			hired++
			number := hired
			fetchers.Go(func() error { return w.failing(w.fetchAll(ctx, number)) })
		}
		select {
		case <-needed.Done():
			return
		case <-w.hire:
		}
	}
}

// fetchAll is one fetcher: it visits items until there are no more.
func (w *Worker) fetchAll(ctx context.Context, number int) error {
	d := w.c.Fetch.NewDriver()
	var failed error
	for x := range w.tasks {
		x.fetcher = number
		if failed == nil && ctx.Err() == nil {
			failed = w.failing(w.visit(ctx, d, x))
		}
		w.sched.landed(x)
	}
	return stopped(ctx, failed)
}
