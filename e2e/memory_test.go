package e2e

import (
	"testing"
	"time"

	"salvor/e2e/rig"
	"salvor/e2e/site"
)

// TestMemory: what a crawl keeps in memory does not grow with what it has
// saved.
func TestMemory(t *testing.T) {
	s := site.Site{Pages: size(12000, 200000)}
	web := synthetic(t, s)
	c := newCrawl(t, buildPlain)
	p := c.start(web.URL + "/")
	var samples []int64
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !p.Ended() {
		select {
		case <-p.Done():
		case <-tick.C:
			if m, err := rig.Memory(p.PID()); err == nil {
				samples = append(samples, m)
			}
		}
	}
	u := c.wait(p, time.Second, exitDone)
	if len(samples) < 40 {
		t.Fatalf("only %d samples", len(samples))
	}
	// The first quarter warms up: heap, caches, connections.
	second, last := mean(samples[len(samples)/4:len(samples)/2]), mean(samples[len(samples)*3/4:])
	t.Logf("anonymous memory: %d MB in the second quarter, %d MB in the last; most resident %d MB; %.0f pages/s, %.0f us of CPU a page",
		second>>20, last>>20, u.MaxRSS>>20, float64(s.Pages)/u.Wall.Seconds(), u.CPU().Seconds()/float64(s.Pages)*1e6)
	if last > second+second/4+(16<<20) {
		t.Errorf("memory grew from %d MB to %d MB", second>>20, last>>20)
	}
}

func mean(v []int64) (m int64) {
	for _, x := range v {
		m += x
	}
	return m / int64(len(v))
}
