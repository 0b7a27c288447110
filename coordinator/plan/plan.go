// Package plan says which hosts get the workers' time, when there is not enough
// of it to save everything before it is lost.
//
// It is for the coordinator, which asks every few seconds, for `salvor drill`,
// and for who asks what would be if. All of it is pure: the same Input gives the
// same Plan, and an Input is plain data that can be written down, changed and
// asked again.
//
// A page saved counts, whether the rest of its site is or not. So what can be
// saved of each host forms a polymatroid (the supplies that can be linked to the
// sinks of a network: Edmonds 1970; for machines, Federgruen and Groenevelt,
// Management Science 32, 1986), and a flow of maximal gain through a network of
// hosts and intervals of time is exactly the best plan when all is known. Dates
// that are uncertain enter as the probability that a host is still there, which
// weighs what is planned for later: the gain is then that of the relaxation whose
// value no adaptive policy exceeds, and is planned anew before it is off by much.
//
// Make is exact for up to MaxHosts hosts and close above; when it takes too long
// it gives the plan of Density, which is never worse than half the best whatever
// comes, and needs no dates.
package plan

import (
	"cmp"
	"math"
	"slices"
)

// Input is what is known now. Times are seconds from now on, amounts are
// requests, rates are requests a second.
type Input struct {
	Capacity []Step `json:"capacity"` // of the workers together; the first from 0 on
	Pools    []Pool `json:"pools,omitempty"`
	Hosts    []Host `json:"hosts"`
	// Every is how long a plan holds until the next is made; 0 is 15 s.
	Every float64 `json:"every,omitempty"`
}

// every is for how long rates are planned at once.
func (in *Input) every() float64 {
	if in.Every > 0 {
		return in.Every
	}
	return firstInterval
}

// Step is a rate from a moment on.
type Step struct {
	From float64 `json:"from"`
	Rate float64 `json:"rate"`
}

// Pool bounds what several hosts get together: those behind one CDN, or of one
// platform.
type Pool struct {
	Name string  `json:"name"`
	Rate float64 `json:"rate"`
	Pool int     `json:"pool"` // it is a part of, an earlier one; -1 none
}

// Host is what is planned for: a host of a crawl.
type Host struct {
	Name     string  `json:"name"`
	Rate     float64 `json:"rate"`               // at most: its budget
	Pool     int     `json:"pool"`               // -1 none
	Tiers    []Tier  `json:"tiers"`              // by falling value
	Queued   float64 `json:"queued"`             // what can be fetched now; the rest of the tiers is not found yet. -1 all
	Survival []Point `json:"survival,omitempty"` // none: it stays
	Before   float64 `json:"before,omitempty"`   // rate of the plan before
}

// Tier is a part of a host's requests that are worth the same each.
type Tier struct {
	Value float64 `json:"value"`
	Left  float64 `json:"left"`
}

// Point is the probability that a host is there at a moment. Between points it
// is linear, after the last it stays; two points at one moment are a step.
type Point struct {
	At float64 `json:"at"`
	P  float64 `json:"p"`
}

// Plan is what to do, and what comes of it. It holds until the next is made.
type Plan struct {
	Hosts []Service `json:"hosts"` // in the order of the Input
	// Saved and Value are expected over all time that was looked at.
	Saved  float64   `json:"saved"`
	Value  float64   `json:"value"`
	Bounds []float64 `json:"bounds"` // of the intervals; the first is 0
	// Price is what one more request in each interval would be worth; 0 where the
	// workers have time left.
	Price  []float64 `json:"price"`
	Method Method    `json:"method"`
}

// Method is how a plan was made.
type Method string

const (
	Exact   Method = "exact"
	Lumped  Method = "lumped"  // hosts that matter little were planned for by classes
	Density Method = "density" // what is worth most first, whatever the dates
)

// Service is what a host gets.
type Service struct {
	Rate  float64 `json:"rate"`  // now
	Saved float64 `json:"saved"` // requests, expected before it is lost
	Value float64 `json:"value"`
	Why   Reason  `json:"why"`
}

// Reason is what bounds a host's rate now.
type Reason string

const (
	ByBudget   Reason = "budget"   // its own rate is reached
	ByPool     Reason = "pool"     // that of a pool it shares is
	ByQueue    Reason = "queue"    // nothing more of it is known yet
	ByCapacity Reason = "capacity" // the workers' time goes to what is worth more
	ByLater    Reason = "later"    // there is time for it later, and others have none
	ByLoss     Reason = "lost"     // it is gone
	ByDone     Reason = "done"     // nothing is left
)

const (
	// MaxHosts is how many hosts are planned for one by one.
	MaxHosts = 400
	// leastIntervals and mostIntervals bound how finely time is cut, and cells how
	// many intervals there are of all hosts together: planning takes as long.
	leastIntervals, mostIntervals = 32, 128
	cells                         = 16_000
	// firstInterval is the length of the first, whose rates are used, where nobody
	// says when the next plan is made.
	firstInterval = 15.0
	// horizon is how far ahead is planned where nothing says how far.
	horizon = 7 * 24 * 3600.0
	// floorHazard is how probable it is that a host goes without a word, beside
	// what its curve says: 1 % a week. It makes now better than later where nothing
	// else does, and is too small to make less of a date that is known.
	floorHazard = 0.01 / horizon
	// hysteresis is how much better another host must be to take the place of one
	// that is served. It settles ties: a plan that holds to what it did gives away
	// as much of the value as this is above 1.
	hysteresis = 1.001
)

