package main

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"salvor"
	"salvor/api"
)

// load is what simulated workers do.
type load struct {
	links int     // of a page, that reach a group
	fresh int     // of these, to pages nobody knows
	rate  float64 // pages a second of each worker; 0 as fast as it can, less than 0 the same with a call for each page
	lease int     // items asked for at once
	left  atomic.Int64
}

// worker asks for work and reports it done as a real one with a Store on
// another machine does, in batches of the same sizes, and fetches nothing.
type worker struct {
	c     api.Coordinator
	web   *web
	load  *load
	name  string
	id    salvor.SessionID
	calls uint64

	segment  salvor.SegmentID
	offset   int64
	seen     salvor.LeaseID
	open     map[salvor.LeaseID]int // items of a lease that are not settled
	todo     []task
	done     []api.Entry
	hosts    map[string]int64 // pages since the last report
	extended time.Time
	begun    time.Time
	started  int
}

type task struct {
	salvor.Item
	lease salvor.LeaseID
}

const (
	parcelSize  = 256                   // offers of a Discover at most
	parcelDelay = 25 * time.Millisecond // how long a page's links wait for others
	settleSize  = 512                   // captures of a stored segment reported at once
)

// run works until no page of the load is left.
func (w *worker) run(ctx context.Context) (err error) {
	if w.id, err = w.c.Register(ctx, w.name); err != nil {
		return err
	}
	w.open, w.hosts = map[salvor.LeaseID]int{}, map[string]int64{}
	if w.segment, err = w.c.OpenSegment(ctx, w.call(), "BENCH-"+w.name); err != nil {
		return err
	}
	w.begun, w.extended = time.Now(), time.Now()
	for {
		n, err := w.some(ctx)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if err := w.pages(ctx, n); err != nil {
			return err
		}
	}
	if err := w.settle(ctx, 0); err != nil {
		return err
	}
	return w.c.End(ctx, w.id)
}

func (w *worker) call() api.Call {
	w.calls++
	return api.Call{Session: w.id, Request: w.calls}
}

// some gets work and says how many pages are done next; 0 at the end.
func (w *worker) some(ctx context.Context) (int, error) {
	n := max(parcelSize/max(w.load.links, 1), 1)
	switch {
	case w.load.rate < 0:
		n = 1
	case w.load.rate > 0:
		time.Sleep(parcelDelay)
		n = int(time.Since(w.begun).Seconds()*w.load.rate) - w.started
		if n <= 0 {
			return w.some(ctx)
		}
	}
	if left := w.load.left.Add(int64(-n)); left < 0 {
		n = max(n+int(left), 0)
	}
	w.started += n
	for len(w.todo) < n {
		if err := w.lease(ctx); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (w *worker) lease(ctx context.Context) error {
	if err := w.keep(ctx); err != nil {
		return err
	}
	call := w.call()
	var leases []api.Lease
	err := again(ctx, func() (err error) {
		leases, err = w.c.Lease(ctx, call, api.Want{Crawl: w.web.crawl.ID, Hosts: 1, Items: w.load.lease, Wait: time.Second})
		return err
	})
	for _, l := range leases {
		w.seen = max(w.seen, l.ID)
		w.open[l.ID] = len(l.Items)
		for _, it := range l.Items {
			if it.Class != salvor.ClassRobots {
				w.todo = append(w.todo, task{it, l.ID})
			} else if err := w.robots(ctx, task{it, l.ID}); err != nil {
				return err
			}
		}
	}
	return err
}

// keep extends what is held every 2 s, and tells then how the hosts answered.
func (w *worker) keep(ctx context.Context) error {
	if time.Since(w.extended) < salvor.ExtendEvery {
		return nil
	}
	w.extended = time.Now()
	var f []api.HostFeedback
	for host, n := range w.hosts {
		f = append(f, api.HostFeedback{Crawl: w.web.crawl.ID, Host: host, Requests: n, Latency: 20 * time.Millisecond})
	}
	clear(w.hosts)
	if err := again(ctx, func() error { return w.c.Feedback(ctx, f) }); err != nil {
		return err
	}
	h := api.Holdings{Seen: w.seen}
	for id := range w.open {
		h.Leases = append(h.Leases, api.Extension{Lease: id, Pace: salvor.Unlimited})
	}
	call := w.call()
	return again(ctx, func() error {
		_, err := w.c.Extend(ctx, call, h)
		return err
	})
}

// pages has fetched n pages.
func (w *worker) pages(ctx context.Context, n int) error {
	if err := w.keep(ctx); err != nil {
		return err
	}
	links := w.web.links(n, w.load.links, w.load.fresh)
	for len(links) > 0 {
		part := links[:min(len(links), parcelSize)]
		links = links[len(part):]
		if err := w.discover(ctx, part); err != nil {
			return err
		}
	}
	for _, t := range w.todo[:n] {
		w.done = append(w.done, w.entry(t))
	}
	w.todo = w.todo[n:]
	return w.settle(ctx, settleSize)
}

func (w *worker) discover(ctx context.Context, offers []api.Offer) error {
	call := w.call()
	return again(ctx, func() error {
		_, err := w.c.Discover(ctx, call, api.Discovery{Crawl: w.web.crawl.ID, Scope: w.web.crawl.Scope, Items: offers})
		return err
	})
}

// entry says that an item was saved.
func (w *worker) entry(t task) api.Entry {
	w.hosts[t.Host]++
	w.offset += 6000
	e := api.Entry{
		Key: t.Key, Host: t.Host, Lease: t.lease, Round: t.Round, Outcome: salvor.Saved, Status: 200,
		Place: salvor.Place{Segment: w.segment, Offset: w.offset, Length: 6000}, Bytes: 22_000, Type: "text/html", At: time.Now().UnixMilli(),
	}
	e.Digest[0] = 1
	return e
}

// robots reports a robots.txt, which the pages of its host wait for, at once.
func (w *worker) robots(ctx context.Context, t task) error {
	e := w.entry(t)
	rules := api.Robots{Origin: t.Origin, Status: api.RobotsNone, Fetched: e.At}
	return w.report(ctx, api.Settlement{Crawl: w.web.crawl.ID, Entries: []api.Entry{e}, Robots: []api.Robots{rules}})
}

// settle reports what is done once there are least entries.
func (w *worker) settle(ctx context.Context, least int) error {
	for len(w.done) > 0 && len(w.done) >= least {
		n := min(len(w.done), settleSize)
		if err := w.report(ctx, api.Settlement{Crawl: w.web.crawl.ID, Entries: w.done[:n]}); err != nil {
			return err
		}
		w.done = w.done[n:]
	}
	return nil
}

func (w *worker) report(ctx context.Context, s api.Settlement) error {
	call := w.call()
	if err := again(ctx, func() error { return w.c.Settle(ctx, call, s) }); err != nil {
		return err
	}
	for i := range s.Entries {
		id := s.Entries[i].Lease
		if w.open[id]--; w.open[id] <= 0 {
			delete(w.open, id)
		}
	}
	return nil
}

// again repeats what may come to pass.
func again(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil || salvor.ClassOf(err) != salvor.Unavailable || ctx.Err() != nil {
			return err
		}
		time.Sleep(20*time.Millisecond + rand.N(100*time.Millisecond))
	}
}
