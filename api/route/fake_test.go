package route

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"salvor"
	"salvor/api"
)

// group is a small frontier: what it owns, it queues, leases and settles as
// the real one does, and it remembers its answers.
type group struct {
	api.Group // what a test does not expect panics
	t         testing.TB
	number    int
	of        int
	trouble   func(method string) (before, after error)

	mu       sync.Mutex
	bell     chan struct{} // closed and replaced when there is work
	index    uint64
	sessions map[salvor.SessionID]string
	queue    map[string][]salvor.Item
	leases   map[salvor.LeaseID]*held
	answers  map[api.Call][]salvor.LeaseID
	results  map[api.Call][]api.Result
	settled  map[salvor.Key]int
	robots   []string
	crawls   map[salvor.CrawlID]api.Crawl
	expired  int
	calls    map[string]int
	extends  []api.Holdings
	mute     bool // answers of Lease are lost when the caller has given up
}

type held struct {
	session salvor.SessionID
	host    string
	items   []salvor.Item
	age     int
}

func newGroups(t testing.TB, n int) ([]*group, *Router) {
	gs, as := make([]*group, n), make([]api.Group, n)
	for i := range gs {
		gs[i] = &group{
			t: t, number: i, of: n, bell: make(chan struct{}), index: 1000,
			sessions: map[salvor.SessionID]string{}, queue: map[string][]salvor.Item{}, leases: map[salvor.LeaseID]*held{},
			answers: map[api.Call][]salvor.LeaseID{}, results: map[api.Call][]api.Result{}, settled: map[salvor.Key]int{},
			crawls: map[salvor.CrawlID]api.Crawl{}, calls: map[string]int{},
		}
		as[i] = gs[i]
	}
	return gs, New(as)
}

// hostOfGroup is a host that a group owns.
func hostOfGroup(g, n, nth int) string {
	for i := 0; ; i++ {
		h := fmt.Sprintf("h%d.example", i)
		if api.GroupOf(h, n) == g {
			if nth == 0 {
				return h
			}
			nth--
		}
	}
}

// enter counts a call, and makes the trouble that is asked for.
func (g *group) enter(method string) (after, err error) {
	g.mu.Lock()
	g.calls[method]++
	trouble := g.trouble
	g.mu.Unlock()
	if trouble == nil {
		return nil, nil
	}
	before, after := trouble(method)
	return after, before
}

func (g *group) mine(host string) {
	if want := api.GroupOf(host, g.of); want != g.number {
		g.t.Errorf("group %d was given %s, which is group %d's", g.number, host, want)
	}
}

func (g *group) own(id salvor.LeaseID) {
	if id&groupMask != 0 {
		g.t.Errorf("group %d was given lease %x", g.number, id)
	}
}

func (g *group) ended(s salvor.SessionID) error {
	if _, ok := g.sessions[s]; !ok {
		return salvor.Errorf(salvor.NotFound, "session %d has ended in group %d", s, g.number)
	}
	return nil
}

func (g *group) RegisterAs(_ context.Context, worker string, s salvor.SessionID) error {
	after, err := g.enter("RegisterAs")
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.sessions, func(o salvor.SessionID, w string) bool { return w == worker && o != s })
	g.sessions[s] = worker
	return after
}

func (g *group) End(_ context.Context, s salvor.SessionID) error {
	after, err := g.enter("End")
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, l := range g.leases {
		if l.session == s {
			g.giveBack(id)
		}
	}
	delete(g.sessions, s)
	return after
}

// resultOf is what a fake says of an offer: it can be foretold.
func resultOf(o *api.Offer) api.Result { return api.Result(len(o.URL) % 5) }

func (g *group) Discover(_ context.Context, c api.Call, d api.Discovery) ([]api.Result, error) {
	after, err := g.enter("Discover")
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	res, again := g.results[c]
	if !again {
		for i := range d.Items {
			o := &d.Items[i]
			g.mine(o.Host)
			g.queue[o.Host] = append(g.queue[o.Host], o.Item)
			res = append(res, resultOf(o))
		}
		g.results[c] = res
		g.ring()
	}
	if after != nil {
		return nil, after
	}
	return res, nil
}

// ring wakes who waits for work. g.mu is held.
func (g *group) ring() {
	close(g.bell)
	g.bell = make(chan struct{})
}

