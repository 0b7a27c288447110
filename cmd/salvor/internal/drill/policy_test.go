package drill

import (
	"math"
	"testing"
	"time"

	"salvor"
)

func TestDivide(t *testing.T) {
	s, inf := time.Second, math.Inf(1)
	sites := []Standing{
		{Known: 0, Deadline: 90 * s, Rate: 10, Value: 1, Use: inf},
		{Known: 5 * s, Deadline: 30 * s, Rate: 10, Value: 5, Use: inf},
		{Known: 9 * s, Deadline: 0, Rate: 10, Value: 9, Use: 100},
		{Known: 2 * s, Deadline: 60 * s, Rate: 0, Value: 2, Use: inf},
	}
	lazy := []Standing{{Rate: 50, Use: 3}, {Rate: 50, Use: inf}}
	for _, c := range []struct {
		policy   string
		capacity float64
		sites    []Standing
		want     []float64
	}{
		{"fifo", 15, sites, []float64{10, 5, 0, 0}},
		{"edf", 15, sites, []float64{5, 10, 0, 0}},
		{"density", 15, sites, []float64{0, 5, 10, 0}},
		{"rr", 15, sites, []float64{5, 5, 5, 0}},
		{"rr", 100, sites, []float64{10, 10, 10, 0}},
		{"fifo", 100, sites, []float64{10, 10, 10, 0}},
		{"rr", 40, lazy, []float64{37, 37}},
		{"rr", 100, lazy, []float64{50, 50}},
		{"fifo", 40, lazy, []float64{40, 37}},
	} {
		p, err := FindPolicy(c.policy)
		if err != nil {
			t.Fatal(err)
		}
		got := p.divide(c.capacity, c.sites)
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 1e-9 {
				t.Errorf("%s divides %g to %v, want %v", c.policy, c.capacity, got, c.want)
				break
			}
		}
	}
	if _, err := FindPolicy("luck"); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("a policy that is none: %v", err)
	}
}
