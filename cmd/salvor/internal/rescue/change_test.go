package rescue

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/control"
	"salvor/cmd/salvor/internal/job"
	"salvor/crawler/canon"
)

// opened is the open archive of a job whose seeds are queued.
func opened(t *testing.T, j job.Job) *rescue {
	t.Helper()
	r, err := open(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.close(context.WithoutCancel(t.Context()), true) })
	if err := r.seed(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// ceilings are the crawl's and a host's.
func ceilings(t *testing.T, r *rescue, host string) (general, own float64) {
	t.Helper()
	c, err := r.node.Crawl(t.Context(), r.crawl.ID)
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := r.node.Hosts(t.Context(), r.crawl.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		if h.Name == host {
			return c.Ceiling.PerSecond(), h.Ceiling.PerSecond()
		}
	}
	t.Fatalf("%s is not known", host)
	return 0, 0
}

// TestRateOrders: an order holds through other orders, and what is taken back
// leaves nothing behind, also when the file goes away between two runs.
func TestRateOrders(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "archive")
	run := func(maxRate float64) *rescue {
		j := testJob(t, dir, "http://a.test/")
		j.Settings.MaxRate, j.Settings.MaxRateGiven = maxRate, maxRate != 20
		return opened(t, j)
	}
	check := func(r *rescue, general, own float64) {
		t.Helper()
		if g, o := ceilings(t, r, "a.test"); g != general || o != own {
			t.Errorf("ceilings %g and %g, want %g and %g", g, o, general, own)
		}
	}
	set := func(r *rescue, rates map[string]salvor.Pace) {
		t.Helper()
		if err := r.setRates(t.Context(), rates); err != nil {
			t.Fatal(err)
		}
	}
	end := func(r *rescue) {
		t.Helper()
		if err := r.close(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		r.pool, r.client, r.log, r.node = nil, nil, nil, nil
		r.job.Dir.Close()
	}

	r := run(20)
	set(r, map[string]salvor.Pace{"": salvor.PerSecond(5), "a.test": salvor.PerSecond(3)})
	if err := r.exclude(t.Context(), []control.Rule{{Text: "/x"}}); err != nil {
		t.Fatal(err)
	}
	check(r, 5, 3)
	set(r, nil)
	check(r, 20, 20)
	set(r, map[string]salvor.Pace{"a.test": salvor.PerSecond(3)})
	end(r)

	r = run(20)
	if err := r.startRates(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(r, 20, 20)
	// As a Crawl-delay does it.
	if err := r.node.SetCeiling(t.Context(), r.crawl.ID, "a.test", salvor.PerSecond(1)); err != nil {
		t.Fatal(err)
	}
	if err := r.startRates(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(r, 20, 1)
	end(r)

	r = run(8)
	if err := r.startRates(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(r, 8, 8)
}

// TestLoneSeedMoves: when nothing but the seed is known, its redirect leaves
// nothing to look at again.
func TestLoneSeedMoves(t *testing.T) {
	r := opened(t, testJob(t, filepath.Join(t.TempDir(), "archive"), "http://a.test/"))
	moved := func(to string, widens bool) {
		t.Helper()
		if _, _, err := r.seedMoved(t.Context(), "http://a.test/", to); err != nil || r.memory.Widened != widens {
			t.Errorf("moved to %s (%v): widened %v", to, err, r.memory.Widened)
		}
	}
	moved("http://b.test/", false)
	if err := r.offerSeeds(t.Context()); err != nil {
		t.Fatal(err)
	}
	moved("http://b.test/c", false)
	moved("http://d.test/", true) // what is known is no longer the seeds alone
}

// TestChangesTogether: seeds move while the operator changes the rules, and
// neither undoes the other.
func TestChangesTogether(t *testing.T) {
	r := opened(t, testJob(t, filepath.Join(t.TempDir(), "archive"), "http://a.test/"))
	const n = 20
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range n {
			if _, _, err := r.seedMoved(t.Context(), "http://a.test/", fmt.Sprintf("http://b%d.test/", i)); err != nil {
				t.Error(err)
			}
			r.warcinfo("")
		}
	})
	for i := range n {
		if err := r.exclude(t.Context(), []control.Rule{{Text: fmt.Sprintf("/x%d$", i)}}); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	s, c := r.rules()
	for url, want := range map[string]bool{
		fmt.Sprintf("http://a.test/x%d", n-1): false, "http://a.test/x0": true, fmt.Sprintf("http://b%d.test/", n-1): true,
	} {
		u, err := canon.Parse(url)
		if err != nil {
			t.Fatal(err)
		}
		if d := s.Recheck(salvor.Item{URL: u.Href, Class: salvor.ClassPage}); d.In != want {
			t.Errorf("%s: %+v", url, d)
		}
	}
	if stored, err := r.node.Crawl(t.Context(), c.ID); err != nil || stored.Scope != c.Scope || c.Scope != n+1 {
		t.Errorf("scope version %d, stored %d (%v), want %d", c.Scope, stored.Scope, err, n+1)
	}
	if !r.memory.Widened {
		t.Error("nothing says that the scope grew")
	}
}

// wide is a site of several servers. Seed /a links to the page /e of another
// host, which lies one hop outside the scope and links to /f on its own host
// and to /x on a third one. That becomes part of the scope when the second
// seed, which answers late, redirects there.
func wide(t *testing.T) (seeds []string, hits func(string) int64) {
	t.Helper()
	counts := map[string]*atomic.Int64{}
	outside := make(chan struct{})
	urls := map[string]string{}
	serve := func(name, path string, f http.HandlerFunc) {
		n := new(atomic.Int64)
		counts[path] = n
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := counts[r.URL.Path]
			if c == nil {
				http.NotFound(w, r)
				return
			}
			c.Add(1)
			f(w, r)
		}))
		t.Cleanup(s.Close)
		urls[name] = s.URL
	}
	link := func(w http.ResponseWriter, to ...string) {
		w.Header().Set("Content-Type", "text/html")
		for _, u := range to {
			fmt.Fprintf(w, `<a href="%s">x</a>`, u)
		}
	}
	counts["/f"], counts["/x"] = new(atomic.Int64), new(atomic.Int64)
	serve("target", "/home", func(w http.ResponseWriter, r *http.Request) { link(w) })
	var once sync.Once
	serve("outside", "/e", func(w http.ResponseWriter, r *http.Request) {
		link(w, "/f", urls["target"]+"/x")
		once.Do(func() { close(outside) })
	})
	serve("near", "/a", func(w http.ResponseWriter, r *http.Request) { link(w, urls["outside"]+"/e") })
	serve("moved", "/go", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-outside:
			time.Sleep(500 * time.Millisecond) // the links of /e are judged now
		case <-r.Context().Done():
		}
		http.Redirect(w, r, urls["target"]+"/home", http.StatusFound)
	})
	return []string{urls["near"] + "/a", urls["moved"] + "/go"}, func(path string) int64 { return counts[path].Load() }
}

