package sim

import (
	"math"

	"salvor/coordinator/plan"
)

// View is what is known at a moment.
type View struct {
	Now      float64
	Period   float64 // until the next look
	Capacity float64
	Pools    []plan.Pool
	Hosts    []Seen // that people know of and that are there
}

// Seen is a host as it is known.
type Seen struct {
	Host     int // in the World
	Since    float64
	Deadline float64 // +Inf: none is known
	Rate     float64
	Pool     int
	Tiers    []plan.Tier
	Hazard   float64
	Before   float64 // what a plan gave it before
}

// view looks.
func (r *run) view() *View {
	v := &View{Now: r.now, Period: r.w.Period, Capacity: rateAt(r.w.Capacity, r.now)}
	for _, p := range r.w.Pools {
		v.Pools = append(v.Pools, plan.Pool{Rate: rateAt(p.Rates, r.now), Pool: p.Pool})
	}
	for i := range r.w.Hosts {
		h := &r.w.Hosts[i]
		deadline, known := h.heard(r.now)
		if !known || r.bears(i) == 0 {
			continue
		}
		s := Seen{Host: i, Since: h.News[0].At, Deadline: deadline, Rate: r.bears(i), Pool: h.Pool, Tiers: r.seen(i, deadline), Hazard: h.Hazard, Before: r.want[i]}
		if s.Deadline <= r.now { // it is overdue: the longer, the less likely to go soon
			s.Hazard = max(s.Hazard, 1/(r.now-s.Deadline+r.w.Period))
			s.Deadline = math.Inf(1)
		}
		v.Hosts = append(v.Hosts, s)
	}
	return v
}

// heard is the deadline that people know of; known is false before they hear of
// the host at all.
func (h *Host) heard(at float64) (deadline float64, known bool) {
	deadline = math.Inf(1)
	for _, n := range h.News {
		if n.At > at {
			break
		}
		known = true
		if deadline = n.Deadline; deadline == 0 {
			deadline = math.Inf(1)
		}
	}
	return deadline, known
}

// seen is what people take for what is left of a host until a deadline. Where
// there turns out to be more than they thought, nobody knows how much: they take
// it for as much as can be fetched until then.
func (r *run) seen(i int, deadline float64) []plan.Tier {
	h := &r.w.Hosts[i]
	out := make([]plan.Tier, len(h.Tiers))
	for j, t := range h.Tiers {
		left := r.left[i][j]
		out[j] = plan.Tier{Value: t.Value, Left: left}
		if left == 0 || h.Guess == 0 {
			continue
		}
		out[j].Left = h.Guess*t.Left - (t.Left - left)
		if out[j].Left < 1 {
			out[j].Left = r.bears(i) * (min(deadline, r.w.Length) - r.now)
		}
		out[j].Left = max(out[j].Left, 1)
	}
	return out
}

// best is the value of a host's next request.
func (s *Seen) best() float64 {
	for _, t := range s.Tiers {
		if t.Left > 0 {
			return t.Value
		}
	}
	return 0
}

func (s *Seen) left() (n float64) {
	for _, t := range s.Tiers {
		n += t.Left
	}
	return n
}
