package drill

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"salvor"
	"salvor/coordinator/plan"
	"salvor/coordinator/plan/sim"
)

const (
	// planEvery is how often a cluster plans.
	planEvery = time.Second
	// looks bounds how often a simulation does, and largeLooks where there are many
	// sites.
	looks, largeLooks = 100, 40
	large             = 400 // sites
)

// World is the scenario in virtual time, of so many workers. Errors and bans are
// not part of it: it is what a crawler could do that never meets any.
func (s *Scenario) World(workers int) *sim.World {
	w := &sim.World{Length: s.Length.Seconds(), Capacity: s.capacity(workers)}
	most := looks
	if len(s.Sites) > large {
		most = largeLooks
	}
	w.Period = max(planEvery.Seconds(), w.Length/float64(most))
	groups := map[string]int{}
	for i := range s.Sites {
		x := &s.Sites[i]
		h := x.host()
		if h.Pool = -1; x.Group != "" {
			k, ok := groups[x.Group]
			if !ok {
				k = len(w.Pools)
				groups[x.Group] = k
				w.Pools = append(w.Pools, sim.Pool{Rates: h.Rates, Pool: -1})
			}
			h.Pool = k
		}
		w.Hosts = append(w.Hosts, h)
	}
	return w
}

// capacity is what the workers can do over time.
func (s *Scenario) capacity(workers int) []plan.Step {
	out := []plan.Step{{Rate: s.Capacity}}
	for k, at := range s.Lost {
		left := max(float64(workers-k-1)/float64(workers), 0)
		out = append(out, plan.Step{From: at.Seconds(), Rate: s.Capacity * left})
	}
	return out
}

// usual is how probable it is that a site dies before its deadline, where nobody
// says more. The cluster's pilot takes it for as probable.
const usual = 0.05

func (x *Site) host() sim.Host {
	h := sim.Host{Name: x.Name, Rates: x.bears(), Death: math.Inf(1), Guess: x.Guess}
	if x.Manner.Death > 0 {
		h.Death = x.Manner.Death.Seconds()
	}
	for _, t := range x.Tiers {
		h.Tiers = append(h.Tiers, plan.Tier{Value: t.Value, Left: t.Share * float64(x.Pages)})
	}
	if len(h.Tiers) == 0 {
		h.Tiers = []plan.Tier{{Value: 1, Left: float64(x.Pages)}}
	}
	slices.SortStableFunc(h.Tiers, func(a, b plan.Tier) int { return cmp.Compare(b.Value, a.Value) })
	for _, n := range x.Notices {
		h.News = append(h.News, sim.News{At: n.At.Seconds(), Deadline: n.Deadline.Seconds()})
	}
	risk := x.Risk
	if risk == 0 {
		risk = usual
	}
	if first := h.News[0]; first.Deadline > first.At {
		h.Hazard = -math.Log(1-min(risk, 0.999)) / (first.Deadline - first.At)
	}
	return h
}

// bears is how many requests a second a site answers with what was asked for.
func (x *Site) bears() []plan.Step {
	m := &x.Manner
	rate := func(at time.Duration) float64 {
		r := m.Rate
		for _, c := range m.Changes {
			if c.At <= at {
				r = c.Rate
			}
		}
		if r == 0 {
			r = mostRate
		}
		for _, s := range m.Storms {
			if at >= s.From && at < s.To {
				r *= 1 - s.Share
			}
		}
		return r
	}
	moments := []time.Duration{0}
	for _, c := range m.Changes {
		moments = append(moments, c.At)
	}
	for _, s := range m.Storms {
		moments = append(moments, s.From, s.To)
	}
	slices.Sort(moments)
	var out []plan.Step
	for _, at := range slices.Compact(moments) {
		out = append(out, plan.Step{From: at.Seconds(), Rate: rate(at)})
	}
	return out
}

// Grown is the scenario with so many sites: copies of those it has, each of
// another size, value and rate, and workers for them all.
func (s Scenario) Grown(n int) Scenario {
	if n <= len(s.Sites) {
		return s
	}
	was, r := s.Sites, rand.New(rand.NewPCG(s.Seed, uint64(n)))
	factor := func() float64 { return math.Exp(0.7 * r.NormFloat64()) }
	s.Sites = slices.Clone(was)
	for i := len(was); i < n; i++ {
		x := was[i%len(was)]
		x.Name = numbered(x.Name+"-", i/len(was), n/len(was))
		if x.Group != "" {
			x.Group = numbered(x.Group+"-", i/len(was), n/len(was))
		}
		x.Pages = max(1, int(float64(x.Pages)*factor()))
		x.Manner.Rate *= factor()
		x.Manner.Changes = slices.Clone(x.Manner.Changes)
		worth := factor()
		x.Tiers = slices.Clone(x.Tiers)
		for k := range x.Tiers {
			x.Tiers[k].Value *= worth
		}
		s.Sites = append(s.Sites, x)
	}
	s.Capacity *= float64(n) / float64(len(was))
	return s
}

// Simulated is what came of a scenario in virtual time.
type Simulated struct {
	World    *sim.World
	Value    float64 // of all there was
	Possible float64 // of it, for who knows everything beforehand
	Results  []sim.Outcome
}

// Simulate plays a scenario in virtual time, under each policy.
func Simulate(s Scenario, workers int, policies []sim.Policy) (Simulated, error) {
	if err := s.Check(); err != nil {
		return Simulated{}, err
	}
	out := Simulated{World: s.World(workers)}
	for _, h := range out.World.Hosts {
		for _, t := range h.Tiers {
			out.Value += t.Value * t.Left
		}
	}
	out.Possible = out.World.Best()
	for _, p := range policies {
		out.Results = append(out.Results, out.World.Run(p))
	}
	return out, nil
}

// Planner is what a cluster does, in a simulation.
var Planner = SimPolicies[:1]

// SimPolicies are those of a simulation, the cluster's own first.
var SimPolicies = simPolicies()

func simPolicies() []sim.Policy {
	own, ok := sim.Find("haz")
	if !ok {
		panic("the planner's policy has another name")
	}
	own.Name = Policies[0].Name
	out := []sim.Policy{own}
	for _, p := range sim.Policies {
		if p.Name != "haz" {
			out = append(out, p)
		}
	}
	return out
}

// FindSimPolicy finds one by its name.
func FindSimPolicy(name string) (sim.Policy, error) {
	var names []string
	for _, p := range SimPolicies {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return sim.Policy{}, salvor.Errorf(salvor.Invalid, "there is no policy %q", name).WithHint("choose of %s", strings.Join(names, ", "))
}

// Lines are the results for a plot.
func (m *Simulated) Lines() (out []Result) {
	for _, o := range m.Results {
		r := Result{Policy: o.Policy}
		for _, p := range o.Curve {
			r.Curve = append(r.Curve, Point{time.Duration(p.At * float64(time.Second)), p.Value})
		}
		out = append(out, r)
	}
	return out
}
