package drill

import (
	"math"
	"testing"
	"time"

	"salvor"
)

func TestDivide(t *testing.T) {
	s := time.Second
	sites := []Standing{
		{Known: 0, Deadline: 90 * s, Rate: 10, Value: 1, Open: 500},
		{Known: 5 * s, Deadline: 30 * s, Rate: 10, Value: 5, Open: 500},
		{Known: 9 * s, Deadline: 0, Rate: 10, Value: 9, Open: 500},
		{Known: 2 * s, Deadline: 60 * s, Rate: 30, Value: 2, Open: 0},
	}
	few := []Standing{{Rate: 50, Open: 3}, {Rate: 50, Open: 500}}
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
		{"rr", 40, few, []float64{leastOpen, 30}},
		{"fifo", 40, few, []float64{leastOpen, 30}},
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