// Make plans. stop is asked now and then whether it takes too long; nil never
// does.
func Make(in Input, stop func() bool) Plan {
	if stop == nil {
		stop = func() bool { return false }
	}
	if len(in.Hosts) == 0 {
		return Plan{Bounds: []float64{0}, Method: Exact}
	}
	w := weigh(&in)
	classes, method := lump(&in, w)
	f := newFlows(&in, w, classes)
	if !f.net.solve(stop) {
		return ByDensity(in)
	}
	p := f.plan()
	p.Method = method
	p.fill(&in, w)
	p.explain(&in, w)
	return p
}

// weights are how probable it is, for each host and interval, that what is
// fetched there is fetched before the host is lost.
type weights struct {
	bounds []float64
	there  [][]float64 // by host, then interval
}

func (w *weights) length(k int) float64 { return w.bounds[k+1] - w.bounds[k] }

func weigh(in *Input) *weights {
	w := &weights{bounds: cut(in)}
	w.there = make([][]float64, len(in.Hosts))
	k := len(w.bounds) - 1
	all := make([]float64, len(in.Hosts)*k)
	for i := range in.Hosts {
		w.there[i] = all[i*k : (i+1)*k : (i+1)*k]
		in.Hosts[i].survive(w.bounds, w.there[i])
	}
	return w
}

// survive is a host's mean probability to be there in each interval, given that
// it is there now.
func (h *Host) survive(bounds, out []float64) {
	for k := range out {
		from, to := bounds[k], bounds[k+1]
		middle := (from + to) / 2
		p := h.there(middle)
		if k == 0 && p > 0 {
			p = 1 // what is planned for now is done now
		}
		out[k] = p * math.Exp(-floorHazard*middle)
	}
}

// there is the probability that the host is there at a moment.
func (h *Host) there(t float64) float64 {
	s := h.Survival
	if len(s) == 0 {
		return 1
	}
	i, _ := slices.BinarySearchFunc(s, t, func(p Point, t float64) int {
		if p.At <= t {
			return -1
		}
		return 1
	})
	switch {
	case i == len(s):
		return clamp(s[i-1].P)
	case i == 0:
		if s[0].At <= 0 {
			return clamp(s[0].P)
		}
		return clamp(1 + (s[0].P-1)*t/s[0].At) // from 1 now
	}
	a, b := s[i-1], s[i]
	return clamp(a.P + (b.P-a.P)*(t-a.At)/(b.At-a.At))
}

func clamp(p float64) float64 { return min(max(p, 0), 1) }

// left is all that is left of a host.
func (h *Host) left() (n float64) {
	for _, t := range h.Tiers {
		n += max(t.Left, 0)
	}
	return n
}

// best is the value of a host's most valuable request that is left.
func (h *Host) best() float64 {
	for _, t := range h.Tiers {
		if t.Left > 0 {
			return t.Value
		}
	}
	return 0
}

// ready is how much of a host can be fetched within a time.
func (h *Host) ready(seconds float64) float64 {
	n := min(h.Rate*seconds, h.left())
	if h.Queued >= 0 {
		n = min(n, h.Queued)
	}
	return max(n, 0)
}

// fill gives time that nobody needs to the hosts that are worth most and can
// take more.
func (p *Plan) fill(in *Input, w *weights) {
	free := rateAt(in.Capacity, 0)
	pools := make([]float64, len(in.Pools))
	for i := range in.Pools {
		pools[i] = in.Pools[i].Rate
	}
	for i, s := range p.Hosts {
		free -= s.Rate
		for q := in.Hosts[i].Pool; q >= 0; q = in.Pools[q].Pool {
			pools[q] -= s.Rate
		}
	}
	order := byValue(in, w)
	length := w.length(0)
	for _, i := range order {
		h := &in.Hosts[i]
		more := min(h.ready(length)/length-p.Hosts[i].Rate, free)
		for q := h.Pool; q >= 0; q = in.Pools[q].Pool {
			more = min(more, pools[q])
		}
		if more*length <= 1/unit || w.there[i][0] == 0 { // the flow is rounded to so much
			continue
		}
		p.Hosts[i].Rate += more
		free -= more
		for q := h.Pool; q >= 0; q = in.Pools[q].Pool {
			pools[q] -= more
		}
	}
}

// byValue are the hosts by what their best request is worth now.
func byValue(in *Input, w *weights) []int {
	order := make([]int, len(in.Hosts))
	worth := make([]float64, len(in.Hosts))
	for i := range order {
		order[i] = i
		worth[i] = in.Hosts[i].best() * w.there[i][0]
		if in.Hosts[i].Before > 0 {
			worth[i] *= hysteresis
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(worth[b], worth[a]) })
	return order
}

// ByDensity serves what is worth most first, at its full rate. Whatever the
// dates and sizes turn out to be, it saves at least half of what could be saved.
func ByDensity(in Input) Plan {
	w := weigh(&in)
	p := Plan{Hosts: make([]Service, len(in.Hosts)), Bounds: w.bounds, Price: make([]float64, len(w.bounds)-1), Method: Density}
	p.fill(&in, w)
	for i := range p.Hosts {
		h, s := &in.Hosts[i], &p.Hosts[i]
		for k := range len(w.bounds) - 1 {
			s.Saved += s.Rate * w.length(k) * w.there[i][k]
		}
		s.Saved = min(s.Saved, h.left())
		s.Value = h.worth(s.Saved)
		p.Saved, p.Value = p.Saved+s.Saved, p.Value+s.Value
	}
	p.explain(&in, w)
	return p
}

// worth is the value of a host's next n requests.
func (h *Host) worth(n float64) (v float64) {
	for _, t := range h.Tiers {
		take := min(n, t.Left)
		v, n = v+take*t.Value, n-take
	}
	return v
}

// rateAt is a rate of steps at a moment.
func rateAt(steps []Step, t float64) (r float64) {
	for _, s := range steps {
		if s.From <= t {
			r = s.Rate
		}
	}
	return r
}
