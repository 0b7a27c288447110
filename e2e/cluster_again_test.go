package e2e

import (
	"fmt"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"salvor/e2e/rig"
)

// readOnly records that the site is read-only in a moment, and has it answer slowly
// from then on. It returns how many requests there were until now.
func (f *fleet) readOnly() int {
	f.t.Helper()
	u, err := url.Parse(f.web.URLs[0])
	if err != nil {
		f.t.Fatal(err)
	}
	f.web.Delay(200 * time.Millisecond)
	f.types("site", "deadline", "set", u.Hostname(), "2s", "--what", "readonly", "--note", "a test")
	return f.web.Count()
}

// TestClusterAgain: a site that becomes read-only after it was saved is fetched
// once more, every page of it, though the leader is killed in the middle; and every
// page counts once.
func TestClusterAgain(t *testing.T) {
	f := newFleet(t, shape{nodes: 3, pages: 600})
	f.crawl("one")
	f.finish("one", time.Minute)
	first := f.readOnly()
	begun := time.Now()
	f.reach(first + f.pages()/10)
	t.Logf("fetched again %s after the record", time.Since(begun).Round(time.Second))
	leads, _ := f.leader(0)
	leads.Kill()
	f.start(leads)
	eventuallySay(t, 2*time.Minute, func() string { return fmt.Sprintf("%d requests of %d\n%s", f.web.Count(), first+f.pages(), f.sight()) },
		func() bool { return f.web.Count() >= first+f.pages() })
	pauseFor(t, 35*time.Second) // the new leader looks at it all once more
	s := f.finish("one", 2*time.Minute)
	if n := int64(f.pages()); s.Saved+s.Revisits != n || s.Known != n+1 || s.Captures-s.Duplicates != s.Known+n {
		t.Errorf("each page counts once and is captured twice, of %d: %+v", n, s)
	}
	a, err := rig.ReadArchive(filepath.Join(f.b.copied(), "crawls", "one"))
	if err != nil {
		t.Fatal(err)
	}
	by, once, more := a.ByURI(), 0, 0
	for i := range f.site.Pages {
		switch n := len(by[f.web.URLs[0]+f.site.Path(i)]); {
		case n < 2:
			once++
		case n > 2:
			more++
		}
	}
	t.Logf("%d pages, %d requests at first, %d in all; %d pages have more than two captures", f.pages(), first, f.web.Count(), more)
	if once > 0 {
		t.Errorf("%d of %d pages were not fetched again", once, f.pages())
	}
	if more > f.pages()/10 { // what was under way when the leader died
		t.Errorf("%d of %d pages were fetched more than twice", more, f.pages())
	}
}

// TestClusterAgainEnds: a site that ends while its pages are fetched again: what was
// saved stays saved.
func TestClusterAgainEnds(t *testing.T) {
	f := newFleet(t, shape{nodes: 1, pages: 300})
	f.crawl("one", "--tries", "1")
	f.finish("one", time.Minute)
	first := f.readOnly()
	f.reach(first + f.pages()/10)
	f.web.Stop()
	n := int64(f.pages())
	eventuallySay(t, 3*time.Minute, func() string { return f.sight() }, func() bool {
		s, err := f.Crawl(t.Context(), "one")
		return err == nil && s.Saved+s.Revisits == n && s.Open() == 0
	})
	if s := f.finish("one", time.Minute); s.Saved+s.Revisits != n || s.Known != n+1 {
		t.Errorf("%+v of %d pages that were saved", s, n)
	}
}
