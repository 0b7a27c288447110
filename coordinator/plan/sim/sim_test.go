package sim

import (
	"math"
	"slices"
	"testing"

	"salvor/coordinator/plan"
)

func steady(rate float64) []plan.Step { return []plan.Step{{Rate: rate}} }

// two is a large host that people know of, and a valuable one that they hear of
// later, behind one cap.
func two() *World {
	return &World{Length: 100, Period: 10, Capacity: []plan.Step{{Rate: 10}, {From: 50, Rate: 5}},
		Pools: []Pool{{Rates: []plan.Step{{Rate: 8}, {From: 80, Rate: 4}}, Pool: -1}},
		Hosts: []Host{
			{Name: "a", Tiers: []plan.Tier{{Value: 1, Left: 1000}}, Rates: steady(6), News: []News{{0, 90}}, Death: 60},
			{Name: "b", Tiers: []plan.Tier{{Value: 9, Left: 40}, {Value: 5, Left: 100}}, Rates: []plan.Step{{Rate: 4}, {From: 30, Rate: 2}}, News: []News{{15, 0}, {40, 70}}, Death: math.Inf(1)},
		}}
}

// TestBounds: nothing is fetched of a host before it is known or after it died,
// more of it than it bears or has, or more of all than the workers do, whatever
// the policy.
func TestBounds(t *testing.T) {
	for _, p := range Policies {
		w := two()
		o := w.Run(p)
		a, b := o.Hosts[0], o.Hosts[1]
		if a.Requests > 6*60+dust || a.Value != a.Requests {
			t.Errorf("%s: a gave %g requests in 60 s", p.Name, a.Requests)
		}
		if b.Requests > 4*10+2*70+dust || math.Abs(b.Value-(9*40+5*(b.Requests-40))) > 1e-3 {
			t.Errorf("%s: b gave %g requests worth %g", p.Name, b.Requests, b.Value)
		}
		if best := w.Best(); o.Value > best*(1+1e-6) {
			t.Errorf("%s saved %g where %g was possible", p.Name, o.Value, best)
		}
		if n := len(o.Curve); n != 10 || o.Curve[n-1] != (Point{100, o.Value}) {
			t.Errorf("%s: curve %v", p.Name, o.Curve)
		}
		if again := w.Run(p); again.Value != o.Value {
			t.Errorf("%s saved %g, and then %g", p.Name, o.Value, again.Value)
		}
	}
}

// TestViewHidesWhatIsToCome has people hear of hosts, dates and sizes when they
// do.
func TestViewHidesWhatIsToCome(t *testing.T) {
	w := two()
	w.Hosts[0].Guess = 10
	var seen [][]Seen
	spy := Policy{Name: "spy", rates: func(v *View) []float64 {
		seen = append(seen, slices.Clone(v.Hosts))
		return make([]float64, len(v.Hosts))
	}}
	w.Run(spy)
	if len(seen[0]) != 1 || seen[0][0].Deadline != 90 || seen[0][0].Tiers[0].Left != 10_000 {
		t.Errorf("at the start: %+v", seen[0])
	}
	if len(seen[1]) != 1 || len(seen[2]) != 2 || !math.IsInf(seen[2][1].Deadline, 1) || seen[4][1].Deadline != 70 {
		t.Errorf("later: %+v", seen[1:5])
	}
	for _, s := range seen[6] {
		if s.Host == 0 {
			t.Error("a host that is dead is seen")
		}
	}
}

// TestOverdue: a host that outlives its date is not given up.
func TestOverdue(t *testing.T) {
	w := &World{Length: 100, Period: 10, Capacity: steady(1), Hosts: []Host{
		{Tiers: []plan.Tier{{Value: 1, Left: 80}}, Rates: steady(1), News: []News{{0, 20}}, Death: math.Inf(1), Pool: -1}}}
	for _, p := range Policies {
		if o := w.Run(p); math.Abs(o.Value-80) > 1e-3 {
			t.Errorf("%s saved %g of 80", p.Name, o.Value)
		}
	}
}

// TestGuess: too small a guess hides work, and too large a one makes none.
func TestGuess(t *testing.T) {
	for _, guess := range []float64{0.1, 1, 10} {
		w := &World{Length: 100, Period: 2, Capacity: steady(1), Hosts: []Host{
			{Tiers: []plan.Tier{{Value: 2, Left: 10}, {Value: 1, Left: 40}}, Rates: steady(1), News: []News{{0, 90}}, Death: 90, Pool: -1, Guess: guess}}}
		for _, p := range Policies {
			if o := w.Run(p); math.Abs(o.Value-60) > 1e-3 {
				t.Errorf("%s, guess %g: saved %g of 60", p.Name, guess, o.Value)
			}
		}
	}
}

// TestShare gives each as much of the rest as its weight, up to what it bears.
func TestShare(t *testing.T) {
	v := &View{Capacity: 10, Hosts: []Seen{{Rate: 1}, {Rate: 8}, {Rate: 8}}}
	got := v.share(func(s *Seen) float64 { return 1 })
	if !slices.Equal(got, []float64{1, 4.5, 4.5}) {
		t.Errorf("%v", got)
	}
}

// TestBestByHand is small enough to be worked out by hand: A bears 2/s until 10,
// B 1/s until 12, the workers do 2/s. Who serves A alone first loses a part of B.
func TestBestByHand(t *testing.T) {
	w := &World{Length: 12, Period: 1, Capacity: steady(2), Hosts: []Host{
		{Tiers: []plan.Tier{{Value: 1, Left: 10}}, Rates: steady(2), News: []News{{0, 10}}, Death: 10, Pool: -1},
		{Tiers: []plan.Tier{{Value: 1, Left: 12}}, Rates: steady(1), News: []News{{0, 12}}, Death: 12, Pool: -1},
	}}
	if v := w.Best(); math.Abs(v-22) > 1e-6 {
		t.Errorf("the most is %g, want 22", v)
	}
	for name, want := range map[string]float64{"edf": 17, "flow": 22, "haz": 22} {
		if o := w.Run(find(t, name)); math.Abs(o.Value-want) > 1e-3 {
			t.Errorf("%s saves %g, want %g", name, o.Value, want)
		}
	}
}
