// Package sim plays rescues in virtual time: hosts that work flows out of at a
// rate, are heard of, and die, while a policy divides the workers among them.
//
// It is for who wants to know what a policy is worth before it matters: the tests
// of package plan, and salvor drill. It has no clock and draws no numbers: the
// same World gives the same Outcome. A policy learns what people would have
// learned by then, and nothing of what is to come.
package sim

import (
	"math"
	"slices"

	"salvor/coordinator/plan"
)

// World is a rescue as it will be. Times are seconds from its beginning, amounts
// requests, rates requests a second.
type World struct {
	Length   float64
	Period   float64 // between two looks of a policy
	Capacity []plan.Step
	Pools    []Pool
	Hosts    []Host
}

// Pool bounds what several hosts bear together.
type Pool struct {
	Rates []plan.Step
	Pool  int // it is a part of, an earlier one; -1 none
}

// Host is a host as it will be.
type Host struct {
	Name  string
	Tiers []plan.Tier // by falling value; each is fetched before the next
	Pool  int         // -1 none
	Rates []plan.Step // that it bears
	News  []News      // by time; the first is when people hear of the host
	Death float64     // +Inf: never
	// Hazard is how probable it is, a second, that the host dies before its
	// deadline, as people know it.
	Hazard float64
	// Guess is what people take the host's size for, in parts of what it is. 0 is
	// 1: they know it.
	Guess float64
}

// News is what people hear of a host's deadline; Deadline 0 names none.
type News struct{ At, Deadline float64 }

// Outcome is what came of a rescue under a policy.
type Outcome struct {
	Policy string
	Value  float64
	Hosts  []Saved // in the order of the World
	Curve  []Point // value saved by the end of each period
}

// Saved is what was saved of a host.
type Saved struct{ Requests, Value float64 }

// Point is the value saved by a moment.
type Point struct{ At, Value float64 }

// run is a rescue on its way.
type run struct {
	w       *World
	now     float64
	left    [][]float64 // by host and tier
	out     Outcome
	changes []float64 // moments at which a rate changes or a host dies
	want    []float64 // what the policy gives each host
	order   []int     // who gets what is left over
	rates   []float64
	pools   []float64 // what they have left, while rates are given
}

// Run plays the world under a policy.
func (w *World) Run(p Policy) Outcome {
	r := &run{w: w, out: Outcome{Policy: p.Name, Hosts: make([]Saved, len(w.Hosts))}, changes: w.changes()}
	r.want, r.rates, r.pools = make([]float64, len(w.Hosts)), make([]float64, len(w.Hosts)), make([]float64, len(w.Pools))
	for _, h := range w.Hosts {
		var left []float64
		for _, t := range h.Tiers {
			left = append(left, t.Left)
		}
		r.left = append(r.left, left)
	}
	for look := 0; r.now < w.Length; look++ {
		r.look(p)
		end := min(float64(look+1)*w.Period, w.Length)
		for r.now < end {
			r.divide()
			r.pass(end)
		}
		r.out.Curve = append(r.out.Curve, Point{r.now, r.out.Value})
	}
	return r.out
}

// changes are the moments at which what hosts bear or workers do changes.
func (w *World) changes() (out []float64) {
	add := func(steps []plan.Step) {
		for _, s := range steps {
			out = append(out, s.From)
		}
	}
	add(w.Capacity)
	for _, p := range w.Pools {
		add(p.Rates)
	}
	for _, h := range w.Hosts {
		add(h.Rates)
		out = append(out, h.Death)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// look asks the policy.
func (r *run) look(p Policy) {
	v := r.view()
	want := p.divide(v)
	order := p.rank(v)
	clear(r.want)
	for k, x := range want {
		r.want[v.Hosts[k].Host] = x
	}
	r.order = r.order[:0]
	for _, k := range order {
		r.order = append(r.order, v.Hosts[k].Host)
	}
}

// divide gives each host what the policy wants, and what is left over to the
// others, in the policy's order.
func (r *run) divide() {
	free := rateAt(r.w.Capacity, r.now)
	for q, p := range r.w.Pools {
		r.pools[q] = rateAt(p.Rates, r.now)
	}
	clear(r.rates)
	give := func(i int, most float64) {
		n := min(most, r.bears(i)-r.rates[i], free)
		for q := r.w.Hosts[i].Pool; q >= 0; q = r.w.Pools[q].Pool {
			n = min(n, r.pools[q])
		}
		if n <= 0 {
			return
		}
		r.rates[i], free = r.rates[i]+n, free-n
		for q := r.w.Hosts[i].Pool; q >= 0; q = r.w.Pools[q].Pool {
			r.pools[q] -= n
		}
	}
	for _, i := range r.order {
		give(i, r.want[i])
	}
	for _, i := range r.order {
		give(i, math.Inf(1))
	}
}

// bears is what a host takes now: nothing when it is dead or done.
func (r *run) bears(i int) float64 {
	h := &r.w.Hosts[i]
	if r.now >= h.Death || r.remains(i) <= 0 {
		return 0
	}
	return rateAt(h.Rates, r.now)
}

func (r *run) remains(i int) (n float64) {
	for _, x := range r.left[i] {
		n += x
	}
	return n
}

// pass lets time pass at the rates of now, until they change or a moment comes.
func (r *run) pass(end float64) {
	k, at := slices.BinarySearch(r.changes, r.now)
	if at {
		k++
	}
	if k < len(r.changes) {
		end = min(end, r.changes[k])
	}
	span := end - r.now
	for i, rate := range r.rates {
		if rate > 0 {
			span = min(span, r.remains(i)/rate)
		}
	}
	for i, rate := range r.rates {
		if rate > 0 {
			r.take(i, rate*span)
		}
	}
	if r.now+span >= end || r.now+span == r.now {
		r.now = end
		return
	}
	r.now += span
}

// dust is less than a request of a host that is done.
const dust = 1e-6

func (r *run) take(i int, n float64) {
	for j := range r.left[i] {
		x := min(n, r.left[i][j])
		n -= x
		if r.left[i][j] -= x; r.left[i][j] < dust {
			r.left[i][j] = 0
		}
		v := x * r.w.Hosts[i].Tiers[j].Value
		r.out.Value += v
		r.out.Hosts[i].Requests += x
		r.out.Hosts[i].Value += v
	}
}

// rateAt is a rate of steps at a moment.
func rateAt(steps []plan.Step, t float64) (rate float64) {
	for _, s := range steps {
		if s.From <= t {
			rate = s.Rate
		}
	}
	return rate
}
