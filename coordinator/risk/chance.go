package risk

import (
	"cmp"
	"slices"
	"time"
)

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
