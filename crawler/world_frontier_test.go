package crawler

import (
	"context"
	"strings"
	"sync"
	"time"

	"salvor"
	"salvor/api"
)

// frontier is a coordinator with one host: its state is a map, and changes
// only where a call is committed. Each call that changes something is two steps:
// one before it is committed, and one before its answer arrives.
type frontier struct {
	api.Coordinator // what a worker never calls
	w               *world
	crawl           api.Crawl

	mu       sync.Mutex
	items    map[salvor.Key]*knownItem
	robots   []api.Robots
	session  salvor.SessionID
	lease    salvor.LeaseID
	segments map[string]salvor.SegmentID
	stored   map[salvor.SegmentID]api.Segment
	dups     int
	changed  chan struct{}
}

type knownItem struct {
	api.Offer
	lease   salvor.LeaseID // 0: queued
	settled bool
	entry   api.Entry
	// answered: it is robots.txt, its rules are known and its bytes not durable.
	answered bool
	parked   bool // captured by an earlier session
	reports  int  // with this outcome
}

func newFrontier(w *world) *frontier {
	return &frontier{
		w: w, crawl: api.Crawl{ID: 1, Scope: 1, HashKey: salvor.HashKey{7}}, items: map[salvor.Key]*knownItem{},
		segments: map[string]salvor.SegmentID{}, stored: map[salvor.SegmentID]api.Segment{}, changed: make(chan struct{}),
	}
}

// commit changes the state between two steps.
func (f *frontier) commit(name string, change func()) error {
	if err := f.w.step(name); err != nil {
		return err
	}
	f.mu.Lock()
	change()
	close(f.changed)
	f.changed = make(chan struct{})
	f.mu.Unlock()
	return f.w.step(name + " answer")
}

func (f *frontier) bell() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// open counts what has no outcome.
func (f *frontier) open() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, it := range f.items {
		if !it.settled {
			n++
		}
	}
	return n
}

func (f *frontier) known(k salvor.Key) (knownItem, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if it := f.items[k]; it != nil {
		return *it, true
	}
	return knownItem{}, false
}

func (f *frontier) offer(o api.Offer) {
	if f.items[o.Key] == nil {
		f.items[o.Key] = &knownItem{Offer: o}
	}
}

func (f *frontier) Register(context.Context, string) (id salvor.SessionID, err error) {
	return f.session + 1, f.commit("Register", func() {
		f.session++
		for _, it := range f.items {
			it.lease, it.parked, it.answered = 0, false, false
		}
	})
}

func (f *frontier) End(context.Context, salvor.SessionID) error { return f.commit("End", func() {}) }

func (f *frontier) Discover(_ context.Context, _ api.Call, d api.Discovery) ([]api.Result, error) {
	return nil, f.commit("Discover", func() {
		for _, o := range d.Items {
			f.offer(o)
		}
	})
}

// Lease gives everything that is queued; robots.txt first, and alone.
func (f *frontier) Lease(ctx context.Context, _ api.Call, w api.Want) ([]api.Lease, error) {
	until := time.After(w.Wait)
	for {
		bell := f.bell()
		if l, ok := f.grant(); ok {
			return []api.Lease{l}, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-until:
			return nil, nil
		case <-bell:
		}
	}
}

func (f *frontier) grant() (api.Lease, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	robots := false
	for _, it := range f.items {
		robots = robots || it.Class == salvor.ClassRobots && !it.settled && !it.answered
	}
	l := api.Lease{ID: f.lease + 1, Crawl: 1, Host: "127.0.0.1", Pace: salvor.Unlimited, TTL: salvor.LeaseTTL, Robots: f.robots}
	for _, it := range f.items {
		if !it.settled && !it.parked && it.lease == 0 && (!robots || it.Class == salvor.ClassRobots) {
			it.lease = l.ID
			l.Items = append(l.Items, it.Item)
		}
	}
	if len(l.Items) > 0 {
		f.lease++
	}
	return l, len(l.Items) > 0
}

func (f *frontier) Extend(_ context.Context, _ api.Call, h api.Holdings) (api.Renewal, error) {
	for i := range h.Leases {
		h.Leases[i].Pace = salvor.Unlimited
	}
	return api.Renewal{Granted: h.Leases}, nil
}

func (f *frontier) Feedback(context.Context, []api.HostFeedback) error { return nil }

// Settle checks of each capture what must be so before it may be reported.
func (f *frontier) Settle(_ context.Context, _ api.Call, s api.Settlement) error {
	for _, e := range s.Entries {
		f.mayEnd(e)
	}
	return f.commit("Settle", func() {
		f.robots = append(f.robots, s.Robots...)
		for _, e := range s.Entries {
			f.end(f.items[e.Key], e)
		}
	})
}

func (f *frontier) end(it *knownItem, e api.Entry) {
	switch {
	case it.settled && it.entry.Place != e.Place:
		f.dups++
	case it.settled:
		it.reports++
	case e.Verb == api.VerbHold && it.lease == 0:
		it.parked = true
	case e.Verb == api.VerbHold:
		it.answered = it.lease == e.Lease
	case e.Verb != api.VerbSettle:
		it.lease = 0
	case e.Outcome.HasCapture() || it.lease == e.Lease:
		it.settled, it.entry, it.reports = true, e, 1
	}
}

// mayEnd is protocol 5: bytes are durable, links are known.
func (f *frontier) mayEnd(e api.Entry) {
	if e.Verb != api.VerbSettle || !e.Outcome.HasCapture() {
		return
	}
	name := f.segment(e.Place.Segment)
	if f.w.elsewhere {
		f.mu.Lock()
		state := f.stored[e.Place.Segment].State
		f.mu.Unlock()
		if state != api.SegmentStored {
			f.w.t.Errorf("%s is reported as %v, its segment is not in the Store", f.path(e.Key), e.Outcome)
		}
	}
	f.w.mu.Lock()
	durable := f.w.synced[name]
	f.w.mu.Unlock()
	if durable < e.Place.Offset+e.Place.Length {
		f.w.t.Errorf("%s is reported as %v with %d bytes of %s durable, its record ends at %d", f.path(e.Key), e.Outcome, durable, name, e.Place.Offset+e.Place.Length)
	}
	for _, l := range siteLinks[f.path(e.Key)] {
		if _, ok := f.known(f.w.key(l)); !ok {
			f.w.t.Errorf("%s is reported as %v, its link %s is not known", f.path(e.Key), e.Outcome, l)
		}
	}
}

func (f *frontier) path(k salvor.Key) string {
	it, _ := f.known(k)
	return strings.TrimPrefix(it.URL, f.w.web.URL)
}

func (f *frontier) segment(id salvor.SegmentID) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, n := range f.segments {
		if n == id {
			return name
		}
	}
	return ""
}

func (f *frontier) openSegment(_ context.Context, name string) (id salvor.SegmentID, err error) {
	err = f.commit("OpenSegment", func() {
		if f.segments[name] == 0 {
			f.segments[name] = salvor.SegmentID(len(f.segments) + 1)
		}
		id = f.segments[name]
	})
	return id, err
}

func (f *frontier) SetSegment(_ context.Context, s api.Segment) error {
	name := map[api.SegmentState]string{api.SegmentSealed: "Sealed", api.SegmentStored: "Stored"}[s.State]
	return f.commit(name, func() { f.stored[s.ID] = s })
}
