package route

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"salvor"
	"salvor/api"
)

func (g *group) CreateCrawl(_ context.Context, c api.Crawl) (api.Crawl, error) {
	c.ID, c.Version = 7, 1
	g.crawls[c.ID] = c
	return c, nil
}

func (g *group) SetCrawl(_ context.Context, c api.Crawl) error {
	c.Version = g.crawls[c.ID].Version + 1
	g.crawls[c.ID] = c
	return nil
}

func (g *group) Crawl(_ context.Context, id salvor.CrawlID) (api.Crawl, error) {
	return g.crawls[id], nil
}

func (g *group) AdoptCrawl(_ context.Context, c api.Crawl) error {
	after, err := g.enter("AdoptCrawl")
	if err != nil {
		return err
	}
	g.crawls[c.ID] = c
	return after
}

// TestCrawlsReachAllGroups, or those are named that it did not reach.
func TestCrawlsReachAllGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs, r := newGroups(t, 4)
		c, err := r.CreateCrawl(t.Context(), api.Crawl{Name: "n"})
		if err != nil || c.ID != 7 {
			t.Fatal(c, err)
		}
		c.State = salvor.CrawlPaused
		if err := r.SetCrawl(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for _, g := range gs {
			if d := cmp.Diff(gs[0].crawls, g.crawls); d != "" || g.crawls[7].Version != 2 {
				t.Errorf("group %d: %s", g.number, d)
			}
		}
		gs[1].trouble = func(string) (error, error) { return salvor.Errorf(salvor.Unavailable, "away"), nil }
		r.groups[3] = hung{}
		start := time.Now()
		err = r.SetCrawl(t.Context(), c)
		if salvor.ClassOf(err) != salvor.Unavailable || !strings.Contains(err.Error(), "group 1, 3 ") || salvor.HintOf(err) == "" {
			t.Errorf("%v (%s)", err, salvor.HintOf(err))
		}
		if took := time.Since(start); took != adoptTime {
			t.Errorf("after %v", took)
		}
		if gs[2].crawls[7].Version != 3 {
			t.Error("group 2 was left behind")
		}
		if c, err := r.CreateCrawl(t.Context(), api.Crawl{Name: "n"}); c.ID != 7 || salvor.ClassOf(err) != salvor.Unavailable {
			t.Errorf("the crawl is made, and named beside the error: %v %v", c, err)
		}
	})
}

// TestRegister tries one number until every group has it, then another.
func TestRegister(t *testing.T) {
	gs, r := newGroups(t, 3)
	away := salvor.Errorf(salvor.Unavailable, "away")
	gs[2].trouble = func(string) (error, error) { return away, nil }
	for range 2 {
		if _, err := r.Register(t.Context(), "w"); !errors.Is(err, away) {
			t.Fatal(err)
		}
	}
	gs[2].trouble = nil
	before := maps.Clone(gs[0].sessions)
	a := registered(t, r)
	if _, ok := before[a]; !ok || a == 0 || a>>63 != 0 {
		t.Errorf("session %x, after %v", a, before)
	}
	b := registered(t, r)
	for _, g := range gs {
		if _, ok := g.sessions[b]; !ok || len(g.sessions) != 1 || a == b {
			t.Errorf("sessions %v of group %d, want %d, not %d", g.sessions, g.number, b, a)
		}
	}
	if err := r.End(t.Context(), b); err != nil || len(gs[1].sessions) != 0 {
		t.Error(err, gs[1].sessions)
	}
}

// TestSettleSorts entries by host and robots by the host of their origin, and
// leaves the caller's as they are.
func TestSettleSorts(t *testing.T) {
	const n = 4
	gs, r := newGroups(t, n)
	var s api.Settlement
	want := make([][]string, n)
	for i := range 40 {
		host := fmt.Sprintf("h%d.example", i)
		g := api.GroupOf(host, n)
		s.Entries = append(s.Entries, api.Entry{Host: host, Key: salvor.Key{byte(i)}, Lease: outer(g, salvor.LeaseID(i+1)<<16)})
		origin := []string{"https://" + host, "http://" + host + ":8080"}[i%2]
		s.Robots = append(s.Robots, api.Robots{Origin: origin})
		want[g] = append(want[g], origin)
	}
	for _, origin := range []string{"http://[2001:db8::1]", "http://[2001:db8::1]:81"} { // of no entry
		s.Robots = append(s.Robots, api.Robots{Origin: origin})
		g := api.GroupOf("[2001:db8::1]", n)
		want[g] = append(want[g], origin)
	}
	before := slices.Clone(s.Entries)
	if err := r.Settle(t.Context(), api.Call{Session: 1, Request: 1}, s); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, s.Entries); d != "" {
		t.Errorf("the caller's entries were changed: %s", d)
	}
	for g := range n {
		if !slices.Equal(gs[g].robots, want[g]) {
			t.Errorf("group %d: robots of %v, want %v", g, gs[g].robots, want[g])
		}
	}
	one := api.Settlement{Entries: slices.Clone(before[:1])}
	if err := r.Settle(t.Context(), api.Call{Session: 1, Request: 2}, one); err != nil || one.Entries[0] != before[0] {
		t.Error(one.Entries, err)
	}
}

// TestWorstError is what a caller acts on.
func TestWorstError(t *testing.T) {
	of := func(c salvor.ErrorClass) error { return salvor.Errorf(c, "%s", c) }
	away, stop, bad := of(salvor.Unavailable), of(salvor.Interrupted), of(salvor.Conflict)
	for _, c := range []struct {
		errs []error
		want error
	}{
		{nil, nil},
		{[]error{nil, nil}, nil},
		{[]error{nil, away}, away},
		{[]error{away, stop, nil}, stop},
		{[]error{stop, bad, away}, bad},
		{[]error{bad, of(salvor.NotFound)}, bad},
	} {
		if got := worst(c.errs); got != c.want {
			t.Errorf("%v: %v", c.errs, got)
		}
	}
}
