package route

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salvor"
	"salvor/api"
)

// shelf is a group that is only read.
type shelf struct {
	api.Group
	totals  api.Totals
	hosts   []api.Host
	codes   map[int]api.Count
	reasons map[api.Reason]int64
	known   []api.Known
	err     error
}

func (s *shelf) Totals(context.Context, salvor.CrawlID) (api.Totals, error) { return s.totals, s.err }
func (s *shelf) Hosts(_ context.Context, _ salvor.CrawlID, limit int) ([]api.Host, error) {
	if limit > 0 && limit < len(s.hosts) {
		return s.hosts[:limit], s.err
	}
	return s.hosts, s.err
}
func (s *shelf) Codes(context.Context, salvor.CrawlID) (map[int]api.Count, error) {
	return s.codes, s.err
}
func (s *shelf) Reasons(context.Context, salvor.CrawlID) (map[api.Reason]int64, error) {
	return s.reasons, s.err
}
func (s *shelf) Walk(_ context.Context, _ salvor.CrawlID, _ []salvor.Outcome, f func(api.Known) error) error {
	for _, k := range s.known {
		if err := f(k); err != nil {
			return err
		}
	}
	return s.err
}

func host(name string, open int64) api.Host {
	return api.Host{Name: name, Totals: api.Totals{Queued: open}}
}

func TestViewsAddUp(t *testing.T) {
	gone := api.Reason{Outcome: salvor.Gone, Text: "404"}
	a := &shelf{
		totals:  api.Totals{Accepted: 1, Queued: 2, Waiting: 3, Leased: 4, Bytes: 5, Captures: 6, Late: 7, Dups: 8, Clock: 90},
		hosts:   []api.Host{host("b", 9), host("c", 4)},
		codes:   map[int]api.Count{200: {URLs: 1, Bytes: 10}, 404: {URLs: 2}},
		reasons: map[api.Reason]int64{gone: 3},
		known:   []api.Known{{Status: 1}, {Status: 2}},
	}
	a.totals.Outcomes[salvor.Saved] = 11
	b := &shelf{
		totals:  api.Totals{Accepted: 10, Queued: 20, Waiting: 30, Leased: 40, Bytes: 50, Captures: 60, Late: 70, Dups: 80, Clock: 50},
		hosts:   []api.Host{host("d", 7), host("a", 4)},
		codes:   map[int]api.Count{200: {URLs: 4, Bytes: 40}, -9998: {URLs: 1}},
		reasons: map[api.Reason]int64{gone: 4, {Outcome: salvor.Failed}: 1},
		known:   []api.Known{{Status: 3}},
	}
	b.totals.Outcomes[salvor.Saved] = 22
	// The third has not adopted the crawl.
	c := &shelf{err: salvor.Errorf(salvor.NotFound, "no crawl")}
	r, ctx := New([]api.Group{a, b, c}), t.Context()

	sum := api.Totals{Accepted: 11, Queued: 22, Waiting: 33, Leased: 44, Bytes: 55, Captures: 66, Late: 77, Dups: 88, Clock: 90}
	sum.Outcomes[salvor.Saved] = 33
	same(t, sum)(r.Totals(ctx, 1))
	same(t, []api.Totals{a.totals, b.totals, {}})(r.TotalsOf(ctx, 1))
	same(t, map[int]api.Count{200: {URLs: 5, Bytes: 50}, 404: {URLs: 2}, -9998: {URLs: 1}})(r.Codes(ctx, 1))
	same(t, map[api.Reason]int64{gone: 7, {Outcome: salvor.Failed}: 1})(r.Reasons(ctx, 1))
	same(t, []api.Host{host("b", 9), host("d", 7), host("a", 4)})(r.Hosts(ctx, 1, 3))
	same(t, []api.Host{host("a", 4), host("b", 9), host("c", 4), host("d", 7)})(r.Hosts(ctx, 1, 0))

	seen := ""
	if err := r.Walk(ctx, 1, nil, func(k api.Known) error { seen += fmt.Sprint(k.Status); return nil }); err != nil || seen != "123" {
		t.Error(seen, err)
	}
	// Group 0 is who knows whether there is such a crawl.
	a.err = c.err
	if _, err := r.Totals(ctx, 1); salvor.ClassOf(err) != salvor.NotFound {
		t.Error(err)
	}
	a.err, b.err = nil, salvor.Errorf(salvor.Unavailable, "away")
	if _, err := r.Totals(ctx, 1); salvor.ClassOf(err) != salvor.Unavailable {
		t.Error(err)
	}
}

// same compares what a view answered.
func same[T any](t *testing.T, want T) func(T, error) {
	t.Helper()
	return func(got T, err error) {
		t.Helper()
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Error(err, d)
		}
	}
}

// BenchmarkDiscover is what the router adds.
func BenchmarkDiscover(b *testing.B) {
	for _, n := range []int{1, 4} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			groups := make([]api.Group, n)
			for i := range groups {
				groups[i] = idle{}
			}
			r, d := New(groups), api.Discovery{}
			for i := range 256 {
				d.Items = append(d.Items, api.Offer{Item: salvor.Item{Host: fmt.Sprintf("h%d.example", i)}})
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Discover(b.Context(), api.Call{}, d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type idle struct{ api.Group }

func (idle) Discover(_ context.Context, _ api.Call, d api.Discovery) ([]api.Result, error) {
	return make([]api.Result, len(d.Items)), nil
}
