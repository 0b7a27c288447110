package coordinator

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/merge"
	"salvor/api/route"
	"salvor/coordinator/frontier"
	"salvor/coordinator/steward"
)

// site is a node of four Raft groups with one host in each, all of one server,
// and the sessions that fetch them.
type site struct {
	t      *testing.T
	router *route.Router
	groups []api.Group
	crawl  api.Crawl
	hosts  []string
	place  int64

	mu     sync.Mutex
	starts [][]time.Time // by session
}

func newSite(t *testing.T, f *fleet, sessions int) *site {
	f.start(0)
	f.announce(f.record(0, api.NodeActive))
	f.set(api.TableCluster, api.SettingsKey, []byte(`{"id":"x","level":2}`))
	f.eventually("merges are known", time.Minute, func() bool { return f.nodes[0].Level() == 2 })
	s := &site{t: t, starts: make([][]time.Time, sessions)}
	for g := range f.groups {
		s.groups = append(s.groups, f.nodes[0].Group(g))
	}
	s.router = route.New(s.groups)
	var err error
	s.crawl, err = s.router.CreateCrawl(t.Context(), api.Crawl{Name: "rescue", State: salvor.CrawlRunning, Scope: 1, Start: 20_000, Ceiling: 20_000})
	must(t, err)
	for g := range f.groups {
		for i := 0; len(s.hosts) <= g; i++ {
			if h := fmt.Sprintf("h%d.example", i); api.GroupOf(h, f.groups) == g {
				s.hosts = append(s.hosts, h)
			}
		}
	}
	for _, h := range s.hosts {
		s.offer(h)
	}
	return s
}

// offer discovers more pages of a host than are fetched; its robots.txt is known.
func (s *site) offer(host string) {
	r := &rescue{t: s.t, Group: s.groups[api.GroupOf(host, len(s.groups))].(*Group), crawl: s.crawl, open: map[string]bool{}}
	var err error
	r.session, err = r.Register(s.t.Context(), "seeder")
	must(s.t, err)
	for from := 0; from < 4000; from += 1000 {
		r.discover(host, from, from+1000)
	}
	must(s.t, r.End(s.t.Context(), r.session))
}

// steward looks after the groups until the test's part of it ends.
func (s *site) steward() (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var wait sync.WaitGroup
	c := steward.Config{Groups: s.groups, Leads: s.groups[0].(*Group).Leads}
	wait.Go(func() { steward.New(c).Run(ctx) })
	return func() { cancel(); wait.Wait() }
}

// fetch is one session that starts pages of two of the hosts at the sum of the
// paces of its leases, whatever the others do.
func (s *site) fetch(until context.Context, n int) {
	ctx := s.t.Context()
	id, err := s.router.Register(ctx, fmt.Sprint("worker ", n))
	must(s.t, err)
	request, seen, extended := uint64(0), salvor.LeaseID(0), time.Now()
	call := func() api.Call { request++; return api.Call{Session: id, Request: request} }
	held, due := map[salvor.LeaseID]*crewLease{}, time.Time{}
	mine := []string{s.hosts[n], s.hosts[(n+1)%len(s.hosts)]}
	for ; until.Err() == nil; time.Sleep(20 * time.Millisecond) {
		now := time.Now()
		if now.Sub(extended) >= salvor.ExtendEvery {
			extended = now
			h := api.Holdings{Seen: seen}
			for id, l := range held {
				if len(l.Items) > 0 {
					h.Leases = append(h.Leases, api.Extension{Lease: id, Pace: salvor.Unlimited})
				}
			}
			r, err := s.router.Extend(ctx, call(), h)
			must(s.t, err)
			next := map[salvor.LeaseID]*crewLease{}
			for _, x := range r.Granted {
				l := held[x.Lease]
				l.Pace, l.at, next[x.Lease] = x.Pace, now, l
			}
			held = next
			if len(r.Merged) != len(r.Granted) {
				s.t.Errorf("of %d leases of merged hosts only %d are said to be", len(r.Granted), len(r.Merged))
			}
		}
		var sum salvor.Pace
		var next *crewLease
		not := slices.Clone(s.hosts)
		not = slices.DeleteFunc(not, func(h string) bool { return slices.Contains(mine, h) })
		for _, l := range held {
			if len(l.Items) == 0 || now.Sub(l.at) >= salvor.LeaseTTL {
				continue
			}
			not = append(not, l.Host)
			if sum += l.Pace; l.Pace > 0 && (next == nil || len(l.Items) > len(next.Items)) {
				next = l
			}
		}
		if next != nil && !now.Before(due) {
			due = now.Add(sum.Interval())
			s.start(ctx, n, next, call())
		}
		if len(not) == len(s.hosts) {
			continue
		}
		got, err := s.router.Lease(ctx, call(), api.Want{Crawl: s.crawl.ID, Hosts: 1, Items: 50, Not: not})
		must(s.t, err)
		for _, l := range got {
			if l.Group != "cdn" {
				s.t.Errorf("a lease of %q", l.Group)
			}
			held[l.ID] = &crewLease{l, now}
			seen = max(seen, l.ID)
		}
	}
	must(s.t, s.router.End(ctx, id))
}

