package sim

import (
	"fmt"
	"math"
	"math/rand/v2"

	"salvor/coordinator/plan"
)

const hour = 3600.0

// shape is a kind of rescue, of which many are drawn.
type shape struct {
	hosts  int
	length float64
	load   float64 // of what could be asked for, by what the workers can do
	late   bool    // hosts are heard of over time
	early  float64 // how probable it is, on average, that a host dies before its date
}

// world draws one. Sizes, rates and values are spread as in the field: by
// factors. Dates lie on the steps of time.
func (s shape) world(seed uint64) *World {
	r := rand.New(rand.NewPCG(seed, uint64(1000*s.load)+uint64(100*s.early)+uint64(s.hosts)))
	w := &World{Length: s.length, Period: 2 * hour}
	step := func(t float64) float64 { return math.Round(t/w.Period) * w.Period }
	work := 0.0
	for i := range s.hosts {
		rate := math.Exp(r.NormFloat64())
		size := rate * s.length / 4 * math.Exp(1.7*r.NormFloat64()) / math.Exp(1.0)
		h := Host{Name: fmt.Sprint("h", i), Pool: -1, Tiers: []plan.Tier{{Value: math.Exp(r.NormFloat64()), Left: size}}}
		end := step(s.length * (0.05 + 0.95*r.Float64()))
		known := 0.0
		if s.late {
			known = step(r.Float64() * (end - w.Period))
		}
		h.Rates, h.News, h.Death = []plan.Step{{Rate: rate}}, []News{{known, end}}, end
		if s.early > 0 {
			h.Hazard = s.hazard(r, end)
			h.Death = min(end, r.ExpFloat64()/h.Hazard)
		}
		work += min(size, rate*(end-known))
		w.Hosts = append(w.Hosts, h)
	}
	w.Capacity = []plan.Step{{Rate: work / s.load / s.length}}
	return w
}

// hazard draws how probable it is that a host dies before its date, and makes a
// rate of it.
func (s shape) hazard(r *rand.Rand, end float64) float64 {
	wide := 0.9 * min(s.early, 1-s.early)
	p := s.early + wide*(2*r.Float64()-1)
	return -math.Log(1-p) / end
}
