package plan

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize/convex/lp"
)

// random makes hosts of sizes, rates and values of very different size, as in
// the field. dates says whether hosts are surely there until a date.
func random(r *rand.Rand, n int, load float64, dates bool) Input {
	in := Input{}
	need, days := 0.0, 7*24*3600.0
	for i := range n {
		size := math.Exp(r.NormFloat64()*1.7) * 2000
		h := Host{Name: fmt.Sprint("h", i), Rate: math.Exp(r.NormFloat64()) * 2, Pool: -1, Queued: -1}
		v := math.Exp(r.NormFloat64())
		h.Tiers = []Tier{{v * 3, size * 0.1}, {v, size * 0.9}}
		end := days * (0.05 + 0.95*r.Float64())
		if dates {
			h.Survival = []Point{{end, 1}, {end, 0}}
		} else {
			h.Survival = []Point{{0, 1}, {end * 0.5, 0.3 + 0.6*r.Float64()}, {end, 0.2}, {end, 0.05}, {2 * end, 0}}
		}
		need += min(size, h.Rate*end)
		in.Hosts = append(in.Hosts, h)
	}
	in.Capacity = []Step{{0, need / load / days}}
	return in
}

// bound solves the same problem as a linear programme, by the simplex method of
// another library, from the text of the problem and not from its network.
func bound(t *testing.T, in *Input, w *weights) float64 {
	t.Helper()
	k := len(w.bounds) - 1
	type col struct{ i, tier, k int }
	var cols []col
	var c []float64
	for i, h := range in.Hosts {
		for j, x := range h.Tiers {
			for q := range k {
				if w.there[i][q] > 0 {
					cols = append(cols, col{i, j, q})
					c = append(c, -x.Value*w.there[i][q])
				}
			}
		}
	}
	var rows []map[int]float64
	var b []float64
	row := func(limit float64, in func(col) bool) {
		m := map[int]float64{}
		for x, y := range cols {
			if in(y) {
				m[x] = 1
			}
		}
		if len(m) > 0 {
			rows, b = append(rows, m), append(b, limit)
		}
	}
	for q := range k {
		row(rateAt(in.Capacity, 0)*w.length(q), func(y col) bool { return y.k == q })
		for i, h := range in.Hosts {
			row(h.Rate*w.length(q), func(y col) bool { return y.k == q && y.i == i })
		}
		for p, x := range in.Pools {
			row(x.Rate*w.length(q), func(y col) bool { return y.k == q && in.Hosts[y.i].Pool == p })
		}
	}
	for i, h := range in.Hosts {
		for j, x := range h.Tiers {
			row(x.Left, func(y col) bool { return y.i == i && y.tier == j })
		}
	}
	a := mat.NewDense(len(rows), len(cols)+len(rows), nil)
	scale := 0.0
	for _, x := range b {
		scale = max(scale, x)
	}
	for i, m := range rows {
		for x, v := range m {
			a.Set(i, x, v)
		}
		a.Set(i, len(cols)+i, 1) // slack
		b[i] /= scale
	}
	c = append(c, make([]float64, len(rows))...)
	basis := make([]int, len(rows))
	for i := range basis {
		basis[i] = len(cols) + i
	}
	f, _, err := lp.Simplex(c, a, b, 1e-9, basis)
	if err != nil {
		t.Skip("the other solver gave up:", err)
	}
	return -f * scale
}

func TestPlanIsOptimal(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			in := random(r, 8, 0.5+3*r.Float64(), seed%2 == 0)
			if seed%3 == 0 {
				in.Pools = []Pool{{"cdn", in.Hosts[0].Rate, -1}}
				in.Hosts[0].Pool, in.Hosts[1].Pool, in.Hosts[2].Pool = 0, 0, 0
			}
			w := weigh(&in)
			want := bound(t, &in, w)
			got := Make(in, nil)
			if got.Method != Exact || math.Abs(got.Value/want-1) > 1e-5 {
				t.Errorf("%s: value %.4f, the optimum is %.4f (%.6f)", got.Method, got.Value, want, got.Value/want)
			}
		})
	}
}

// TestBestIsTheOptimum: seen from the end, what was possible is what the other
// solver says, and not less where time is cut more coarsely.
func TestBestIsTheOptimum(t *testing.T) {
	for seed := range uint64(20) {
		in := random(rand.New(rand.NewPCG(seed, 11)), 8, 2, true)
		w := &weights{bounds: []float64{0}}
		h := Hindsight{Capacity: in.Capacity}
		for _, x := range in.Hosts {
			end := x.Survival[0].At
			w.bounds = append(w.bounds, end)
			h.Hosts = append(h.Hosts, Course{Rates: []Step{{0, x.Rate}, {end, 0}}, Pool: -1, Tiers: x.Tiers})
		}
		slices.Sort(w.bounds)
		for _, x := range in.Hosts {
			there := make([]float64, len(w.bounds)-1)
			for k := range there {
				if w.bounds[k+1] <= x.Survival[0].At {
					there[k] = 1
				}
			}
			w.there = append(w.there, there)
		}
		want := bound(t, &in, w)
		got, price := h.Best(w.bounds)
		if math.Abs(got/want-1) > 1e-5 || len(price) != len(w.bounds)-1 {
			t.Errorf("%d: %.4f, the optimum is %.4f", seed, got, want)
		}
		if coarse, _ := h.Best([]float64{0, w.bounds[len(w.bounds)-1]}); coarse < got*(1-1e-6) {
			t.Errorf("%d: coarsely %.4f, finely %.4f", seed, coarse, got)
		}
	}
}

func BenchmarkMake(b *testing.B) {
	for _, n := range []int{30, 100, 300, 1000, 10000} {
		for _, dates := range []bool{true, false} {
			b.Run(fmt.Sprintf("hosts=%d/dates=%v", n, dates), func(b *testing.B) {
				in := random(rand.New(rand.NewPCG(uint64(n), 3)), n, 2, dates)
				for b.Loop() {
					if p := Make(in, nil); p.Value == 0 {
						b.Fatal("nothing is saved")
					}
				}
			})
		}
	}
}
