package sites

import (
	"context"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/audit"
	"salvor/coordinator/risk"
)

// registry is group 0's, in memory.
type registry struct {
	mu    sync.Mutex
	rows  map[string]map[string]api.Record
	race  func() // before the next change, once
	reads int
}

func (r *registry) Records(_ context.Context, table string) (out []api.Record, _ error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	for _, x := range r.rows[table] {
		out = append(out, x)
	}
	return out, nil
}

func (r *registry) SetRecord(_ context.Context, x api.Record) (uint64, error) {
	if f := r.race; f != nil {
		r.race = nil
		f()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rows[x.Table] == nil {
		if r.rows == nil {
			r.rows = map[string]map[string]api.Record{}
		}
		r.rows[x.Table] = map[string]api.Record{}
	}
	if was := r.rows[x.Table][x.Key].Version; was != x.Version {
		return 0, salvor.Errorf(salvor.Conflict, "version %d, not %d", was, x.Version)
	}
	x.Version++
	r.rows[x.Table][x.Key] = x
	return x.Version, nil
}

var begin = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func deadline(at time.Time, confidence float64) func(risk.Site) (risk.Site, risk.Entry, error) {
	return func(s risk.Site) (risk.Site, risk.Entry, error) {
		return s.AddDeadline(risk.Deadline{At: at, Confidence: confidence, Record: risk.Record{By: "key k1", Recorded: begin, Note: "the mail to members"}})
	}
}

func world() (*registry, *Sites, *audit.Log, *time.Time) {
	r, now := &registry{}, begin
	log := audit.New(r, nil)
	return r, New(r, log, func() time.Time { return now }), log, &now
}

// TestDeadline: a record changes the odds of the site's hosts, is there for
// another node, and is in the audit log.
func TestDeadline(t *testing.T) {
	r, s, log, now := world()
	ctx := t.Context()
	if _, err := s.Change(ctx, "example.org", "key k1 (Ada)", deadline(begin.Add(10*time.Hour), .95)); err != nil {
		t.Fatal(err)
	}
	other := New(r, log, func() time.Time { return *now })
	for _, x := range []*Sites{s, other} {
		of, err := x.Outlooks(ctx, 7*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		o := of("forum.example.org")
		if o.Site != "example.org" || !o.Ends.Equal(begin.Add(10*time.Hour)) || o.SafeBy.IsZero() {
			t.Errorf("the outlook is %+v", o)
		}
		if before, after := at(o.Points, 9.9*3600), at(o.Points, 10.1*3600); before < .85 || after > .25 {
			t.Errorf("it is there with %.2f before its end and with %.2f after it", before, after)
		}
		if o := of("forum.example.com"); o.Site != "" || o.Points != nil {
			t.Errorf("of another site it tells %+v", o)
		}
	}
	lines, err := log.Read(ctx, "example.org", 10)
	if err != nil || len(lines) != 1 || lines[0].What != "deadline.set" || lines[0].By != "key k1 (Ada)" || !strings.Contains(string(lines[0].Change), "2026-12-01T22:00:00Z") {
		t.Errorf("the audit log has %+v, %v", lines, err)
	}
}

// TestOutlookReachesTheEnd: a date that lies within what is planned for is told,
// however far away it is.
func TestOutlookReachesTheEnd(t *testing.T) {
	_, s, _, _ := world()
	const days = 24 * time.Hour
	if _, err := s.Change(t.Context(), "example.org", "key k1 (Ada)", deadline(begin.Add(20*days), .95)); err != nil {
		t.Fatal(err)
	}
	for ahead, gone := range map[time.Duration]bool{7 * days: false, 30 * days: true} {
		of, err := s.Outlooks(t.Context(), ahead)
		if err != nil {
			t.Fatal(err)
		}
		list := of("example.org").Points
		if p := list[len(list)-1]; p.At != ahead.Seconds() || gone != (p.P < .25) {
			t.Errorf("looking %v ahead, the end is %+v", ahead, p)
		}
	}
}

func at(list []risk.Point, t float64) float64 {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].At <= t {
			if i+1 == len(list) {
				return list[i].P
			}
			a, b := list[i], list[i+1]
			return a.P + (b.P-a.P)*(t-a.At)/(b.At-a.At)
		}
	}
	return math.NaN()
}

