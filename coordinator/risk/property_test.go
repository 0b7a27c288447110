package risk_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"salvor/coordinator/risk"
)

// anything is a site of random records and observations, which is alike for
// equal seeds.
func anything(t testing.TB, r *rand.Rand) risk.Input {
	t.Helper()
	in := risk.Input{Site: risk.Site{Name: "forum.example", Class: []string{"", "ugc", "young"}[r.IntN(3)]}, Now: noon}
	cat := risk.Default()
	for range r.IntN(40) {
		s := cat.Signals[r.IntN(len(cat.Signals))]
		n := r.IntN(3)
		o := risk.Observation{
			Site: "forum.example", Signal: s.ID, Subject: []string{"", "forum.example", "other"}[r.IntN(3)], Absent: r.IntN(4) == 0, Value: r.Float64() * 4,
			At: noon.Add(-time.Duration(r.Int64N(int64(10 * day)))), Vantage: risk.Vantage{Node: fmt.Sprint("n", n), Network: fmt.Sprint("AS", n)},
		}
		if s.ID == risk.SigErrorsWide {
			continue
		}
		if _, err := in.History.Add(cat, o); err != nil {
			t.Fatal(err)
		}
	}
	for range r.IntN(4) {
		d := inDays(noon.Add(-time.Duration(r.Int64N(int64(60*day)))), r.Float64()*90, .01+.99*r.Float64(), []string{"", "provider"}[r.IntN(2)])
		d.What, d.By = risk.End(r.IntN(5)), "ada"
		in.Site, _, _ = in.Site.AddDeadline(d)
	}
	for range r.IntN(3) {
		o := risk.Override{
			Kind: risk.Kind(r.IntN(5)), Clock: risk.Clock(r.IntN(3)), Value: float64(r.IntN(11)) / 10, Signal: risk.SigDown,
			Record: risk.Record{By: "ada", Recorded: noon.Add(-day)},
		}
		if o.Kind == risk.Threat {
			o.Value = 1 + 29*r.Float64()
		}
		if r.IntN(2) == 0 {
			o.Until = noon.Add(time.Duration(r.Int64N(int64(20*day))) - 5*day)
		}
		in.Site, _, _ = in.Site.AddOverride(o)
	}
	if err := in.Site.Check(); err != nil {
		t.Fatal(err)
	}
	return in
}

// TestProbabilities: they are in [0,1] and never fall with time, on any clock,
// whatever is known; the explanation's shares are parts of one, its lines few.
func TestProbabilities(t *testing.T) {
	for seed := range uint64(2000) {
		in := anything(t, rand.New(rand.NewPCG(seed, 1)))
		a := risk.Assess(in)
		before := [4]float64{}
		for _, h := range []float64{-1, 0, .1, 1, 6, 24, 7 * 24, 20 * 24, 30 * 24, 60 * 24, 90 * 24, 1000 * 24, 1e6} {
			span := time.Duration(h * float64(time.Hour))
			now := [4]float64{a.P(risk.Host, span), a.P(risk.Access, span), a.P(risk.Content, span), a.Lost(span)}
			for i, p := range now {
				if !(p >= 0 && p <= 1) || p < before[i]-1e-12 {
					t.Fatalf("seed %d: clock %d at %g h: %g after %g", seed, i, h, p, before[i])
				}
			}
			before = now
		}
		e := a.Explain()
		sum := 0.
		for _, l := range e.Lines {
			sum += l.Share
		}
		if len(e.Lines) > 5 || len(e.Changes) > 5 || sum > 1+1e-9 || math.IsNaN(sum) {
			t.Fatalf("seed %d: %d lines, %d changes, shares of %g", seed, len(e.Lines), len(e.Changes), sum)
		}
		checkText(t, e.Text())
	}
}

// TestMoreEvidence: what speaks for a loss never makes it less likely.
func TestMoreEvidence(t *testing.T) {
	cat := risk.Default()
	for _, m := range cat.Mechanisms {
		in := risk.Input{Site: site(t, "forum"), Now: noon}
		last := risk.Assess(in)
		for _, s := range cat.Signals {
			if w := weightFor(s, m.Name); w <= 0 || s.ID == risk.SigErrorsWide {
				continue
			}
			// As subjects differ, no look ends another; two vantages confirm.
			for _, n := range []string{"n1", "n2"} {
				o := risk.Observation{Site: "forum.example", Signal: s.ID, Subject: s.ID, At: noon, Vantage: risk.Vantage{Node: n}}
				if _, err := in.History.Add(cat, o); err != nil {
					t.Fatal(err)
				}
			}
			a := risk.Assess(in)
			for _, d := range []time.Duration{day, 7 * day, 90 * day} {
				if p, was := a.P(m.Clock, d), last.P(m.Clock, d); p < was-1e-12 {
					t.Errorf("%s: %s lowers the risk from %g to %g", m.Name, s.ID, was, p)
				}
			}
			last = a
		}
		if p := last.P(m.Clock, 7*day); p < .005 {
			t.Errorf("%s: all its evidence makes %g", m.Name, p)
		}
	}
}

func weightFor(s risk.Signal, mechanism string) float64 {
	for _, w := range s.Weights {
		if w.Mechanism == mechanism {
			return w.W[0]
		}
	}
	return 0
}

