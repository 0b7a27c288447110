package coordinator

import (
	"strings"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// A ceiling that robots.txt asked for says so, until somebody sets another or
// takes it away.
func TestCeilingOfCrawlDelay(t *testing.T) {
	r := newRescue(t, startNode(t, t.TempDir()))
	r.discover("a.example", 0, 1)
	report := func(delay time.Duration) {
		t.Helper()
		must(t, r.Feedback(t.Context(), []api.HostFeedback{{Crawl: r.crawl.ID, Host: "a.example", Requests: 1, CrawlDelay: delay}}))
	}
	is := func(when string, ceiling salvor.Pace, noted bool) {
		t.Helper()
		hosts, err := r.Hosts(t.Context(), r.crawl.ID, 0)
		must(t, err)
		if h := hosts[0]; h.Ceiling != ceiling || strings.HasPrefix(h.Note, delayNote) != noted || !noted && h.Note != "" {
			t.Errorf("%s: ceiling %v/s, note %q", when, h.Ceiling.PerSecond(), h.Note)
		}
	}
	set := func(p salvor.Pace) {
		t.Helper()
		must(t, r.SetCeiling(t.Context(), r.crawl.ID, "a.example", p))
	}
	report(10 * time.Second)
	is("asked", 100, true)
	set(0)
	is("taken away", defaultCeiling, false)
	report(0)
	is("no longer asked", defaultCeiling, false)
	report(5 * time.Second)
	is("asked again", 200, true)
	set(7000)
	is("set", 7000, false)
	report(5 * time.Second)
	is("set, and asked", 7000, false)
	set(200) // what was asked, but by a person
	report(20 * time.Second)
	is("set to the same", 200, false)
	must(t, r.SetCeiling(t.Context(), r.crawl.ID, "unknown.example", 500))
}
