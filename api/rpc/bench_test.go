package rpc

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"salvor"
	"salvor/api"
	"salvor/api/pb"
)

// discard answers at once: what remains is the cost of the way.
type discard struct{ echo }

func (*discard) Settle(context.Context, api.Call, api.Settlement) error { return nil }
func (*discard) Discover(_ context.Context, _ api.Call, d api.Discovery) ([]api.Result, error) {
	return make([]api.Result, len(d.Items)), nil
}

// benchWay reports what both ends spend together, TLS and HTTP/2 included, for
// each of n things of a call.
func benchWay(b *testing.B, n int, m proto.Message, call func(context.Context, *Client) error) {
	c := dial(b, 0, addr(serve(b, &node{group: &discard{}})))
	ctx := context.Background()
	if err := call(ctx, c); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		if err := call(ctx, c); err != nil {
			b.Fatal(err)
		}
	}
	things := float64(b.N * n)
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/1000/things, "cpu-us/thing")
	b.ReportMetric(float64(proto.Size(m))/float64(n), "bytes/thing")
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkSettle300(b *testing.B) {
	s := api.Settlement{Crawl: 1}
	for i := range 300 {
		e := api.Entry{
			Host: "www.example.org", Lease: salvor.LeaseID(i<<16 | 1<<40), Outcome: salvor.Saved, Status: 200,
			Place: salvor.Place{Segment: 100, Offset: int64(i) << 16, Length: 30_000}, Bytes: 100_000,
			Type: "text/html", At: 1_790_000_000_000,
		}
		e.Key[0], e.Key[1], e.Digest[0] = byte(i), byte(i>>8), 1
		s.Entries = append(s.Entries, e)
	}
	call := api.Call{Session: 1 << 62, Request: 7}
	m := &pb.SettleRequest{Call: putCall(call), Crawl: 1, Entries: putAll(s.Entries, putEntry)}
	benchWay(b, 300, m, func(ctx context.Context, c *Client) error { return c.Settle(ctx, call, s) })
}

func BenchmarkDiscover256(b *testing.B) {
	d := api.Discovery{Crawl: 1, Scope: 3}
	for i := range 256 {
		o := api.Offer{Item: salvor.Item{
			Crawl: 1, Host: "www.example.org", Origin: "https://www.example.org",
			URL:   fmt.Sprintf("https://www.example.org/forum/thread-%d/page-%d.html", i*7919, i),
			Class: salvor.ClassPage, Band: salvor.BandPage,
			Hop: salvor.Hop{Links: 3, Path: "LLL"}, Via: "https://www.example.org/forum/index.html",
		}}
		o.Key[0], o.Key[1] = byte(i), byte(i>>8)
		d.Items = append(d.Items, o)
	}
	call := api.Call{Session: 1 << 62, Request: 7}
	m := &pb.DiscoverRequest{Call: putCall(call), Crawl: 1, Scope: 3, Items: putOffers(d.Items)}
	benchWay(b, 256, m, func(ctx context.Context, c *Client) error { _, err := c.Discover(ctx, call, d); return err })
}

// BenchmarkEmpty is what a call costs that carries nothing.
func BenchmarkEmpty(b *testing.B) {
	call := api.Call{Session: 1 << 62, Request: 7}
	benchWay(b, 1, &pb.SettleRequest{}, func(ctx context.Context, c *Client) error { return c.Settle(ctx, call, api.Settlement{}) })
}
