package risk

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Input is all that an assessment rests on. The same Input gives the same
// Assessment.
type Input struct {
	Site      Site
	History   History
	Now       time.Time
	Catalogue *Catalogue        // nil: Default
	Learnt    map[string]Learnt // by class: what became of sites; may be nil

	without skipped // what to do as if it were not known: for explanations
	trusted factKey // what to take as confirmed
}

// Learnt is what became of the sites of a class.
type Learnt struct {
	Deaths [Clocks]float64
	Years  float64 // site-years looked at
}

// skipped names evidence to leave out; the zero value names none.
type skipped struct {
	fact     factKey
	deadline uint32
	override uint32
}

// Assessment is what may become of a site, seen from At. It is a value; its
// probabilities are of times from At on.
type Assessment struct {
	Site  string
	At    time.Time
	Model int // the catalogue's version
	Class string
	State State
	Why   string // of the state, for people

	in        Input
	cat       *Catalogue
	facts     []fact
	evidence  []evidence
	forces    []force
	deadlines []Deadline
	overrides []Override
	base      [Clocks]float64 // losses a year
	alive     time.Time       // it was there; At unless it is down
}

// evidence is what one fact says of one mechanism.
type evidence struct {
	mechanism string
	fact      *fact
	w         float64 // as it counts now
}

// force is a mechanism with evidence.
type force struct {
	Mechanism
	sum, used float64 // log-odds: of all evidence, after the cap
	q         float64 // belief that it is at work
}

// Assess says what may become of a site.
func Assess(in Input) Assessment {
	c := in.Catalogue
	if c == nil {
		c = Default()
	}
	k := c.class(in.Site.Class)
	a := Assessment{Site: in.Site.Name, At: in.Now.UTC(), Model: c.Version, Class: k.Name, in: in, cat: c}
	a.overrides = slices.DeleteFunc(in.Site.InForce(in.Now), func(o Override) bool { return o.ID == in.without.override })
	a.deadlines = slices.DeleteFunc(in.Site.Standing(), func(d Deadline) bool {
		return d.ID == in.without.deadline || d.Recorded.After(in.Now)
	})
	a.rates(k)
	a.facts = factsOf(c, in.History.Tracks, in.Now)
	a.judgeFacts()
	a.weigh()
	a.judgeState()
	return a
}

// rates are the base rates: learnt, and threatened.
func (a *Assessment) rates(k Class) {
	l := a.in.Learnt[k.Name]
	for c := range Clocks {
		a.base[c] = k.Posterior(c, l.Deaths[c], l.Years)
		for _, o := range a.overrides {
			if o.Kind == Threat {
				a.base[c] *= o.Value
			}
		}
	}
}

// judgeFacts leaves out what is muted, faded or not asked for.
func (a *Assessment) judgeFacts() {
	a.facts = slices.DeleteFunc(a.facts, func(f fact) bool { return f.key() == a.in.without.fact && f.ID != "" })
	for i := range a.facts {
		f := &a.facts[i]
		if f.key() == a.in.trusted && f.Confirm {
			f.why = ""
		}
		for _, o := range a.overrides {
			if o.Kind == Mute && o.Signal == f.ID && (o.Subject == "" || o.Subject == f.subject) {
				f.why = "muted by " + o.By
			}
		}
	}
}

// lighter is what is left of a weight that our own load may explain.
const lighter = .25

// ownLoad is by how much our own requests rose in the last hour; 0 not by much.
func (a *Assessment) ownLoad() float64 {
	for _, f := range a.facts {
		if f.ID == SigOwnLoad && f.why == "" && f.ended.IsZero() && a.At.Sub(f.last) <= time.Hour && f.newest.Value >= 1.5 {
			return f.newest.Value
		}
	}
	return 0
}

// weigh adds the facts up, mechanism by mechanism.
func (a *Assessment) weigh() {
	load := a.ownLoad() > 0
	for i := range a.facts {
		f := &a.facts[i]
		if f.why != "" {
			continue
		}
		nth := a.nth(f)
		for _, w := range f.Weights {
			if nth >= len(w.W) {
				continue
			}
			now := w.W[nth] * f.fade(a.At)
			if load && f.Load {
				now *= lighter
			}
			if math.Abs(now) >= faded {
				a.evidence = append(a.evidence, evidence{w.Mechanism, f, now})
			}
		}
	}
	for _, m := range a.cat.Mechanisms {
		if f, ok := a.force(m); ok {
			a.forces = append(a.forces, f)
		}
	}
}

// nth is the place of a fact among those of its signal, the earliest 0.
func (a *Assessment) nth(f *fact) (n int) {
	for i := range a.facts {
		o := &a.facts[i]
		if o.ID == f.ID && o.why == "" && cmp.Or(o.first.Compare(f.first), cmp.Compare(o.subject, f.subject)) < 0 {
			n++
		}
	}
	return n
}

