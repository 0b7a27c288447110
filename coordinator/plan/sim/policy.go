package sim

import (
	"cmp"
	"math"
	"slices"

	"salvor/coordinator/plan"
)

// Policy is a rule by which the workers are divided.
type Policy struct {
	Name  string
	About string // in a line
	// index is how urgent a host is: higher comes first. Nil for those that share.
	index func(v *View, s *Seen) float64
	// rates is what each host gets, where the order is not all there is; hosts
	// come in the order of the View.
	rates func(v *View) []float64
}

// Policies are all there are.
var Policies = []Policy{
	{Name: "fifo", About: "who was announced first", index: func(_ *View, s *Seen) float64 { return -s.Since }},
	{Name: "proportional", About: "each by what is left of it", rates: func(v *View) []float64 {
		return v.share(func(s *Seen) float64 { return s.left() })
	}},
	{Name: "rr", About: "everybody in turn", rates: func(v *View) []float64 {
		return v.share(func(*Seen) float64 { return 1 })
	}},
	{Name: "edf", About: "who ends first", index: func(_ *View, s *Seen) float64 { return -s.Deadline }},
	{Name: "llf", About: "who has the least time to spare", index: func(v *View, s *Seen) float64 {
		return -(s.Deadline - v.Now - s.left()/s.Rate)
	}},
	{Name: "density", About: "whose pages are worth most", index: func(_ *View, s *Seen) float64 { return s.best() }},
	{Name: "value/time", About: "whose pages are worth most for the time that is left", index: func(v *View, s *Seen) float64 {
		return s.best() / (s.Deadline - v.Now)
	}},
	{Name: "value*hazard", About: "where most value is lost by waiting", index: func(_ *View, s *Seen) float64 {
		return s.best() * (s.Hazard + math.SmallestNonzeroFloat32)
	}},
	{Name: "flow", About: "the planner, that trusts the dates", rates: func(v *View) []float64 { return v.plan(v.dates) }},
	{Name: "haz", About: "the planner, that weighs how probable it is that a host is still there", rates: func(v *View) []float64 { return v.plan(v.curves) }},
}

// divide is what each host gets for certain.
func (p *Policy) divide(v *View) []float64 {
	if p.rates == nil {
		return make([]float64, len(v.Hosts))
	}
	return p.rates(v)
}

// rank is in what order hosts get what is left over.
func (p *Policy) rank(v *View) []int {
	index := p.index
	if index == nil {
		index = func(_ *View, s *Seen) float64 { return s.best() }
	}
	order, by := make([]int, len(v.Hosts)), make([]float64, len(v.Hosts))
	for k := range order {
		order[k], by[k] = k, index(v, &v.Hosts[k])
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(by[b], by[a]) })
	return order
}

// share divides the capacity in proportion to weights, where no host gets more
// than it bears.
func (v *View) share(weight func(*Seen) float64) []float64 {
	out, order := make([]float64, len(v.Hosts)), make([]int, len(v.Hosts))
	full := make([]float64, len(v.Hosts)) // level at which a host has what it bears
	all := 0.0
	for k := range v.Hosts {
		s := &v.Hosts[k]
		order[k], full[k] = k, s.Rate/weight(s)
		all += weight(s)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(full[a], full[b]) })
	free := v.Capacity
	for _, k := range order {
		s := &v.Hosts[k]
		out[k] = min(s.Rate, weight(s)*free/all)
		free, all = free-out[k], all-weight(s)
	}
	return out
}

// plan asks the planner, with what is believed about how long hosts stay.
func (v *View) plan(stays func(*Seen) []plan.Point) []float64 {
	in := plan.Input{Capacity: []plan.Step{{Rate: v.Capacity}}, Pools: v.Pools, Every: v.Period}
	for k := range v.Hosts {
		s := &v.Hosts[k]
		in.Hosts = append(in.Hosts, plan.Host{Rate: s.Rate, Pool: s.Pool, Tiers: s.Tiers, Queued: -1, Survival: stays(s), Before: s.Before})
	}
	p := plan.Make(in, nil)
	out := make([]float64, len(v.Hosts))
	for k := range out {
		out[k] = p.Hosts[k].Rate
	}
	return out
}

// dates has hosts stay until their deadline.
func (v *View) dates(s *Seen) []plan.Point {
	if math.IsInf(s.Deadline, 1) {
		return nil
	}
	return []plan.Point{{At: 0, P: 1}, {At: s.Deadline - v.Now, P: 1}, {At: s.Deadline - v.Now, P: 0}}
}

// curves has hosts stay until their deadline, if they do not die before.
func (v *View) curves(s *Seen) []plan.Point {
	if s.Hazard == 0 {
		return v.dates(s)
	}
	end := min(s.Deadline-v.Now, 8/s.Hazard)
	const points = 24
	var out []plan.Point
	for k := range points + 1 {
		at := end * float64(k) / points
		out = append(out, plan.Point{At: at, P: math.Exp(-s.Hazard * at)})
	}
	return append(out, plan.Point{At: end, P: 0})
}

// Find finds a policy by its name.
func Find(name string) (Policy, bool) {
	for _, p := range Policies {
		if p.Name == name {
			return p, true
		}
	}
	return Policy{}, false
}