// start starts and settles the first page of a lease.
func (s *site) start(ctx context.Context, n int, l *crewLease, c api.Call) {
	s.mu.Lock()
	s.starts[n] = append(s.starts[n], time.Now())
	s.place++
	e := saved(l.Lease, 0, s.place)
	s.mu.Unlock()
	l.Items = l.Items[1:]
	must(s.t, s.router.Settle(ctx, c, api.Settlement{Crawl: l.Crawl, Entries: []api.Entry{e}}))
}

// most is how many starts there were in any window of a time.
func (s *site) most(from, to time.Time, window time.Duration) (most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []time.Time
	for _, list := range s.starts {
		all = append(all, list...)
	}
	for _, at := range all {
		n := 0
		for _, x := range all {
			if !x.Before(from) && x.Before(to) && !x.Before(at) && x.Sub(at) < window {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

func (s *site) merged() route.Merged {
	list, err := s.router.HostGroups(s.t.Context())
	must(s.t, err)
	if len(list) != 1 {
		s.t.Fatalf("%d budget groups", len(list))
	}
	return list[0]
}

// Four hosts of one server that live in four Raft groups share one budget,
// whoever fetches which; what one Raft group learns of the server, all obey.
func TestMergedAcrossRaftGroups(t *testing.T) {
	const sessions = 4
	virtual(t, 4, func(t *testing.T, f *fleet, m *memnet) {
		s := newSite(t, f, sessions)
		stop := s.steward()
		defer stop()
		time.Sleep(15 * time.Second)
		_, changed, err := s.router.MergeHosts(t.Context(), merge.Group{Name: "cdn", Hosts: s.hosts})
		if err != nil || !changed {
			t.Fatal(changed, err)
		}
		began := time.Now()
		f.eventually("all have it", 5*time.Second, func() bool { return s.merged().Lacks() == "" })
		t.Logf("merged in four Raft groups after %s", time.Since(began))

		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		for n := range sessions {
			wait.Go(func() { s.fetch(ctx, n) })
		}
		began = time.Now()
		time.Sleep(time.Minute)
		const budget = 20
		if n := s.most(began, time.Now(), 10*time.Second); n > budget*10+sessions || n < budget*7 {
			t.Errorf("%d starts in 10 s of %d a second", n, budget)
		} else {
			t.Logf("at most %d starts in 10 s of %d a second", n, budget)
		}

		// One says stop, for half a minute.
		said := time.Now()
		must(t, s.router.Feedback(t.Context(), []api.HostFeedback{{
			Crawl: s.crawl.ID, Host: s.hosts[2], Requests: 20, Throttled: 4, RetryAfter: said.Add(30 * time.Second).UnixMilli(),
		}}))
		f.eventually("all are blocked", 2*time.Second, func() bool {
			for _, p := range s.merged().Parts {
				if p.Blocked == 0 || p.Rate != 10_000 || p.Note == "" {
					return false
				}
			}
			return true
		})
		t.Logf("in all Raft groups after %s", time.Since(said))
		time.Sleep(time.Until(said.Add(29 * time.Second)))
		if n := s.most(said.Add(4*time.Second), time.Now(), time.Hour); n > 0 {
			t.Errorf("%d starts from 4 s after it on", n)
		}
		s.mu.Lock()
		last := said
		for _, list := range s.starts {
			if at := list[len(list)-1]; at.After(last) {
				last = at
			}
		}
		s.mu.Unlock()
		t.Logf("the last start was %s after it", last.Sub(said))

		// Then all together are half as fast, and no faster than rates grow.
		time.Sleep(15 * time.Second)
		resumed := said.Add(30 * time.Second)
		if n := s.most(resumed, time.Now(), 10*time.Second); n > 10*10+sessions || n < 10*5 {
			t.Errorf("%d starts in 10 s of 10 a second", n)
		} else {
			t.Logf("after it at most %d starts in 10 s of 10 a second", n)
		}
		cancel()
		wait.Wait()
	})
}

// A merge needs every coordinator to know of merges, and hosts that are free.
func TestMergesAreRefused(t *testing.T) {
	dir := t.TempDir()
	var level atomic.Uint32
	level.Store(1)
	g := startLevel(t, dir, &level)
	row := func(name string, hosts ...string) api.Record {
		r, err := merge.Group{Name: name, Hosts: hosts}.Record()
		must(t, err)
		return r
	}
	if _, err := g.SetRecord(t.Context(), row("cdn", "a", "b")); salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("at level 1: %v", err)
	}
	level.Store(uint32(frontier.Level))
	v, err := g.SetRecord(t.Context(), row("cdn", "a", "b"))
	must(t, err)
	for what, r := range map[string]api.Record{
		"a host twice":      row("x", "a", "a"),
		"one host":          row("x", "a"),
		"no JSON":           {Table: api.TableBudgets, Key: "x", Value: []byte("{")},
		"another's name":    {Table: api.TableBudgets, Key: "x", Value: row("y", "c", "d").Value},
		"a name with space": row("x y", "c", "d"),
	} {
		if _, err := g.SetRecord(t.Context(), r); salvor.ClassOf(err) != salvor.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
	var wait sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wait.Go(func() { _, errs[i] = g.SetRecord(t.Context(), row(fmt.Sprint("g", i), "c", fmt.Sprint("own", i))) })
	}
	wait.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if salvor.ClassOf(err) != salvor.Conflict {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d groups got host c", won)
	}
	_, err = g.SetRecord(t.Context(), api.Record{Table: api.TableBudgets, Key: "cdn", Version: v})
	must(t, err)
}
