package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"salvor/e2e/rig"
)

// The manual of Boost: 3,800 pages written by hundreds of people and a dozen
// tools over twenty years, with style sheets, images and 1,400 links to nowhere.
const (
	boostDocs  = "/usr/share/doc/libboost1.74-doc/doc"
	boostStart = "/html/index.html"
)

// TestRealSite: every file that links reach is in the WARC files with the bytes
// it has on disk, none twice, and report.json counts what we count.
func TestRealSite(t *testing.T) {
	installed(t, boostDocs+boostStart, "libboost1.74-doc")
	py := checkers(t)
	web := rig.ServeFiles(t, rig.NginxConfig{Root: boostDocs})
	type reached struct {
		urls []rig.Reached
		err  error
	}
	second := make(chan reached, 1)
	go func() {
		urls, err := py.Reach(t.Context(), boostDocs, web.URL, boostStart)
		second <- reached{urls, err}
	}()
	c := newCrawl(t, buildPlain)
	c.save(10*time.Minute, exitDone, web.URL+boostStart)
	a := c.sound()
	opinion := <-second
	if opinion.err != nil {
		t.Fatal(opinion.err)
	}
	want := expect(t, opinion.urls)
	seen, err := py.Records(t.Context(), a.Segments)
	if err != nil {
		t.Fatal(err)
	}
	got := captured(t, seen)
	compareSites(t, want, got)
	compareReport(t, c.report(), got)
	askedOnce(t, web)
}

// answer is what a URL gave: a status and, for 200, a payload.
type answer struct {
	status string
	sha256 string
}

// expect adds the digests of the files on disk.
func expect(t *testing.T, urls []rig.Reached) map[string]answer {
	t.Helper()
	want := make(map[string]answer, len(urls))
	sums := make(map[string]string)
	for _, u := range urls {
		if u.File != "" && sums[u.File] == "" {
			b, err := os.ReadFile(u.File)
			if err != nil {
				t.Fatal(err)
			}
			sums[u.File] = sum(b)
		}
		want[u.URL] = answer{fmt.Sprint(u.Status), sums[u.File]}
	}
	return want
}

// captured is what warcio finds, by URL; a revisit has the payload of what it
// refers to.
func captured(t *testing.T, seen []rig.Seen) map[string]answer {
	t.Helper()
	originals := make(map[string]string)
	for _, r := range seen {
		if r.Type == "response" {
			originals[r.URI+" "+r.Date] = r.SHA256
		}
	}
	got := make(map[string]answer)
	for _, r := range seen {
		if r.Type != "response" && r.Type != "revisit" || !strings.HasPrefix(r.URI, "http") {
			continue
		}
		if _, twice := got[r.URI]; twice {
			t.Errorf("%s was saved twice", r.URI)
		}
		digest := r.SHA256
		if r.Type == "revisit" {
			digest = originals[r.RefersToURI+" "+r.RefersToDate]
			if digest == "" {
				t.Errorf("%s is a revisit of %s at %s, which is not there", r.URI, r.RefersToURI, r.RefersToDate)
			}
		}
		got[r.URI] = answer{r.Status, digest}
	}
	return got
}

func compareSites(t *testing.T, want, got map[string]answer) {
	t.Helper()
	var missing, more, differ []string
	for u, w := range want {
		g, ok := got[u]
		switch {
		case !ok:
			missing = append(missing, w.status+" "+u)
		case g.status != w.status || w.status == "200" && g.sha256 != w.sha256:
			differ = append(differ, fmt.Sprintf("%s: is %v, want %v", u, g, w))
		}
	}
	for u, g := range got {
		if _, ok := want[u]; !ok && !strings.HasSuffix(u, "/robots.txt") {
			more = append(more, g.status+" "+u)
		}
	}
	t.Logf("%d URLs expected, %d captured", len(want), len(got))
	tell(t, "not captured, though linked", missing)
	tell(t, "captured, though nothing links to it", more)
	tell(t, "other than on disk", differ)
}

// tell reports a list of faults, but not thousands.
func tell(t *testing.T, what string, list []string) {
	t.Helper()
	if len(list) == 0 {
		return
	}
	slices.Sort(list)
	t.Errorf("%s: %d\n  %s", what, len(list), strings.Join(list[:min(len(list), 40)], "\n  "))
}

// compareReport holds report.json against the records.
func compareReport(t *testing.T, r *report, got map[string]answer) {
	t.Helper()
	count := make(map[string]int64)
	for _, a := range got {
		count[a.status]++
	}
	saved := count["200"] + count["301"] + count["302"]
	if r.Totals.Saved != saved || r.outcome("gone") != count["404"] || r.outcome("refused") != count["400"]+count["403"] {
		t.Errorf("report.json: saved %d, gone %d, refused %d; in the WARC files: %v", r.Totals.Saved, r.outcome("gone"), r.outcome("refused"), count)
	}
	if n := int64(len(got)); r.Totals.Captures != n || r.Totals.Known != n || r.Totals.Open != 0 {
		t.Errorf("report.json: %+v; in the WARC files: %d captures", r.Totals, n)
	}
}

// askedOnce reads the server's own log.
func askedOnce(t *testing.T, web *rig.Nginx) {
	t.Helper()
	hits, err := web.Hits()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	for _, h := range hits {
		seen[h.Target]++
	}
	var twice []string
	for target, n := range seen {
		if n > 1 {
			twice = append(twice, fmt.Sprintf("%s: %d times", target, n))
		}
	}
	tell(t, "asked for more than once", twice)
}

// soon bounds what takes seconds.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}
