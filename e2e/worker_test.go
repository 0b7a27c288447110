package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator"
	"salvor/crawler"
	"salvor/crawler/canon"
	"salvor/crawler/crawllog"
	"salvor/crawler/fetch"
	"salvor/crawler/scope"
	"salvor/storage"
	"salvor/storage/faulty"
	"salvor/storage/mem"
	"salvor/warc"
	"salvor/warc/cdx"
)

// hall is a real coordinator in this process, with one crawl, and the real
// workers on it.
type hall struct {
	t     *testing.T
	node  *coordinator.Group
	crawl api.Crawl
	scope *scope.Scope
}

func newHall(t *testing.T, seed string, rate float64) *hall {
	t.Helper()
	h := &hall{t: t}
	var err error
	if h.node, err = coordinator.Start(t.Context(), coordinator.Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.node.Close(context.Background()) })
	h.crawl, err = h.node.CreateCrawl(t.Context(), api.Crawl{
		Name: "test", State: salvor.CrawlRunning, Canon: canon.Version, Scope: 1, Tries: 3,
		Ceiling: salvor.PerSecond(rate), Start: salvor.PerSecond(rate),
	})
	if err != nil {
		t.Fatal(err)
	}
	if h.scope, err = scope.Compile(scope.Rules{Seeds: []string{seed}, MaxHops: scope.NoLimit}); err != nil {
		t.Fatal(err)
	}
	return h
}

// seeds queues URLs, with their robots.txt.
func (h *hall) seeds(urls ...string) {
	h.t.Helper()
	var offers []api.Offer
	for _, s := range urls {
		u, err := canon.Parse(s)
		if err != nil {
			h.t.Fatal(err)
		}
		offers = append(offers, api.Offer{Item: crawler.NewItem(h.crawl, u, h.scope.Seed(u), "")})
	}
	d := api.Discovery{Crawl: h.crawl.ID, Scope: 1, Items: crawler.WithRobots(h.crawl, offers)}
	if _, err := h.node.Discover(h.t.Context(), api.Call{}, d); err != nil {
		h.t.Fatal(err)
	}
}

// hand is a worker with its own spool.
type hand struct {
	*crawler.Worker
	pool *warc.Pool
}

// work starts a worker. It is drained, and its segments are sealed, when the
// test ends or stop is called.
func (h *hall) work(name string, c api.Coordinator, store storage.Store) (w *hand, stop func()) {
	h.t.Helper()
	dir := h.t.TempDir()
	client, err := fetch.New(fetch.Config{AllowNet: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, SpoolDir: dir})
	if err != nil {
		h.t.Fatal(err)
	}
	pool, rec, err := warc.Open(h.t.Context(), warc.PoolConfig{
		Dir: filepath.Join(dir, "spool"), Store: store, Node: name, MaxSize: 5000, Writers: 1,
		Info: func(string) warc.Warcinfo { return warc.Warcinfo{Software: "test"} },
		OpenSegment: func(ctx context.Context, name string) (salvor.SegmentID, error) {
			return h.node.OpenSegment(ctx, api.Call{}, name)
		},
		OnSealed: h.node.SetSegment, OnStored: h.node.SetSegment,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	log, err := crawllog.Open(filepath.Join(dir, "crawl.log"))
	if err != nil {
		h.t.Fatal(err)
	}
	w = &hand{pool: pool, Worker: crawler.New(crawler.Config{
		Coordinator: c, Crawl: h.crawl, Name: name, Fetch: client, Pool: pool, Recovery: rec, Originals: cdx.NewOriginals(1000),
		Log: log, Scope: h.scope, Tries: 3, Connections: 8, PerOrigin: 8, Outlinks: true,
	})}
	ctx := context.WithoutCancel(h.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		w.Drain()
		if err := errors.Join(<-ended, pool.Seal(ctx), pool.Close(ctx), client.Close(), log.Close()); err != nil {
			h.t.Errorf("worker %s: %v", name, err)
		}
	})
	h.t.Cleanup(stop)
	return w, stop
}

func (h *hall) totals() api.Totals {
	h.t.Helper()
	t, err := h.node.Totals(h.t.Context(), h.crawl.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return t
}

// host is the one host of a test.
func (h *hall) host() api.Host {
	h.t.Helper()
	hosts, err := h.node.Hosts(h.t.Context(), h.crawl.ID, 0)
	if err != nil || len(hosts) != 1 {
		h.t.Fatalf("%d hosts, %v", len(hosts), err)
	}
	return hosts[0]
}

// TestBudgetAtTheServer: what a server sees of two workers keeps to the budget
// of its host in any ten seconds, and from two seconds after a 429 on to the
// lower one (protocol 4).
func TestBudgetAtTheServer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s")
	}
	t.Parallel()
	const rate, workers = 5, 2
	var mu sync.Mutex
	var refuse bool
	var refused time.Time
	v := newVisitors(t, 10*time.Millisecond, func(_ int, w http.ResponseWriter) bool {
		mu.Lock()
		defer mu.Unlock()
		if !refuse {
			return false
		}
		refuse, refused = false, time.Now()
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	h := newHall(t, v.URL, rate)
	h.seeds(v.URL + "/")
	for i := range workers {
		h.work(fmt.Sprintf("w%d", i), h.node, mem.New())
	}
	eventually(t, 5*time.Second, "a request", func() bool { return len(v.between(time.Time{}, time.Now())) > 0 })
	time.Sleep(11 * time.Second)
	first := v.between(time.Time{}, time.Now())
	atMost(t, first, rate, 10*time.Second, workers)
	if len(first) < 45 {
		t.Errorf("%d requests in 11 s at %d/s", len(first), rate)
	}

	mu.Lock()
	refuse = true
	mu.Unlock()
	eventually(t, 5*time.Second, "a 429 and a lower budget", func() bool { return h.host().Rate < salvor.PerSecond(rate) })
	mu.Lock()
	holds := refused.Add(2 * time.Second)
	mu.Unlock()
	lower := h.host().Rate
	// The host is left alone for 5 s first.
	for end := holds.Add(8 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		lower = max(lower, h.host().Rate)
	}
	late := v.between(holds, time.Now())
	t.Logf("%d requests in 11 s; after the 429 at most %.2f/s, and %d requests in 8 s", len(first), lower.PerSecond(), len(late))
	atMost(t, late, lower.PerSecond(), time.Second, workers)
	if lower >= salvor.PerSecond(rate) || len(late) < 6 {
		t.Errorf("the budget became %.2f/s, %d requests in 8 s", lower.PerSecond(), len(late))
	}
}

// hoarder is a coordinator that is deaf to what was captured until it is told
// otherwise.
type hoarder struct {
	*coordinator.Group
	gate chan struct{}
}

func (h *hoarder) Settle(ctx context.Context, c api.Call, s api.Settlement) error {
	if len(s.Robots) == 0 {
		<-h.gate
	}
	return h.Group.Settle(ctx, c, s)
}

// pagesOnce serves n pages and counts how often each is asked for.
func pagesOnce(t *testing.T, n int) (urls []string, counts func() (asked, most int)) {
	var mu sync.Mutex
	seen := map[string]int{}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" {
			return
		}
		mu.Lock()
		seen[r.URL.Path]++
		mu.Unlock()
		fmt.Fprintf(w, "<p>%s</p>", r.URL.Path)
	}))
	t.Cleanup(web.Close)
	for i := range n {
		urls = append(urls, fmt.Sprintf("%s/p/%d", web.URL, i))
	}
	return urls, func() (asked, most int) {
		mu.Lock()
		defer mu.Unlock()
		for _, n := range seen {
			asked++
			most = max(most, n)
		}
		return asked, most
	}
}