// TestSeedWidens: what was left outside before a seed's redirect made it
// belong is fetched, and nothing that lies further outside than before.
func TestSeedWidens(t *testing.T) {
	seeds, hits := wide(t)
	j := testJob(t, filepath.Join(t.TempDir(), "archive"), seeds[0])
	j.Seeds = append(j.Seeds, job.Seed{URL: seeds[1], Source: "command line"})
	j.Settings.ExtraHops = 1
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	res, err := Engine{}.Run(ctx, j)
	if err != nil || res.Reason != job.Done {
		t.Fatalf("ended %q: %v", res.Reason, err)
	}
	for path, want := range map[string]int64{"/a": 1, "/e": 1, "/go": 1, "/home": 1, "/x": 1, "/f": 0} {
		if got := hits(path); got != want {
			t.Errorf("%s was fetched %d times, want %d", path, got, want)
		}
	}
	var m memory
	if err := m.load(j.Dir); err != nil {
		t.Fatal(err)
	}
	last := m.Samples[len(m.Samples)-1]
	if m.Widened || last.URLs != res.Final.Captures || last.At.Before(m.Runs[0].End.Add(-time.Second)) {
		t.Errorf("widened %v, last sample %+v of %d captures", m.Widened, last, res.Final.Captures)
	}
}
