package sim

import (
	"math"
	"slices"

	"salvor/coordinator/plan"
)

// Hindsight is what was possible, seen from the end: hosts can be asked from when
// people heard of them until they died.
func (w *World) Hindsight() plan.Hindsight {
	h := plan.Hindsight{Capacity: w.Capacity}
	for _, p := range w.Pools {
		h.Pools = append(h.Pools, plan.Sharing{Rates: p.Rates, Pool: p.Pool})
	}
	for i := range w.Hosts {
		x := &w.Hosts[i]
		h.Hosts = append(h.Hosts, plan.Course{Rates: x.there(), Pool: x.Pool, Tiers: x.Tiers})
	}
	return h
}

// there is what a host bears while it is known and alive.
func (h *Host) there() []plan.Step {
	from := h.News[0].At
	out := []plan.Step{{From: from, Rate: rateAt(h.Rates, from)}}
	for _, s := range h.Rates {
		if s.From > from && s.From < h.Death {
			out = append(out, s)
		}
	}
	if h.Death <= from {
		return nil
	}
	if !math.IsInf(h.Death, 1) {
		out = append(out, plan.Step{From: h.Death})
	}
	return out
}

// mostCells bounds how finely what was possible is worked out: hosts times
// intervals.
const mostCells = 20_000

// Best is the most value that anybody could have saved who had known everything
// beforehand. In a large world it is a little more than that, and never less.
func (w *World) Best() float64 {
	bounds := w.changes()
	for i := range w.Hosts {
		bounds = append(bounds, w.Hosts[i].News[0].At)
	}
	bounds = slices.DeleteFunc(bounds, func(t float64) bool { return t <= 0 || t >= w.Length })
	slices.Sort(bounds)
	bounds = slices.Compact(append([]float64{0}, append(bounds, w.Length)...))
	h := w.Hindsight()
	value, _ := h.Best(thin(bounds, max(mostCells/len(w.Hosts), 16)))
	return value
}

// thin keeps so many moments, evenly.
func thin(all []float64, n int) []float64 {
	if len(all) <= n+1 {
		return all
	}
	out := make([]float64, 0, n+1)
	for k := range n + 1 {
		out = append(out, all[k*(len(all)-1)/n])
	}
	return out
}
