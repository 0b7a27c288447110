package pilot

import (
	"fmt"
	"math"
	"testing"

	"salvor"
	"salvor/api"
)

// TestLeasesShorten: a tenth of the time left, of what ends first.
func TestLeasesShorten(t *testing.T) {
	v := View{At: 1_000_000, Crawls: []CrawlView{{ID: 1}, {ID: 2, Deadline: 1_300_000}}}
	for _, c := range []struct {
		crawl             salvor.CrawlID
		begun, ends, want int64
	}{
		{1, 40, 0, 0}, {1, 40, 1_000_000 + 600_000, 0}, {1, 40, 1_000_000 + 599_000, 59_900}, {1, 40, 1_030_000, 5000}, {1, 40, 1_000_001, 0}, {1, 40, 999_000, 0},
		{2, 40, 0, 30_000}, {2, 40, 1_100_000, 10_000}, {2, 40, 2_000_000, 30_000}, {2, 40, 900_000, 30_000},
		{1, 0, 0, 0}, {2, 5, 1_100_000, 2000},
	} {
		v.Hosts = []HostView{{Crawl: c.crawl, Begun: c.begun, Ends: c.ends}}
		if got := v.lasts(0); got != c.want {
			t.Errorf("crawl %d, %d ms left: leases of %d ms, want %d", c.crawl, c.ends-v.At, got, c.want)
		}
	}
}

// TestHeldIsWorthWhatItWas: a host whose best pages workers hold is worth as much
// as before they had them.
func TestHeldIsWorthWhatItWas(t *testing.T) {
	v := DefaultValues
	v.First = nil
	h := host("a.example", 100, 5)
	h.Bands = []api.BandCount{{Band: 0x40, Queued: 30}, {Band: 0x50, Queued: 70}}
	before := tiers(v, &h)
	h.Bands[0].Queued, h.Totals.Queued, h.Totals.Leased = 0, 70, 30
	h.Held, h.Unbegun = []api.BandCount{{Band: 0x40, Queued: 30}}, 30
	h.Bands = h.Bands[1:]
	if after := tiers(v, &h); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%v, before the lease %v", after, before)
	}
	h.Held, h.Unbegun = nil, 0 // all are begun
	if after := tiers(v, &h); len(after) != 1 || after[0].Left != 70 {
		t.Errorf("%v is left of 70 in the queue", after)
	}
}

// TestSitemapIsNoGrowth: a page that brings hundreds is an index of what there is.
func TestSitemapIsNoGrowth(t *testing.T) {
	var s size
	s.take(1, 0)
	s.take(2000, 3)
	for n := range int64(60) {
		s.take(2000, 4+n)
	}
	if rest, endless := s.rest(1900); rest > 0 || endless {
		t.Errorf("%.0f more, endless %v, of a site whose sitemap told all", rest, endless)
	}
	for n := range int64(60) { // and then each page brings two
		s.take(2002+2*n, 64+n)
	}
	if _, endless := s.rest(1900); !endless {
		t.Error("an end is in sight of a site where each page brings two")
	}
}

// TestIdleWorkersAreLikeBusyOnes: what a worker could do that does little is not
// known from what it does.
func TestIdleWorkersAreLikeBusyOnes(t *testing.T) {
	w := newWorld()
	w.load = []api.Load{{Rate: 18, Connections: .9}, {Rate: .1, CPU: .05}, {Rate: 15, Connections: .75}}
	if c := measure(w.nodes(t.Context())); math.Abs(c.Most-60) > .1 || c.Workers != 3 {
		t.Errorf("%d workers could do %.1f a second, want 60", c.Workers, c.Most)
	}
	w.load = []api.Load{{Rate: 1, CPU: .1}}
	if c := measure(w.nodes(t.Context())); c.Most != 0 {
		t.Errorf("one that does little could do %.1f", c.Most)
	}
}
