package coordinator

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// BenchmarkPropose is the group alone: proposals a second over a machine that
// does nothing, and how many share a log write.
func BenchmarkPropose(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			c := soloConfig(b, b.TempDir())
			c.SegmentSize = logSegment
			c.Open = func(dir string) (*ledger, error) { return &ledger{dir: dir, blank: true}, nil }
			g := startSolo(b, c)
			defer g.close()
			data := make([]byte, 1000)
			b.SetBytes(int64(len(data)))
			b.ResetTimer()
			var left atomic.Int64
			left.Store(int64(b.N))
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := g.propose(context.Background(), data); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			b.StopTimer()
			m, done := g.state.use()
			defer done()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric(float64(m.applied)/float64(m.batches), "entries/batch")
		})
	}
}

func benchRescue(b *testing.B) *rescue {
	b.Helper()
	r := newRescue(b, startNode(b, b.TempDir()))
	must(b, r.SetCeiling(b.Context(), r.crawl.ID, "", salvor.Unlimited))
	return r
}

// BenchmarkDiscover50 offers the links of a page: 50, all new, from 16
// senders.
func BenchmarkDiscover50(b *testing.B) {
	r := benchRescue(b)
	var next atomic.Int64
	b.SetParallelism(8)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			from := int(next.Add(50))
			d := api.Discovery{Crawl: r.crawl.ID, Scope: 1, Items: r.offers("a.example", from-50, from)}
			if _, err := r.Discover(context.Background(), api.Call{}, d); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(50*float64(b.N)/b.Elapsed().Seconds(), "offers/s")
}

// BenchmarkSettle100 leases 100 items and settles them, one session.
func BenchmarkSettle100(b *testing.B) {
	r := benchRescue(b)
	var place int64
	queued := 0
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		if queued == 0 {
			queued = 2000
			r.discover("a.example", int(place), int(place)+queued)
			must(b, r.Feedback(b.Context(), []api.HostFeedback{{Crawl: r.crawl.ID, Host: "a.example", Requests: 1}}))
		}
		l := r.lease(api.Want{Hosts: 1, Items: 100, Wait: time.Second})[0]
		s := api.Settlement{Crawl: r.crawl.ID}
		for i := range l.Items {
			place++
			s.Entries = append(s.Entries, saved(l, i, place))
		}
		queued -= len(l.Items)
		b.StartTimer()
		if err := r.Settle(b.Context(), r.call(), s); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStart opens a cleanly stopped node until it is ready.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	r := newRescue(b, startNode(b, dir))
	r.discover("a.example", 0, 10_000)
	must(b, r.Close(b.Context()))
	for b.Loop() {
		n, err := Start(b.Context(), Config{Dir: dir, CacheBytes: 32 << 20})
		must(b, err)
		b.StopTimer()
		must(b, n.Close(b.Context()))
		b.StartTimer()
	}
}