// TestMoreSubjects: a fresh fact counts before one that has faded, and the two
// never for less than one.
func TestMoreSubjects(t *testing.T) {
	p := func(sights ...seen) float64 {
		a := risk.Assess(risk.Input{Site: site(t, "forum"), History: history(t, sights...), Now: noon})
		return a.P(risk.Host, 7*day)
	}
	old, fresh := seen{risk.SigAppRemoved, "a", 10 * day}, seen{risk.SigAppRemoved, "b", 0}
	if one, both, third := p(fresh), p(old, fresh), p(old, fresh, seen{risk.SigAppRemoved, "c", 11 * day}); !(one < both && third == both) {
		t.Errorf("one %g, two %g, three %g", one, both, third)
	}
	old.signal, fresh.signal = risk.SigErrors, risk.SigErrors
	if one, both := p(fresh), p(old, fresh); one != both {
		t.Errorf("one %g, two %g", one, both)
	}
}

// TestCap: facts that may have one cause add up to the cap, one of them alone
// may be more.
func TestCap(t *testing.T) {
	for _, c := range []struct {
		sights []seen
		q      float64 // belief that the owner gave it up
	}{
		{[]seen{{risk.SigExpired, "", 0}}, 3},
		{[]seen{{risk.SigExpired, "", 0}, {risk.SigParkedNS, "", 0}}, 5},
		{[]seen{{risk.SigExpired, "", 0}, {risk.SigParkedNS, "", 0}, {risk.SigCertExpired, "", 0}}, 5},
		{[]seen{{risk.SigExpired, "", 0}, {risk.SigRedemption, "", 0}}, 6},
	} {
		a := risk.Assess(risk.Input{Site: site(t, "forum"), History: history(t, c.sights...), Now: noon})
		q := 1 / (1 + math.Exp(math.Log(.99/.01)-c.q))
		want := 1 - math.Exp(-.08*90/365)*(1-q*(1-math.Exp(-2)))
		if got := a.P(risk.Host, 90*day); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v: %g, want %g", c.sights, got, want)
		}
	}
}

// TestFading: events fade from their last sight, states only when they are not
// seen again.
func TestFading(t *testing.T) {
	p := func(signal string, ago time.Duration) float64 {
		a := risk.Assess(risk.Input{Site: site(t, "forum"), History: history(t, seen{signal, "", ago}), Now: noon})
		return a.P(risk.Host, 7*day)
	}
	if a, b, c := p(risk.SigErrors, 0), p(risk.SigErrors, 6*time.Hour), p(risk.SigErrors, 12*time.Hour); !(a > b && b > c) {
		t.Errorf("errors: %g, %g, %g", a, b, c)
	}
	if a, b, c := p(risk.SigExpired, 0), p(risk.SigExpired, 3*day), p(risk.SigExpired, 10*day); a != b || c >= b {
		t.Errorf("expired: %g, %g, %g", a, b, c)
	}
	base := risk.Assess(risk.Input{Site: site(t, "forum"), Now: noon})
	if a, b := p(risk.SigErrors, 9*day), base.P(risk.Host, 7*day); a != b {
		t.Errorf("errors of long ago make %g of %g", a, b)
	}
}

// TestDates: a date is soft before and after, and believed less once it passed.
func TestDates(t *testing.T) {
	d := inDays(noon, 10, .98, "company")
	p := func(now time.Time, span time.Duration) float64 {
		a := risk.Assess(risk.Input{Site: site(t, "forum", d), Now: now})
		return a.P(risk.Host, span)
	}
	early, just, after := p(noon, 10*day-time.Second), p(noon, 10*day), p(noon, 100*day)
	if !(early > .09 && early < .12 && just > .8 && just < .9 && after > .95) {
		t.Errorf("%g before the date, %g at it, %g long after", early, just, after)
	}
	if soon, late := p(noon.Add(11*day), 7*day), p(noon.Add(200*day), 7*day); !(soon > late && late > p(noon, 0)) || soon > .3 {
		t.Errorf("overdue: %g, later %g", soon, late)
	}
	a := risk.Assess(risk.Input{Site: site(t, "forum", d), Now: noon})
	if by := d.SafeBy(); by != noon.Add(156*time.Hour) {
		t.Errorf("safe by %s", by)
	}
	if by, now := a.SafeBy(); now || by.After(d.SafeBy()) {
		t.Errorf("safe by %s, now %v", by, now)
	}
}

func TestPoints(t *testing.T) {
	a := risk.Assess(risk.Input{Site: site(t, "forum", inDays(noon, 10, .98, "")), Now: noon})
	list := a.Points(30*day, 12)
	steps := 0
	for i, p := range list {
		if got := a.Survival(time.Duration(p.At * float64(time.Second))); p.P < got {
			t.Errorf("%g s: %g, survival %g", p.At, p.P, got)
		}
		if i > 0 && (p.At < list[i-1].At || p.P > list[i-1].P) {
			t.Errorf("%v after %v", p, list[i-1])
		}
		if i > 0 && p.At == list[i-1].At && list[i-1].P-p.P > .7 {
			steps++
		}
	}
	if steps != 1 || list[0].At != 0 || list[len(list)-1].At != (30*day).Seconds() {
		t.Errorf("%d steps in %v", steps, list)
	}
}

func TestLearnt(t *testing.T) {
	in := risk.Input{Site: site(t, "forum"), Now: noon}
	prior := risk.Assess(in)
	in.Learnt = map[string]risk.Learnt{"forum": {Deaths: [risk.Clocks]float64{risk.Host: 30}, Years: 100}}
	got, want := risk.Assess(in), 1-math.Exp(-34./150)
	if p := got.P(risk.Host, 365*day); math.Abs(p-want) > 1e-9 || p <= prior.P(risk.Host, 365*day) {
		t.Errorf("30 deaths in 100 site-years make %g a year, want %g", p, want)
	}
}

func BenchmarkAssess(b *testing.B) {
	in := anything(b, rand.New(rand.NewPCG(7, 1)))
	for b.Loop() {
		a := risk.Assess(in)
		a.Points(30*day, 12)
	}
}
