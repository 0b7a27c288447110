package plan

import (
	"cmp"
	"math"
	"slices"
)

// class is one host, or several that are planned for as if they were one.
type class struct {
	members []int // of the Input's hosts; those worth more first
	rate    float64
	ready   float64 // what can be fetched in the first interval
	pool    int
	tiers   []Tier
	there   []float64 // by interval
	before  bool
}

func (c *class) top() (v float64) {
	for _, t := range c.tiers {
		if t.Left > 0 {
			v = max(v, t.Value)
		}
	}
	return v
}

// lump makes a class of each host that matters most, and classes of those alike
// of the others: in a pool, as valuable, and lost as soon.
func lump(in *Input, w *weights) ([]class, Method) {
	order := make([]int, 0, len(in.Hosts))
	for i := range in.Hosts {
		if in.Hosts[i].left() > 0 && in.Hosts[i].Rate > 0 {
			order = append(order, i)
		}
	}
	if len(order) <= MaxHosts {
		classes := make([]class, 0, len(order))
		for _, i := range order {
			classes = append(classes, alone(in, w, i))
		}
		return classes, Exact
	}
	matter := func(i int) float64 { h := &in.Hosts[i]; return h.worth(min(h.left(), h.Rate*3600)) }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(matter(b), matter(a)) })
	single := MaxHosts / 2
	classes := make([]class, 0, MaxHosts)
	for _, i := range order[:single] {
		classes = append(classes, alone(in, w, i))
	}
	return append(classes, alike(in, w, order[single:])...), Lumped
}

func alone(in *Input, w *weights, i int) class {
	h := &in.Hosts[i]
	return class{
		members: []int{i}, rate: h.Rate, ready: h.ready(w.length(0)), pool: h.Pool, tiers: h.Tiers,
		there: w.there[i], before: h.Before > 0,
	}
}

// kind is what hosts of one class have in common.
type kind struct {
	pool, value, loss int
	served            bool
}

// alike puts hosts together. Values are alike within a factor of the square root
// of two, losses where they begin in the same interval and are as heavy.
func alike(in *Input, w *weights, hosts []int) []class {
	groups := map[kind][]int{}
	var kinds []kind
	for _, i := range hosts {
		h := &in.Hosts[i]
		k := kind{h.Pool, int(math.Round(2 * math.Log2(h.best()))), lossOf(w.there[i]), h.Before > 0}
		if groups[k] == nil {
			kinds = append(kinds, k)
		}
		groups[k] = append(groups[k], i)
	}
	var classes []class
	for _, k := range kinds {
		classes = append(classes, together(in, w, groups[k]))
	}
	return classes
}

// lossOf numbers the interval in which a host is half lost.
func lossOf(there []float64) int {
	for k, p := range there {
		if p < 0.5*there[0] || p == 0 {
			return k
		}
	}
	return len(there)
}

func together(in *Input, w *weights, members []int) class {
	slices.SortStableFunc(members, func(a, b int) int { return cmp.Compare(in.Hosts[b].best(), in.Hosts[a].best()) })
	c := class{members: members, pool: in.Hosts[members[0]].Pool, there: make([]float64, len(w.bounds)-1), before: in.Hosts[members[0]].Before > 0}
	tiers := map[int]Tier{}
	for _, i := range members {
		h := &in.Hosts[i]
		c.rate += h.Rate
		c.ready += h.ready(w.length(0))
		for k, p := range w.there[i] {
			c.there[k] += p * h.Rate
		}
		for _, t := range h.Tiers {
			if t.Left > 0 && t.Value > 0 {
				k := int(math.Round(2 * math.Log2(t.Value)))
				sum := tiers[k]
				tiers[k] = Tier{sum.Value + t.Value*t.Left, sum.Left + t.Left}
			}
		}
	}
	for k := range c.there {
		c.there[k] /= c.rate
	}
	for _, t := range tiers {
		c.tiers = append(c.tiers, Tier{t.Value / t.Left, t.Left})
	}
	slices.SortFunc(c.tiers, func(a, b Tier) int { return cmp.Compare(b.Value, a.Value) })
	return c
}

// divide gives each member its part of what the class gets: those worth more
// first.
func (c *class) divide(in *Input, s share, length float64, out []Service) {
	if len(c.members) == 1 {
		out[c.members[0]] = Service{Rate: s.now / length, Saved: s.saved, Value: s.value}
		return
	}
	all := 0.0
	for _, i := range c.members {
		all += in.Hosts[i].left()
	}
	for _, i := range c.members {
		h := &in.Hosts[i]
		n := min(h.ready(length), s.now)
		s.now -= n
		part := h.left() / all
		out[i] = Service{Rate: n / length, Saved: s.saved * part, Value: s.value * part}
	}
}
