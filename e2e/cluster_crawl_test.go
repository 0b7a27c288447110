package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"salvor/e2e/rig"
)

// TestClusterCrawl: three coordinators, one more worker without any key to the
// Store, and every page is saved once.
func TestClusterCrawl(t *testing.T) {
	f := newFleet(t, shape{nodes: 3, hands: 1, pages: size(2000, 50_000)})
	f.web.Delay(100 * time.Millisecond) // for a crawl that lasts longer than its beginning
	begun := time.Now()
	f.crawl("one")
	eventuallySay(t, 20*time.Minute, func() string { return fmt.Sprint(f.web.Count(), " requests") }, func() bool { return f.web.Count() >= f.pages() })
	took := time.Since(begun)
	s := f.finish("one", 2*time.Minute)
	dups, a := f.saved("one", s)
	if dups*50 > f.pages() {
		t.Errorf("%d of %d pages were saved twice, more than 2 %%", dups, f.pages())
	}
	f.sharesOf(a)
	t.Logf("%d pages in %s, %.0f a second, %d twice, %d segments", f.pages(), took.Round(time.Second), float64(f.pages())/took.Seconds(), dups, len(a.Segments))
	seenByWarcio(t, f, a)
}

// sharesOf says what part of the captures each worker made, by the names in the
// names of the segments, and fails the test where one made too few.
func (f *fleet) sharesOf(a *rig.Archive) {
	f.t.Helper()
	made, all := map[string]int{}, 0
	for _, c := range a.Captures {
		if strings.HasPrefix(c.URI, "http") {
			name := strings.TrimSuffix(c.File, ".warc.gz")
			made[name[strings.LastIndex(name, "-")+1:]]++
			all++
		}
	}
	for _, n := range f.Nodes {
		mine := 0
		for k, v := range made {
			if k == n.Name || strings.HasPrefix(k, n.Name+"_") {
				mine += v
			}
		}
		f.t.Logf("%s made %d of %d captures, %d %%", n.Name, mine, all, 100*mine/max(all, 1))
		if mine*10 < all {
			f.t.Errorf("%s made %d of %d captures, less than a tenth", n.Name, mine, all)
		}
	}
}

// seenByWarcio has warcio read all segments: it must find what we found.
func seenByWarcio(t *testing.T, f *fleet, a *rig.Archive) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	records, err := checkers(t).Records(ctx, a.Segments)
	if err != nil {
		t.Fatal(err)
	}
	bytes := map[string]string{}
	for _, r := range records {
		if r.Type == "response" && r.Status == "200" {
			bytes[r.URI] = r.SHA256
		}
	}
	for _, c := range a.Captures {
		if c.Type == "response" && c.Status == 200 && bytes[c.URI] != c.SHA256 {
			t.Errorf("%s: warcio reads %q, we %q", c.URI, bytes[c.URI], c.SHA256)
		}
	}
	if len(bytes) < f.pages() {
		t.Errorf("warcio finds %d pages of %d", len(bytes), f.pages())
	}
}

// TestClusterPolite: four workers together start no more than one may, and heed
// a server's 429 within 2 s.
func TestClusterPolite(t *testing.T) {
	const rate = 8
	f := newFleet(t, shape{nodes: 3, hands: 1, pages: 2000})
	f.web.Delay(5 * time.Millisecond)
	f.crawl("one", "--max-rate", fmt.Sprint(rate))
	watch := time.Duration(size(25, 120)) * time.Second
	budgets := f.budgets(watch)
	hits := times(f.web.Hits())
	busiest := f.politeness(hits, budgets)
	t.Logf("%d requests in %s, at most %d in 10 s", len(hits), watch, busiest)
	if busiest < rate*10*7/10 {
		t.Errorf("at most %d requests in 10 s at %d/s: the budget was not used", busiest, rate)
	}

	f.web.Refuse(true)
	at := time.Now()
	pauseFor(t, 10*time.Second)
	before := between(hits, at.Add(-5*time.Second), at)
	late := between(times(f.web.Hits()), at.Add(2*time.Second+jitter), at.Add(10*time.Second))
	t.Logf("%.1f requests a second before the 429, %.1f from 2 s after it on", float64(before)/5, float64(late)/8)
	if float64(late)/8 > float64(before)/5/2 {
		t.Errorf("the rate did not fall: %.1f/s before, %.1f/s from 2 s on", float64(before)/5, float64(late)/8)
	}
	f.web.Refuse(false)
	pauseFor(t, time.Second)
	f.politeness(times(f.web.Hits()), f.budgets(10*time.Second))
}

// budget is what the site's budget was at a moment.
type budget struct {
	at   time.Time
	rate float64
}

// budgets looks at the budget of the one host for a while.
func (f *fleet) budgets(watch time.Duration) (out []budget) {
	f.t.Helper()
	for end := time.Now().Add(watch); time.Now().Before(end); pauseFor(f.t, 200*time.Millisecond) {
		s, err := f.Crawl(f.t.Context(), "one")
		if err != nil {
			f.t.Fatal(err)
		}
		for _, h := range s.Hosts {
			out = append(out, budget{time.Now(), h.Rate})
			if h.Booked > h.Rate+0.001 {
				f.t.Errorf("%.2f/s are booked of %.2f/s", h.Booked, h.Rate)
			}
		}
	}
	return out
}

// politeness fails the test where in any 10 s of the time that was looked at
// more requests came than its highest budget allows, and one for each worker
// (protocol 4). It returns the most that came.
func (f *fleet) politeness(at []time.Time, budgets []budget) (most int) {
	f.t.Helper()
	for _, first := range at {
		if len(budgets) == 0 || first.Before(budgets[0].at.Add(-time.Second)) {
			continue
		}
		end, rate := first.Add(10*time.Second-jitter), 0.0
		for _, b := range budgets {
			if b.at.After(first.Add(-2*time.Second)) && b.at.Before(end.Add(time.Second)) {
				rate = max(rate, b.rate)
			}
		}
		n := between(at, first.Add(-1), end)
		if most = max(most, n); float64(n) > rate*10+float64(len(f.Nodes)) {
			f.t.Errorf("%d requests in 10 s, with a budget of %.2f/s and %d workers", n, rate, len(f.Nodes))
			return most
		}
	}
	return most
}

func times(hits []rig.WebHit) (out []time.Time) {
	for _, h := range hits {
		out = append(out, h.At)
	}
	return out
}

// between is how many came after from and not after to.
func between(at []time.Time, from, to time.Time) (n int) {
	for _, x := range at {
		if x.After(from) && !x.After(to) {
			n++
		}
	}
	return n
}

// pauseFor sleeps for what a test must watch.
func pauseFor(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
	case <-time.After(d):
	}
}
