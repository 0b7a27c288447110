package drill

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"salvor"
)

// Policy is a rule by which the workers' requests are divided among platforms.
type Policy struct {
	Name  string
	About string // in a line
	// Order puts the more urgent platform first. Nil shares evenly.
	Order func(a, b Standing) int
	// Own leaves the division to the cluster: it is not told any.
	Own bool
	// Args are the flags of salvor server in the drills of this policy.
	Args []string
}

// Standing is a platform as a policy sees it: what people and the cluster know.
type Standing struct {
	Known    time.Duration // since when
	Deadline time.Duration // as it was announced last; 0 none
	Rate     float64       // requests a second that it bears; 0: it is over
	Value    float64       // of a page, on average
	Use      float64       // requests a second that it is not going to exceed, whatever it gets
}

// unplanned keeps the cluster's planner from dividing what a policy divides.
var unplanned = []string{"--planner", "off"}

// Policies are all there are, the cluster's own first.
var Policies = []Policy{
	{Name: "salvor", About: "what the cluster does by itself", Own: true},
	{Name: "fifo", About: "who was announced first", Args: unplanned, Order: func(a, b Standing) int { return cmp.Compare(a.Known, b.Known) }},
	{Name: "rr", About: "everybody in turn", Args: unplanned},
	{Name: "edf", About: "who ends first", Args: unplanned, Order: func(a, b Standing) int { return cmp.Compare(a.end(), b.end()) }},
	{Name: "density", About: "whose pages are worth most", Args: unplanned, Order: func(a, b Standing) int { return cmp.Compare(b.Value, a.Value) }},
}

// FindPolicy finds one by its name.
func FindPolicy(name string) (Policy, error) {
	var names []string
	for _, p := range Policies {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Policy{}, salvor.Errorf(salvor.Invalid, "there is no policy %q", name).WithHint("choose of %s", strings.Join(names, ", "))
}

// end is when a platform ends as far as anybody knows.
func (s *Standing) end() time.Duration {
	if s.Deadline == 0 {
		return math.MaxInt64
	}
	return s.Deadline
}

// wish is how many requests a second a platform can use.
func (s *Standing) wish() float64 { return min(s.Rate, s.Use) }

// divide gives each platform a rate that it must not exceed, so that all use
// capacity together. What one does not use others get.
func (p *Policy) divide(capacity float64, sites []Standing) []float64 {
	rates := make([]float64, len(sites))
	order := make([]int, len(sites))
	for i := range order {
		order[i] = i
	}
	if p.Order == nil {
		level := even(capacity, sites, order)
		for i := range sites {
			rates[i] = min(sites[i].Rate, level)
		}
		return rates
	}
	slices.SortStableFunc(order, func(a, b int) int { return p.Order(sites[a], sites[b]) })
	for _, i := range order {
		rates[i] = min(sites[i].Rate, capacity)
		capacity -= min(sites[i].Use, rates[i])
	}
	return rates
}

// even is what each may use at most so that all together use capacity.
func even(capacity float64, sites []Standing, order []int) (level float64) {
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sites[a].wish(), sites[b].wish()) })
	for done, i := range order {
		level = capacity / float64(len(order)-done)
		if sites[i].wish() >= level {
			return level
		}
		capacity -= sites[i].wish()
	}
	return math.Inf(1)
}