// TestSomebodyElseIsFaster: both records are there.
func TestSomebodyElseIsFaster(t *testing.T) {
	r, s, log, now := world()
	ctx := t.Context()
	r.race = func() {
		other := New(r, log, func() time.Time { return *now })
		if _, err := other.Change(ctx, "example.org", "key k1 (Ada)", deadline(begin.Add(time.Hour), .5)); err != nil {
			t.Error(err)
		}
	}
	site, err := s.Change(ctx, "example.org", "key k1 (Ada)", deadline(begin.Add(2*time.Hour), .9))
	if err != nil || len(site.Deadlines) != 2 {
		t.Errorf("%+v, %v", site.Deadlines, err)
	}
}

// TestObserve: what probes saw is folded, whoever else folds at the same time, and
// one observation that cannot be kept keeps no other back.
func TestObserve(t *testing.T) {
	r, s, log, now := world()
	ctx := t.Context()
	look := func(site, signal, node string) risk.Observation {
		return risk.Observation{Site: site, Signal: signal, Subject: site, At: *now, Vantage: risk.Vantage{Node: node, Network: "AS" + node}}
	}
	r.race = func() {
		other := New(r, log, func() time.Time { return *now })
		if err := other.Observe(ctx, []risk.Observation{look("a.example", risk.SigHealthy, "2")}); err != nil {
			t.Error(err)
		}
	}
	bad := look("", risk.SigDown, "1")
	err := s.Observe(ctx, []risk.Observation{look("a.example", risk.SigHealthy, "1"), bad, look("b.example", risk.SigServerHold, "1")})
	if salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("an observation of no site: %v", err)
	}
	all, err := s.All(ctx)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d sites are known, %v", len(all), err)
	}
	if n := len(s.rows["a.example"].history.Tracks); n != 2 {
		t.Errorf("%d vantages saw a.example, want 2", n)
	}
	if a, b := all[0].Assessment, all[1].Assessment; a.State != risk.OK || b.Lost(7*24*time.Hour) < a.Lost(7*24*time.Hour) {
		t.Errorf("a is %v with %.3f, b %.3f", a.State, a.Lost(7*24*time.Hour), b.Lost(7*24*time.Hour))
	}
}

// TestReadsSeldom: a planner that asks every moment costs two reads a second.
func TestReadsSeldom(t *testing.T) {
	r, s, _, now := world()
	for range 100 {
		if _, err := s.Outlooks(t.Context(), 7*24*time.Hour); err != nil {
			t.Fatal(err)
		}
		*now = now.Add(100 * time.Millisecond)
	}
	if r.reads > 42 {
		t.Errorf("%d reads in 10 s, of two tables", r.reads)
	}
}

// TestSince: later, given that it is still there.
func TestSince(t *testing.T) {
	list := []risk.Point{{At: 0, P: 1}, {At: 10, P: .8}, {At: 10, P: .2}, {At: 20, P: .1}}
	got := since(list, 5)
	if want := .8 / .9; got[0].P != 1 || got[1].At != 5 || math.Abs(got[1].P-want) > 1e-9 || got[2].At != 5 {
		t.Errorf("%+v", got)
	}
	if got := since(list, 12); got[0] != (risk.Point{At: 0, P: 1}) || len(got) != 2 || got[1].At != 8 {
		t.Errorf("after the step %+v", got)
	}
}

// TestFrozen: a site is read-only from its date on, and its hosts are told so.
func TestFrozen(t *testing.T) {
	_, s, _, now := world()
	since := begin.Add(time.Hour)
	_, err := s.Change(t.Context(), "example.org", "key k1 (Ada)", func(x risk.Site) (risk.Site, risk.Entry, error) {
		return x.AddDeadline(risk.Deadline{What: risk.EndReadOnly, At: since, Confidence: 1, Record: risk.Record{By: "key k1", Recorded: begin}})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at time.Time
		is bool
	}{{begin, false}, {since.Add(time.Second), true}} {
		*now = c.at
		some, err := s.Frozen(t.Context())
		if err != nil || some != c.is {
			t.Errorf("at %s: %v, %v", c.at, some, err)
		}
		of, err := s.Outlooks(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if at := of("forum.example.org").Frozen; at.Equal(since) != c.is || of("example.com").Frozen != (time.Time{}) {
			t.Errorf("at %s its host is read-only since %s", c.at, at)
		}
	}
}
