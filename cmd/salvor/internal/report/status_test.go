package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"salvor"
	"salvor/api"
)

// TestStatusOfExcluded: what was kept out before its turn came has Heritrix'
// code all the same.
func TestStatusOfExcluded(t *testing.T) {
	for _, c := range []struct {
		k    api.Known
		want int
	}{
		{api.Known{Outcome: salvor.Excluded, Reason: "robots: /private/"}, -9998},
		{api.Known{Outcome: salvor.Excluded, Reason: "exclude:live /x"}, -5002},
		{api.Known{Outcome: salvor.Excluded, Reason: "max-hops"}, -5000},
		{api.Known{Outcome: salvor.Excluded, Reason: "exclude:cli/1 a", Status: -5002}, -5002},
		{api.Known{Outcome: salvor.Gone, Status: 404}, 404},
		{api.Known{Outcome: salvor.Open}, 0},
	} {
		if got := Status(c.k); got != c.want {
			t.Errorf("%+v: %d, want %d", c.k, got, c.want)
		}
	}
}

// TestRateBelowCeiling: a budget that stands above a later ceiling is not what
// the host is asked.
func TestRateBelowCeiling(t *testing.T) {
	var b builder
	for _, c := range []struct {
		rate, ceiling salvor.Pace
		want          float64
	}{{salvor.PerSecond(20), salvor.PerSecond(3), 3}, {salvor.PerSecond(2), salvor.PerSecond(3), 2}, {salvor.Unlimited, salvor.PerSecond(3), 3}, {salvor.Unlimited, salvor.Unlimited, 0}, {salvor.PerSecond(2), 0, 2}} {
		if got := b.host(api.Host{Rate: c.rate, Ceiling: c.ceiling}).Rate; got != c.want {
			t.Errorf("rate %v, ceiling %v: %g, want %g", c.rate, c.ceiling, got, c.want)
		}
	}
}

// TestMissingSegment: the report for people and the one for programs say which
// stored file is not as it was.
func TestMissingSegment(t *testing.T) {
	v, c, x := rescue()
	stored := ""
	segments, err := v.Segments(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range segments {
		if s.State == api.SegmentStored {
			stored = s.Object
		}
	}
	x.Missing = map[string]string{stored: "is missing"}
	x.Mended = []Mended{{Segment: "a", Cut: 1, Records: 1}}
	dir, r := mustWrite(t, v, c, x)
	for _, s := range r.Segments {
		if (s.Problem != "") != (s.Path == stored) {
			t.Errorf("%+v", s)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, HTMLFile))
	if err != nil || !strings.Contains(string(page), "<strong>is missing</strong>") || !strings.Contains(string(page), "1 byte of an incomplete last record removed, 1 record kept") {
		t.Errorf("report.html does not say so (%v)", err)
	}
}
