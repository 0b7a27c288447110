package fleet

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/coordinator"
	"salvor/crawler/canon"
	"salvor/storage"
	"salvor/storage/mem"
)

// world is a cluster of one coordinator, a Store, a web site, and any number of
// fleets.
type world struct {
	t     *testing.T
	node  *coordinator.Group
	seam  *seam // the coordinator as fleets see it
	store storage.Store
	web   *httptest.Server
	gate  gate
	mux   *http.ServeMux
	hits  sync.Map // path -> *atomic.Int64

	mu     sync.Mutex
	events []Event
}

func newWorld(t *testing.T, pages int) *world {
	t.Helper()
	w := &world{t: t, store: mem.New(), mux: http.NewServeMux()}
	w.mux.HandleFunc("/p/{i}", func(rw http.ResponseWriter, r *http.Request) {
		var i int
		fmt.Sscan(r.PathValue("i"), &i)
		links(rw, i, pages)
	})
	w.mux.HandleFunc("/{$}", func(rw http.ResponseWriter, r *http.Request) { links(rw, 0, pages) })
	w.web = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		n, _ := w.hits.LoadOrStore(r.Host+r.URL.Path, new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		w.gate.pass(r)
		w.mux.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() { w.gate.open(); w.web.Close() })
	node, err := coordinator.Start(t.Context(), coordinator.Config{Dir: filepath.Join(t.TempDir(), "coordinator")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { node.Close(context.Background()) })
	w.node, w.seam = node, &seam{Coordinator: node}
	return w
}

// gate holds up requests from some number on.
type gate struct {
	mu      sync.Mutex
	left    int
	shut    chan struct{} // nil: it is open
	waiting int
}

func (g *gate) shutAfter(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left, g.shut = n, make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

func (g *gate) pass(r *http.Request) {
	g.mu.Lock()
	shut := g.shut
	if g.left--; shut == nil || g.left >= 0 {
		g.mu.Unlock()
		return
	}
	g.waiting++
	g.mu.Unlock()
	select {
	case <-shut:
	case <-r.Context().Done():
	}
	g.mu.Lock()
	g.waiting--
	g.mu.Unlock()
}

func (g *gate) held() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting
}

// links is page i of n, with ten links.
func links(rw http.ResponseWriter, i, n int) {
	var b strings.Builder
	fmt.Fprintf(&b, "<title>page %d</title>", i)
	for j := 1; j <= 10; j++ {
		fmt.Fprintf(&b, `<a href="/p/%d">x</a> `, (i*10+j)%n)
	}
	rw.Header().Set("Content-Type", "text/html")
	rw.Header().Set("Content-Length", fmt.Sprint(b.Len()))
	fmt.Fprint(rw, b.String())
}

// pages is how often anything but robots.txt was asked for.
func (w *world) pages() (n int64) {
	w.hits.Range(func(k, v any) bool {
		if !strings.HasSuffix(k.(string), "/robots.txt") {
			n += v.(*atomic.Int64).Load()
		}
		return true
	})
	return n
}

// total is how often anything was asked for.
func (w *world) total() (n int64) {
	w.hits.Range(func(_, v any) bool { n += v.(*atomic.Int64).Load(); return true })
	return n
}

func settings() job.Settings {
	return job.Settings{
		Name: "test", UserAgent: "salvor-test", RobotsAgent: "salvor", Scope: "host", MaxHops: job.NoLimit,
		PageRequisites: true, Robots: "obey", MaxRateGiven: true, Connections: 8, PerOrigin: 6, Tries: 2,
		AllowNet: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, WARCMaxSize: 1 << 30, WARCPrefix: "test", WARCOutlinks: true,
	}
}

// crawl makes a running crawl of the site.
func (w *world) crawl(name string, change func(*job.Settings), seeds ...string) salvor.CrawlID {
	w.t.Helper()
	s := settings()
	if change != nil {
		change(&s)
	}
	if len(seeds) == 0 {
		seeds = []string{w.web.URL + "/"}
	}
	x, err := outfit.NewSpec(s, seeds)
	c := api.Crawl{Name: name, State: salvor.CrawlRunning, Canon: canon.Version, Scope: 1}
	if err = firstError(err, x.Apply(&c)); err != nil {
		w.t.Fatal(err)
	}
	if c, err = w.node.CreateCrawl(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
	rules, err := x.Compile()
	if err != nil {
		w.t.Fatal(err)
	}
	offers, err := outfit.SeedOffers(c, rules, seeds)
	if err == nil {
		_, err = w.node.Discover(w.t.Context(), api.Call{}, api.Discovery{Crawl: c.ID, Scope: c.Scope, Items: offers})
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return c.ID
}

func (w *world) config(node string) Config {
	return Config{
		Coordinator: w.seam, Store: w.store, Dir: filepath.Join(w.t.TempDir(), node), Node: node, Version: "test",
		Poll: 20 * time.Millisecond, DrainFor: 5 * time.Second, Events: w.event, idle: 50 * time.Millisecond, wait: 10 * time.Millisecond,
	}
}

func (w *world) event(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// told is what events of a code say.
func (w *world) told(code string) (texts []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if e.Code == code {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

// run is a fleet at work.
type run struct {
	*Fleet
	w     *world
	kill  context.CancelFunc
	drain chan struct{}
	ended chan error
}

func (w *world) run(c Config) *run {
	w.t.Helper()
	r := &run{w: w, drain: make(chan struct{}), ended: make(chan error, 1)}
	c.Drain = r.drain
	f, err := New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Fleet = f
	ctx, kill := context.WithCancel(context.Background())
	r.kill = kill
	go func() { r.ended <- f.Run(ctx) }()
	w.t.Cleanup(kill)
	return r
}

// end waits for a fleet to end.
func (r *run) end() {
	r.w.t.Helper()
	select {
	case err := <-r.ended:
		if err != nil {
			r.w.t.Error(err)
		}
	case <-time.After(15 * time.Second):
		r.w.t.Fatalf("the fleet does not end: %+v", r.Status())
	}
}

func (r *run) stop() {
	r.w.t.Helper()
	close(r.drain)
	r.end()
}

// until waits for something to become so.
func (w *world) until(what string, f func() bool) {
	w.t.Helper()
	end := time.Now().Add(20 * time.Second)
	for !f() {
		if time.Now().After(end) {
			w.t.Fatalf("in vain: %s; events %+v", what, w.events)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (w *world) totals(id salvor.CrawlID) api.Totals {
	w.t.Helper()
	t, err := w.node.Totals(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// set puts a crawl into a state.
func (w *world) set(id salvor.CrawlID, s salvor.CrawlState) {
	w.t.Helper()
	w.change(id, func(c *api.Crawl) { c.State = s })
}

func (w *world) change(id salvor.CrawlID, f func(*api.Crawl)) {
	w.t.Helper()
	for {
		c, err := w.node.Crawl(w.t.Context(), id)
		if err != nil {
			w.t.Fatal(err)
		}
		f(&c)
		c.Version++
		if err = w.node.SetCrawl(w.t.Context(), c); err == nil {
			return
		}
		if salvor.ClassOf(err) != salvor.Conflict {
			w.t.Fatal(err)
		}
	}
}

// finish waits until nothing of a crawl is open, and finishes it.
func (w *world) finish(id salvor.CrawlID) {
	w.t.Helper()
	w.until("nothing is open", func() bool { t := w.totals(id); return t.Open() == 0 && t.Accepted > 0 })
	w.set(id, salvor.CrawlFinished)
}

// gone waits until a fleet works for no crawl.
func (r *run) gone() {
	r.w.t.Helper()
	r.w.until("the fleet is done", func() bool { return len(r.Status()) == 0 })
}

// whole checks that every page of a crawl was asked for once and that the Store
// holds just what the coordinator says, below the crawl's prefix.
func (w *world) whole(id salvor.CrawlID, name string, pages int) {
	w.t.Helper()
	t := w.totals(id)
	if got := t.Outcomes[salvor.Saved] + t.Outcomes[salvor.Revisit]; got != int64(pages) {
		w.t.Errorf("%d pages are saved, want %d: %+v", got, pages, t)
	}
	if t.Dups != 0 {
		w.t.Errorf("%d captures are there twice", t.Dups)
	}
	w.stored(id, name)
}