func (g *group) Lease(ctx context.Context, c api.Call, w api.Want) ([]api.Lease, error) {
	after, err := g.enter("Lease")
	if err != nil {
		return nil, err
	}
	timed, cancel := context.WithTimeout(ctx, w.Wait)
	defer cancel()
	for {
		g.mu.Lock()
		leases, err := g.grant(c, w)
		bell := g.bell
		g.mu.Unlock()
		switch {
		case err != nil:
			return nil, err
		case after != nil:
			return nil, after
		case g.mute && ctx.Err() != nil:
			return nil, salvor.Errorf(salvor.Interrupted, "%w", ctx.Err())
		case len(leases) > 0 || w.Wait == 0:
			return leases, nil
		}
		select {
		case <-bell:
		case <-timed.Done():
			if ctx.Err() != nil {
				return nil, salvor.Errorf(salvor.Interrupted, "%w", ctx.Err())
			}
			return nil, nil
		}
	}
}

// grant answers as the state machine does: a call that was granted something
// gets the same again, as far as it is still held.
func (g *group) grant(c api.Call, w api.Want) (out []api.Lease, err error) {
	if err := g.ended(c.Session); err != nil {
		return nil, err
	}
	if ids, ok := g.answers[c]; ok {
		for _, id := range ids {
			if l := g.leases[id]; l != nil {
				out = append(out, api.Lease{ID: id, Host: l.host, Items: l.items})
			}
		}
		return out, nil
	}
	for _, h := range w.Not {
		g.mine(h)
	}
	g.index++
	for _, host := range slices.Sorted(maps.Keys(g.queue)) {
		if len(out) == w.Hosts {
			break
		}
		if slices.Contains(w.Not, host) {
			continue
		}
		items := g.queue[host]
		n := min(len(items), w.Items)
		id := salvor.LeaseID(g.index<<16 | uint64(len(out)))
		g.leases[id] = &held{session: c.Session, host: host, items: items[:n:n]}
		if g.queue[host] = items[n:]; n == len(items) {
			delete(g.queue, host)
		}
		out = append(out, api.Lease{ID: id, Host: host, Items: items[:n:n]})
		g.answers[c] = append(g.answers[c], id)
	}
	return out, nil
}

func (g *group) giveBack(id salvor.LeaseID) {
	l := g.leases[id]
	delete(g.leases, id)
	for _, it := range l.items {
		if g.settled[it.Key] == 0 {
			g.queue[l.host] = append(g.queue[l.host], it)
		}
	}
	g.ring()
}

func (g *group) Extend(_ context.Context, c api.Call, h api.Holdings) (r api.Renewal, err error) {
	after, err := g.enter("Extend")
	if err != nil {
		return r, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.ended(c.Session); err != nil {
		return r, err
	}
	g.extends = append(g.extends, h)
	g.own(h.Seen)
	listed := map[salvor.LeaseID]bool{}
	for _, x := range h.Leases {
		g.own(x.Lease)
		listed[x.Lease] = true
		if l := g.leases[x.Lease]; l != nil {
			l.age = 0
			r.Granted = append(r.Granted, x)
			r.Merged = append(r.Merged, api.Member{Lease: x.Lease, Group: "cdn"})
		} else {
			r.Lost = append(r.Lost, x.Lease)
		}
	}
	for _, x := range h.Unstarted {
		g.own(x.Lease)
		r.Recalled = append(r.Recalled, api.Slice{Lease: x.Lease, Items: x.Items / 2})
	}
	for id, l := range g.leases {
		if l.session == c.Session && id <= h.Seen && !listed[id] {
			g.giveBack(id)
		}
	}
	r.Struck = []salvor.Key{{byte(g.number)}}
	if after != nil {
		return api.Renewal{}, after
	}
	return r, nil
}

// tick lets time pass: a lease that is not extended for a while ends.
func (g *group) tick() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, l := range g.leases {
		if l.age++; l.age > 6 {
			g.expired++
			g.giveBack(id)
		}
	}
}

func (g *group) Settle(_ context.Context, _ api.Call, s api.Settlement) error {
	after, err := g.enter("Settle")
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range s.Entries {
		g.mine(e.Host)
		g.own(e.Lease)
		g.settled[e.Key]++
		if l := g.leases[e.Lease]; l != nil {
			l.items = slices.DeleteFunc(slices.Clone(l.items), func(it salvor.Item) bool { return it.Key == e.Key })
			if len(l.items) == 0 {
				delete(g.leases, e.Lease)
			}
		}
	}
	for _, x := range s.Robots {
		g.robots = append(g.robots, x.Origin)
	}
	return after
}

// left is how many items are not settled.
func (g *group) left() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, items := range g.queue {
		n += len(items)
	}
	for _, l := range g.leases {
		n += len(l.items)
	}
	return n
}
