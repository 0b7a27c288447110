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
		s := Seen{Host: i, Since: h.News[0].At, Deadline: deadline, Rate: r.bears(i), Pool: h.Pool, Tiers: r.seen(i), Hazard: h.Hazard, Before: r.want[i]}
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

// found is by how much more than what was fetched is known of a host at least,
// until there is nothing more.
const found = 1.1

// seen is what people take for what is left of a host.
func (r *run) seen(i int) []plan.Tier {
	h := &r.w.Hosts[i]
	guess := h.Guess
	if guess == 0 {
		guess = 1
	}
	out := make([]plan.Tier, len(h.Tiers))
	for j, t := range h.Tiers {
		out[j].Value = t.Value
		if r.left[i][j] == 0 {
			continue
		}
		done := t.Left - r.left[i][j]
		out[j].Left = max(guess*t.Left, found*done) - done
		out[j].Left = max(out[j].Left, min(1, r.left[i][j]))
		if guess == 1 {
			out[j].Left = r.left[i][j]
		}
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
