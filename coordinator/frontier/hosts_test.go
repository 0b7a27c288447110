package frontier

import (
	"fmt"
	"testing"

	"salvor"
	"salvor/api"
)

// hostsMachine knows n hosts, by their tables alone.
func hostsMachine(n int) *Machine {
	m := &Machine{crawls: map[salvor.CrawlID]*crawl{}}
	c := &crawl{queues: make(map[uint32]*queue, n)}
	m.crawls[1] = c
	for i := range n {
		q := &queue{c: c, h: newHost(uint32(i), fmt.Sprintf("h%06d.example", i))}
		q.t.Queued = int64(i * 7919 % 101)
		c.queues[uint32(i)] = q
	}
	return m
}

func TestBusiestHosts(t *testing.T) {
	m := hostsMachine(1000)
	for _, limit := range []int{1, 20, 999, 1000, 2000} {
		list, err := m.Hosts(1, limit)
		if err != nil || len(list) != min(limit, 1000) {
			t.Fatalf("%d hosts of %d, %v", len(list), limit, err)
		}
		for i, h := range list[1:] {
			p := list[i]
			if a, b := p.Totals.Open(), h.Totals.Open(); a < b || a == b && p.Name >= h.Name {
				t.Fatalf("limit %d: %s with %d before %s with %d", limit, p.Name, a, h.Name, b)
			}
		}
		if list[0].Totals.Open() != 100 {
			t.Errorf("the busiest has %d open items", list[0].Totals.Open())
		}
	}
	var list []api.Host
	if n := testing.AllocsPerRun(3, func() { list, _ = m.Hosts(1, 20) }); n > 20 {
		t.Errorf("%v allocations for %d hosts", n, len(list))
	}
}

func BenchmarkHosts(b *testing.B) {
	m := hostsMachine(100_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Hosts(1, 20); err != nil {
			b.Fatal(err)
		}
	}
}
