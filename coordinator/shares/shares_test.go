package shares

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"salvor"
)

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		what   string
		budget salvor.Pace
		old    []salvor.Pace
		demand []int
		want   []Step
	}{
		{"nothing changes", 20_000, []salvor.Pace{10_000, 10_000}, []int{1, 1}, nil},
		{"nobody wants anything", 20_000, []salvor.Pace{10_000, 10_000}, []int{0, 0}, nil},
		{"one wants more", 20_000, []salvor.Pace{10_000, 10_000}, []int{4, 0}, []Step{{1, 500, 0}, {0, 19_500, Settle}}},
		{"a new group", 20_000, []salvor.Pace{20_000, 0}, []int{1, 1}, []Step{{0, 10_000, 0}, {1, 10_000, Settle}}},
		{"the budget fell", 10_000, []salvor.Pace{10_000, 10_000}, []int{1, 1}, []Step{{0, 5_000, 0}, {1, 5_000, 0}}},
		{"the budget rose", 40_000, []salvor.Pace{10_000, 10_000}, []int{1, 1}, []Step{{0, 20_000, 0}, {1, 20_000, 0}}},
		{"one group", 20_000, []salvor.Pace{5_000}, []int{0}, []Step{{0, 20_000, 0}}},
	} {
		if diff := cmp.Diff(c.want, Plan(c.budget, standing(c.old), c.demand)); diff != "" {
			t.Errorf("%s: %s", c.what, diff)
		}
	}
}

// standing are shares that nobody changed for a while.
func standing(list []salvor.Pace) (out []Share) {
	for _, s := range list {
		out = append(out, Share{s, s})
	}
	return out
}

// A share that was lowered a moment ago is not given to another yet.
func TestPlanAfterOneThatBrokeOff(t *testing.T) {
	old := []Share{{Now: 500, Most: 10_000}, {Now: 10_000, Most: 10_000}}
	want := []Step{{1, 500, 0}, {0, 19_500, Settle}}
	if diff := cmp.Diff(want, Plan(20_000, old, []int{1, 0})); diff != "" {
		t.Error(diff)
	}
	old = []Share{{Now: 500, Most: 10_000}, {Now: 10_000, Most: 10_000}}
	want = []Step{{1, 19_500, Settle}}
	if diff := cmp.Diff(want, Plan(20_000, old, []int{0, 1})); diff != "" {
		t.Error(diff)
	}
}

// world is a cluster seen from outside: what each group may book, and what it
// may have booked before.
type world struct {
	now    time.Duration
	shares []salvor.Pace
	past   [][]bygone // by group: shares that leases may still have
}

type bygone struct {
	share salvor.Pace
	until time.Duration
}

func (w *world) set(group int, s salvor.Pace) {
	if s < w.shares[group] {
		w.past[group] = append(w.past[group], bygone{w.shares[group], w.now + Settle})
	}
	w.shares[group] = s
}

// inForce is the most that a group's leases may have now.
func (w *world) inForce(group int) salvor.Pace {
	most := w.shares[group]
	for _, b := range w.past[group] {
		if w.now < b.until {
			most = max(most, b.share)
		}
	}
	return most
}

func (w *world) sum() (sum salvor.Pace) {
	for g := range w.shares {
		sum += w.inForce(g)
	}
	return sum
}

// TestSharesNeverExceedTheBudget: whatever demand does, however long steps take
// and wherever a plan breaks off, also when the budget falls.
func TestSharesNeverExceedTheBudget(t *testing.T) {
	runs := 3000
	if testing.Short() {
		runs = 300
	}
	for seed := range uint64(runs) {
		rng := rand.New(rand.NewPCG(seed, 7))
		n, falls := 1+rng.IntN(6), seed%2 == 1
		budget := salvor.Pace(n + rng.IntN(40_000))
		w := &world{shares: make([]salvor.Pace, n), past: make([][]bygone, n)}
		for range 12 {
			old := make([]Share, n)
			for g := range old {
				old[g] = Share{w.shares[g], w.inForce(g)}
			}
			demand := make([]int, n)
			for g := range demand {
				demand[g] = max(0, rng.IntN(8)-3)
			}
			if w.sum() > budget && !falls {
				t.Fatalf("seed %d: %d in force of %d", seed, w.sum(), budget)
			}
			if falls && rng.IntN(4) == 0 {
				budget = max(salvor.Pace(n), budget/2)
			}
			limit := max(w.sum(), budget) // until what is too much has ended
			steps := Plan(budget, old, demand)
			broken := len(steps) + 1
			if rng.IntN(3) == 0 {
				broken = rng.IntN(len(steps) + 1)
			}
			for i, s := range steps {
				if i == broken {
					break
				}
				w.now += s.After + time.Duration(rng.IntN(5000))*time.Millisecond
				w.set(s.Group, s.Share)
				if sum := w.sum(); sum > limit {
					t.Fatalf("seed %d: %d in force of %d, after %+v of %+v from %v", seed, sum, budget, s, steps, old)
				}
			}
			if broken > len(steps) {
				w.settled(t, budget)
			}
		}
	}
}

// settled: in the end the whole budget is given out, and everybody has some.
func (w *world) settled(t *testing.T, budget salvor.Pace) {
	var sum salvor.Pace
	for g, s := range w.shares {
		sum += s
		if s == 0 {
			t.Fatalf("group %d has nothing", g)
		}
	}
	if sum != budget {
		t.Fatalf("%d of %d are given out", sum, budget)
	}
}
