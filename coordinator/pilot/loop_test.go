package pilot

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// TestPlansDoNotStarveThemselves: workers do what the course lets them, the pilot
// sees what they did: what it believes of them must not fall by being believed.
func TestPlansDoNotStarveThemselves(t *testing.T) {
	for _, other := range []float64{0, .06, .2, .45, .6, .9, 1} { // of the processors, whatever is fetched
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%v-%d", other, seed), func(t *testing.T) { starve(t, other, rand.New(rand.NewPCG(seed, 1))) })
		}
	}
}

func starve(t *testing.T, other float64, r *rand.Rand) {
	const budget, latency, connections, cost = 8.0, 1.0, 64.0, .002
	w := newWorld()
	w.crawls = w.crawls[:1]
	w.hosts = map[salvor.CrawlID][]api.Host{1: {host("a.example", 400, budget), host("b.example", 400, budget), host("c.example", 400, budget)}}
	p := w.pilot()
	rate := 12.0 // of all workers, as it came to be in the first seconds
	for look := range 60 {
		var load []api.Load
		for range 4 {
			mine := rate / 4 * (.7 + .6*r.Float64())
			load = append(load, api.Load{Rate: mine, Connections: mine * latency / connections, CPU: min(other*(.8+.4*r.Float64())+mine*cost, 1)})
		}
		w.load = load
		w.look(t, p)
		w.now = w.now.Add(2 * time.Second)
		rate = 0
		for i := range w.hosts[1] {
			h := &w.hosts[1][i]
			did := budget
			if pace := w.pace(h.Name); pace > 0 {
				did = min(did, pace)
			}
			rate += did
			n := int64(2 * did)
			h.Totals.Accepted += n // each page brings another
		}
		if look > 20 && rate < 3*budget*.6 {
			t.Fatalf("look %d: %.1f a second of %.0f", look, rate, 3*budget)
		}
	}
}