// TestHeld: what is captured and not settled stays with its session for longer
// than any lease lasts: it books no pace, nobody else gets it, and it is
// settled once when it can be (protocol 4).
func TestHeld(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 14 s")
	}
	t.Parallel()
	const n = 40
	urls, counts := pagesOnce(t, n)
	h := newHall(t, urls[0], 100)
	h.seeds(urls...)
	deaf := &hoarder{h.node, make(chan struct{})}
	h.work("first", deaf, mem.New())
	open := sync.OnceFunc(func() { close(deaf.gate) })
	t.Cleanup(open) // before the worker is drained
	eventually(t, 10*time.Second, "all pages", func() bool { asked, _ := counts(); return asked == n })
	h.work("second", h.node, mem.New())
	begun := time.Now()
	for time.Since(begun) < salvor.LeaseTTL+3*time.Second {
		time.Sleep(250 * time.Millisecond)
		if got := h.totals(); got.Leased != n || got.Outcomes[salvor.Saved] > 1 { // robots.txt
			t.Fatalf("after %v: %d of %d are held, %d saved", time.Since(begun), got.Leased, n, got.Outcomes[salvor.Saved])
		}
		if booked := h.host().Booked; time.Since(begun) > salvor.ExtendEvery+time.Second && booked != 0 {
			t.Fatalf("after %v: %.1f/s are booked for what is only held", time.Since(begun), booked.PerSecond())
		}
	}
	open()
	eventually(t, 10*time.Second, "all are settled", func() bool { return h.totals().Open() == 0 })
	got := h.totals()
	if asked, most := counts(); asked != n || most != 1 || got.Outcomes[salvor.Saved]+got.Outcomes[salvor.Revisit] != n+1 || got.Dups != 0 || got.Captures != n+1 {
		t.Errorf("%d pages asked for, one %d times; %+v", asked, most, got)
	}
}

// TestStoreAway: while the Store does not answer, a crawl goes on, and keeps
// its segments; once it is back they are stored, and each capture was reported
// once and fetched once.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	const n = 100
	urls, counts := pagesOnce(t, n)
	h := newHall(t, urls[0], 1000)
	h.seeds(urls...)
	store := faulty.Wrap(mem.New(), faulty.Rule{Before: faulty.Down()})
	w, stop := h.work("only", h.node, store)
	eventually(t, 30*time.Second, "all are settled", func() bool { return h.totals().Open() == 0 && h.totals().Captures > n })
	if store.Calls(faulty.Put) == 0 || w.pool.Spooled() == 0 {
		t.Errorf("the Store was asked %d times, %d bytes are in the spool", store.Calls(faulty.Put), w.pool.Spooled())
	}
	for _, s := range h.segments() {
		if s.State == api.SegmentStored {
			t.Errorf("%s is said to be in a Store that is away", s.Name)
		}
	}
	store.Set()
	stop()
	for _, s := range h.segments() {
		if s.State != api.SegmentStored {
			t.Errorf("%s is not stored", s.Name)
		}
		if info, err := store.Stat(t.Context(), warc.Key(s.Name)); err != nil || info.Size != s.Bytes {
			t.Errorf("%s: %+v, %v", s.Name, info, err)
		}
	}
	got := h.totals()
	if asked, most := counts(); asked != n || most != 1 || got.Outcomes[salvor.Saved]+got.Outcomes[salvor.Revisit] != n+1 || got.Dups != 0 {
		t.Errorf("%d pages asked for, one %d times; %+v", asked, most, got)
	}
}

func (h *hall) segments() []api.Segment {
	h.t.Helper()
	s, err := h.node.Segments(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}
