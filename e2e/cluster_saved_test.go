package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"salvor/e2e/rig"
)

// finish lets the crawl run to its end.
func (f *fleet) finish(name string, limit time.Duration) *rig.CrawlSight {
	f.t.Helper()
	f.web.Delay(0)
	var s *rig.CrawlSight
	why := "nobody answers"
	eventuallySay(f.t, limit, func() string { return "crawl " + name + " finished: " + why }, func() bool {
		got, err := f.Crawl(f.t.Context(), name)
		if err != nil {
			why = err.Error()
			return false
		}
		s, why = got, fmt.Sprintf("%+v", got)
		return s.State == "finished"
	})
	return s
}

// saved fails the test unless every page of every host lies in the bucket with
// the bytes its host has, and the counters agree. It returns how many pages lie
// there more than once.
func (f *fleet) saved(name string, s *rig.CrawlSight) (dups int, a *rig.Archive) {
	f.t.Helper()
	if s.Open() != 0 || s.Known != s.Settled() {
		f.t.Errorf("%d known, %d settled, %d open: %+v", s.Known, s.Settled(), s.Open(), s)
	}
	if n := int64(f.pages()); s.Saved+s.Revisits != n || s.Known != n+int64(len(f.web.URLs)) {
		f.t.Errorf("%d saved and %d revisits of %d known, the site has %d pages and %d robots.txt", s.Saved, s.Revisits, s.Known, n, len(f.web.URLs))
	}
	dir := filepath.Join(f.b.copied(), "crawls", name)
	if f.burnt {
		f.dropOrphans(dir)
	}
	a, err := rig.ReadArchive(dir)
	if err != nil {
		f.t.Fatalf("what the store holds is not sound:\n%v", err)
	}
	by, missing := a.ByURI(), 0
	for _, u := range f.web.URLs {
		sign := []byte(rig.Signature(strings.TrimPrefix(u, "http://")))
		for i := range f.site.Pages {
			got := by[u+f.site.Path(i)]
			dups += max(0, len(got)-1)
			if len(got) == 0 {
				missing++
				continue
			}
			want := sum(append(f.site.Page(i), sign...))
			if !slices.ContainsFunc(got, func(c *rig.Capture) bool { return c.Status == 200 && c.SHA256 == want }) {
				f.t.Errorf("%s: no capture has its bytes: %+v", u+f.site.Path(i), got[0])
			}
		}
	}
	if missing > 0 {
		f.t.Errorf("%d of %d pages are in no WARC of the store", missing, f.pages())
	}
	if f.burnt {
		return dups, a // the counters went back to what they were at the copy
	}
	// A robots.txt whose report was lost with its worker is asked for again, and
	// the first answer counts nowhere.
	var spare int64
	for _, u := range f.web.URLs {
		spare += int64(len(by[u+"/robots.txt"]))
	}
	if n := int64(len(a.Captures)) - s.Captures; n < 0 || n > spare || s.Captures-s.Duplicates != s.Known {
		f.t.Errorf("the cluster counts %d captures of %d known and %d duplicates, the store holds %d captures; twice are there %q", s.Captures, s.Known, s.Duplicates, len(a.Captures), a.Twice())
	}
	return dups, a
}

// dropOrphans removes from a copy of the store the segments without an index:
// of each node that was lost with its disk, the one it was storing at the time.
// No outcome points there.
func (f *fleet) dropOrphans(dir string) {
	f.t.Helper()
	segments, err := rig.WARCs(dir)
	if err != nil {
		f.t.Fatal(err)
	}
	n := 0
	for _, s := range segments {
		if _, err := os.Stat(rig.IndexOf(s)); err == nil {
			continue
		}
		if err := os.Remove(s); err != nil {
			f.t.Fatal(err)
		}
		n++
	}
	if n > len(f.Nodes) {
		f.t.Errorf("%d segments have no index", n)
	}
}