// force sums a mechanism's evidence; false when none speaks for it. The cap is
// for facts that may have one cause: a single fact above it counts in full.
func (a *Assessment) force(m Mechanism) (f force, ok bool) {
	f = force{Mechanism: m}
	largest := 0.
	for _, e := range a.evidence {
		if e.mechanism == m.Name {
			f.sum += e.w
			largest = max(largest, e.w)
		}
	}
	f.used = min(f.sum, max(m.Cap, largest))
	f.q = sigmoid(logit(m.Prior) + f.used)
	return f, largest > 0
}

// part is what one cause adds to a clock's hazard.
type part struct {
	mechanism string
	clock     Clock
	deadline  *Deadline // of announced, when a date says more than the signs
	h         float64
}

const baseline = "baseline"

// parts are the causes at work on a clock, and their hazards cumulated by t.
func (a *Assessment) parts(c Clock, t time.Duration) []part {
	list := []part{{mechanism: baseline, clock: c, h: yearly(a.base[c], t)}}
	signs := 0.
	for _, f := range a.forces {
		switch p := f.q * soon(t, f.Mean); {
		case f.Clock != c:
		case f.Name == announced:
			signs = p
		default:
			list = append(list, part{mechanism: f.Name, clock: c, h: hazard(p)})
		}
	}
	// A date that is believed explains the signs of it.
	if p, d := a.dated(c, t); d != nil && (p >= signs || a.believed(c)) {
		list = append(list, part{announced, c, d, hazard(p)})
	} else if signs > 0 {
		list = append(list, part{announced, c, nil, hazard(signs)})
	}
	return list
}

// dated is the deadline that makes loss likeliest: several are not several
// chances to be lost, but several opinions.
func (a *Assessment) dated(c Clock, t time.Duration) (most float64, by *Deadline) {
	for i, d := range a.deadlines {
		if clock, ok := d.What.Clock(); !ok || clock != c {
			continue
		}
		if p := d.by(a.cat.law(d.Law), a.At, a.alive, t); by == nil || p > most {
			most, by = p, &a.deadlines[i]
		}
	}
	return most, by
}

// believed says whether a date of a clock is likelier meant than not.
func (a *Assessment) believed(c Clock) bool {
	return slices.ContainsFunc(a.deadlines, func(d Deadline) bool {
		clock, ok := d.What.Clock()
		return ok && clock == c && d.Confidence >= .5
	})
}

// P is the probability that the site is lost by t from now on, in the way of one
// clock: 0 to 1, never falling with t.
func (a *Assessment) P(c Clock, t time.Duration) float64 {
	return a.overridden(c, t, a.evident(c, t))
}

// evident is P by the evidence alone.
func (a *Assessment) evident(c Clock, t time.Duration) float64 {
	h := 0.
	for _, p := range a.parts(c, max(t, 0)) {
		h += p.h
	}
	if c == Host && a.State == Gone {
		return max(chance(h), goneSure)
	}
	return chance(h)
}

// goneSure is how surely what is Gone stays so: some come back after weeks.
const goneSure = .97

// overridden lets people have the last word: a pin before all, then the
// ceiling, then the floor, so that where the two meet the site is held at risk.
func (a *Assessment) overridden(c Clock, t time.Duration, p float64) float64 {
	t = max(t, 0)
	for _, kind := range []Kind{Ceiling, Floor, Pin} {
		for _, o := range a.overrides {
			if o.Kind != kind || o.Clock != c {
				continue
			}
			switch v := o.by(a.At, t); kind {
			case Ceiling:
				p = min(p, v)
			case Floor:
				p = max(p, v)
			case Pin:
				p = v
			}
		}
	}
	return p
}

// Lost is the probability that pages cannot be fetched any more by t from now
// on, because the host or the access to it is lost.
func (a *Assessment) Lost(t time.Duration) float64 { return 1 - a.Survival(t) }

// Survival is the probability that pages can still be fetched at t from now on:
// 0 to 1, never rising with t. It is what the planner weighs later fetches by.
func (a *Assessment) Survival(t time.Duration) float64 {
	return (1 - a.P(Host, t)) * (1 - a.P(Access, t))
}

// Point is Survival at a moment, seconds from now on. Between points it is close
// to linear; two points at one moment are a step.
type Point struct {
	At float64 `json:"at"`
	P  float64 `json:"p"`
}

// Points is Survival from now until a horizon, for a planner: n+1 moments that
// grow apart, and the steps at dates.
func (a *Assessment) Points(until time.Duration, n int) []Point {
	var list []Point
	for i := range n + 1 {
		x := float64(i) / float64(max(n, 1))
		t := time.Duration(x * x * float64(until))
		list = append(list, Point{t.Seconds(), a.Survival(t)})
	}
	for _, d := range a.deadlines {
		if t := d.At.Sub(a.At); t > 0 && t < until {
			list = append(list, Point{t.Seconds(), a.Survival(t - 1)}, Point{t.Seconds(), a.Survival(t)})
		}
	}
	slices.SortStableFunc(list, func(a, b Point) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(b.P, a.P)) })
	return slices.Compact(list)
}
