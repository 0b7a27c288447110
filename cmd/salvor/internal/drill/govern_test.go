package drill

import (
	"context"
	"maps"
	"testing"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/drill/platform"
)

// ledger is the ceilings that were set since the last look.
type ledger map[string]salvor.Pace

func (l ledger) SetCeiling(_ context.Context, _ salvor.CrawlID, host string, p salvor.Pace) error {
	l[host] = p
	return nil
}

func told(name, group string, rate float64, notices ...Notice) *rescued {
	return &rescued{
		site: Site{Spec: platform.Spec{Name: name, Group: group, Pages: 1000, Manner: platform.Conduct{Rate: rate}}, Notices: notices},
		web:  &platform.Site{Host: name}, asked: func() int { return 0 },
	}
}

// TestGovern follows a policy through news: only what changes is set, and who is
// not heard of is left alone.
func TestGovern(t *testing.T) {
	s := time.Second
	edf, err := FindPolicy("edf")
	if err != nil {
		t.Fatal(err)
	}
	l := ledger{}
	g := &governor{policy: edf, capacity: 20 / spare, c: l, meters: map[string]*meter{}, sites: []*rescued{
		told("a", "", 10, Notice{0, 60 * s}),
		told("b", "", 10, Notice{0, 90 * s}, Notice{10 * s, 20 * s}),
		told("c", "", 10, Notice{0, 80 * s}),
		told("d", "", 10, Notice{5 * s, 50 * s}),
	}}
	for _, x := range g.sites {
		x.asked = func() int { return 10 * int(g.meters["now"].since/s) } // each uses what it can
	}
	for _, c := range []struct {
		at   time.Duration
		want ledger
	}{
		{0, ledger{"a": 10000, "c": 10000, "b": crumb}},
		{s, ledger{}},
		{5 * s, ledger{"d": 10000, "c": crumb}},  // announced
		{10 * s, ledger{"b": 10000, "a": crumb}}, // moved forward
		{20 * s, ledger{"b": crumb, "a": 10000}}, // over
	} {
		clear(l)
		g.meters["now"] = &meter{since: c.at}
		if err := g.govern(t.Context(), c.at); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(l, c.want) {
			t.Errorf("at %s set %v, want %v", c.at, l, c.want)
		}
	}
	clear(l)
	own := &governor{policy: Policies[0], c: l}
	if err := own.govern(t.Context(), 0); err != nil || len(l) > 0 {
		t.Errorf("the cluster's own policy is told %v, %v", l, err)
	}
}

// TestUnused: what a platform got and does not use is another's, and it gets it
// back when it uses some.
func TestUnused(t *testing.T) {
	fifo, err := FindPolicy("fifo")
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	l := ledger{}
	g := &governor{policy: fifo, capacity: 20 / spare, c: l, meters: map[string]*meter{}, sites: []*rescued{told("a", "", 20, Notice{0, 0}), told("b", "", 20, Notice{0, 0})}}
	g.sites[0].asked = func() int { return asked }
	g.sites[1].asked = func() int { return 0 }
	at := time.Duration(0)
	for _, c := range []struct {
		seconds, use int
		rest         [2]salvor.Pace // what the other one gets in the end
	}{
		{10, 20, [2]salvor.Pace{crumb, crumb}},
		{20, 0, [2]salvor.Pace{18900, 19000}},
		{20, 10, [2]salvor.Pace{7900, 9000}}, // less often than it changes by a tenth
	} {
		for range c.seconds {
			asked += c.use
			at += time.Second
			if err := g.govern(t.Context(), at); err != nil {
				t.Fatal(err)
			}
		}
		if l["a"] != 20000 || l["b"] < c.rest[0] || l["b"] > c.rest[1] {
			t.Errorf("with %d requests a second: %v", c.use, l)
		}
	}
}

// TestSharedBudget has two platforms behind one limit, which is one to divide.
func TestSharedBudget(t *testing.T) {
	g := &governor{meters: map[string]*meter{}, sites: []*rescued{
		told("a", "cdn", 10, Notice{0, 60 * time.Second}),
		told("b", "", 5, Notice{0, 0}),
		told("c", "cdn", 10, Notice{0, 30 * time.Second}),
	}}
	names, got := g.standings(time.Second)
	if len(names) != 2 || names[0] != "a" || names[1] != "b" || got[0].Deadline != 30*time.Second || got[0].Rate != 10 {
		t.Errorf("%v %+v", names, got)
	}
}
