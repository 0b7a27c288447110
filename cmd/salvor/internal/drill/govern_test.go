package drill

import (
	"context"
	"maps"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/drill/platform"
)

// ledger is a cluster's budgets: what is open, and what was set since the last
// look.
type ledger struct {
	open map[string]int64
	set  map[string]salvor.Pace
}

func (l *ledger) Hosts(context.Context, salvor.CrawlID, int) (out []api.Host, err error) {
	for name, n := range l.open {
		out = append(out, api.Host{Name: name, Totals: api.Totals{Queued: n - 1, Leased: 1, Waiting: 1000}})
	}
	return out, nil
}

func (l *ledger) SetCeiling(_ context.Context, _ salvor.CrawlID, host string, p salvor.Pace) error {
	l.set[host] = p
	return nil
}

func told(name, group string, rate float64, notices ...Notice) *rescued {
	return &rescued{
		site: Site{Spec: platform.Spec{Name: name, Group: group, Pages: 1000, Manner: platform.Conduct{Rate: rate}}, Notices: notices},
		web:  &platform.Site{Host: name},
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
	l := &ledger{open: map[string]int64{"a": 500, "b": 500, "c": 500, "d": 500}}
	g := &governor{policy: edf, capacity: 20 / spare, c: l, set: map[string]salvor.Pace{}, sites: []*rescued{
		told("a", "", 10, Notice{0, 60 * s}),
		told("b", "", 10, Notice{0, 90 * s}, Notice{10 * s, 20 * s}),
		told("c", "", 10, Notice{0, 80 * s}),
		told("d", "", 10, Notice{5 * s, 50 * s}),
	}}
	for _, c := range []struct {
		at   time.Duration
		want map[string]salvor.Pace
	}{
		{0, map[string]salvor.Pace{"a": 10000, "c": 10000, "b": crumb}},
		{s, map[string]salvor.Pace{}},
		{5 * s, map[string]salvor.Pace{"d": 10000, "c": crumb}},  // announced
		{10 * s, map[string]salvor.Pace{"b": 10000, "a": crumb}}, // moved forward
		{20 * s, map[string]salvor.Pace{"b": crumb, "a": 10000}}, // over
	} {
		l.set = map[string]salvor.Pace{}
		if err := g.govern(t.Context(), c.at); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(l.set, c.want) {
			t.Errorf("at %s set %v, want %v", c.at, l.set, c.want)
		}
	}
	l.set = map[string]salvor.Pace{}
	own := &governor{policy: Policies[0], c: l}
	if err := own.govern(t.Context(), 0); err != nil || len(l.set) > 0 {
		t.Errorf("the cluster's own policy is told %v, %v", l.set, err)
	}
}

// TestSharedBudget has two platforms behind one limit, which is one to divide.
func TestSharedBudget(t *testing.T) {
	g := &governor{sites: []*rescued{
		told("a", "cdn", 10, Notice{0, 60 * time.Second}),
		told("b", "", 5, Notice{0, 0}),
		told("c", "cdn", 10, Notice{0, 30 * time.Second}),
	}}
	names, got := g.standings(time.Second, []api.Host{{Name: "a", Totals: api.Totals{Queued: 30}}, {Name: "c", Totals: api.Totals{Queued: 10}}})
	if len(names) != 2 || names[0] != "a" || names[1] != "b" || got[0].Open != 40 || got[0].Deadline != 30*time.Second || got[0].Rate != 10 {
		t.Errorf("%v %+v", names, got)
	}
}
