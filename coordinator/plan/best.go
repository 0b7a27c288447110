package plan

import "math"

// Hindsight is a rescue of which everything is known: what plans are measured
// by. Times and rates are as in an Input.
type Hindsight struct {
	Capacity []Step
	Pools    []Sharing
	Hosts    []Course
}

// Course is what a host could take at each moment: nothing before anybody knew
// of it, and nothing after it was lost.
type Course struct {
	Rates []Step
	Pool  int // -1 none
	Tiers []Tier
}

// Sharing is what the hosts of a pool could take together at each moment.
type Sharing struct {
	Rates []Step
	Pool  int // it is a part of, an earlier one; -1 none
}

// Best is the most value that anybody could have saved, and what one more request
// in each interval would have been worth. It is exact where the bounds hold every
// moment at which a rate changes. With fewer bounds it is never less: what
// happens when within an interval is left open.
func (h *Hindsight) Best(bounds []float64) (value float64, price []float64) {
	k := len(bounds) - 1
	top := h.top()
	if k < 1 || top == 0 {
		return 0, make([]float64, max(k, 0))
	}
	net := newNetwork(1+k*(1+len(h.Pools)+len(h.Hosts)), k*len(h.Hosts))
	sinks := make([][]int32, len(h.Pools)+1) // the last one is the workers
	all := len(h.Pools)
	for j := range k {
		v, _ := net.node(0, 0, 0, amount(supply(h.Capacity, bounds[j], bounds[j+1])))
		sinks[all] = append(sinks[all], v)
	}
	sink := func(pool, j int) int32 {
		if pool < 0 {
			pool = all
		}
		return sinks[pool][j]
	}
	for i, p := range h.Pools {
		for j := range k {
			v, _ := net.node(0, sink(p.Pool, j), 0, amount(supply(p.Rates, bounds[j], bounds[j+1])))
			sinks[i] = append(sinks[i], v)
		}
	}
	for i := range h.Hosts {
		h.Hosts[i].join(net, bounds, top, sink)
	}
	net.solve(func() bool { return false })
	for e, f := range net.flow {
		value += float64(f) / unit * float64(net.gain[e]) / grain * top
	}
	for _, v := range sinks[all] {
		price = append(price, max(0, -float64(net.worth[v])/grain*top))
	}
	return value, price
}

// join makes the nodes of a host: what it could take in each interval, and its
// tiers.
func (c *Course) join(net *network, bounds []float64, top float64, sink func(pool, j int) int32) {
	at := make([]int32, len(bounds)-1)
	for j := range at {
		at[j] = -1
		if n := amount(supply(c.Rates, bounds[j], bounds[j+1])); n > 0 {
			at[j], _ = net.node(0, sink(c.Pool, j), 0, n)
		}
	}
	for _, t := range c.Tiers {
		if t.Left <= 0 || t.Value <= 0 {
			continue
		}
		v, _ := net.node(amount(t.Left), 0, 0, endless)
		for _, to := range at {
			if to >= 0 {
				net.arc(v, to, int64(math.Round(t.Value/top*grain)), endless)
			}
		}
	}
}

func (h *Hindsight) top() (v float64) {
	for _, c := range h.Hosts {
		for _, t := range c.Tiers {
			v = max(v, t.Value)
		}
	}
	return v
}

// supply is what a rate makes within a time.
func supply(steps []Step, from, to float64) (n float64) {
	for i, s := range steps {
		end := to
		if i+1 < len(steps) {
			end = min(end, steps[i+1].From)
		}
		n += s.Rate * max(0, end-max(from, s.From))
	}
	return n
}
