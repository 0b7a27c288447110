package crawler

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/crawler/crawllog"
	"salvor/crawler/fetch"
	"salvor/crawler/scope"
	"salvor/storage/file"
	"salvor/warc"
	"salvor/warc/cdx"
)

// world is what outlives a worker: a web site, a coordinator's state, a spool,
// a Store and a log. Whatever changes one of them is a step with a name, and
// a test may have the worker's process die just before a step.
type world struct {
	t     *testing.T
	dir   string
	front *frontier
	web   *httptest.Server
	pages map[string]http.HandlerFunc
	// elsewhere: the Store is on another machine.
	elsewhere bool

	mu     sync.Mutex
	trail  []string                // steps done in this life
	counts map[string]int          // of them, by name
	dieAt  string                  // the process dies before the dieNth of these
	dieNth int                     //
	fail   func(name string) error // a step that fails without being the end
	hold   map[string]chan struct{}
	held   chan string // steps that wait for hold
	dead   bool
	kill   context.CancelFunc
	synced map[string]int64 // sizes that an fsync covered, by name without .open
}

var errKilled = errors.New("the process was killed")

func newWorld(t *testing.T, pages map[string]http.HandlerFunc) *world {
	w := &world{t: t, dir: t.TempDir(), pages: pages, held: make(chan string, 100), synced: map[string]int64{}}
	w.web = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if h := pages[r.URL.Path]; h != nil {
			h(rw, r)
			return
		}
		http.NotFound(rw, r)
	}))
	t.Cleanup(w.web.Close)
	w.front = newFrontier(w)
	w.front.offer(api.Offer{Item: w.item("/", salvor.ClassSeed)})
	return w
}

func (w *world) key(path string) salvor.Key {
	return salvor.ItemKey(w.front.crawl.HashKey, "", w.web.URL+path, nil)
}

func (w *world) item(path string, class salvor.Class) salvor.Item {
	return salvor.Item{
		Key: w.key(path), Crawl: 1, Host: "127.0.0.1", Origin: w.web.URL, URL: w.web.URL + path, Class: class,
	}
}

// step comes before every change. It fails when the process is dead.
func (w *world) step(name string) error {
	w.mu.Lock()
	gate := w.hold[name]
	w.mu.Unlock()
	if gate != nil {
		w.held <- name
		<-gate
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[name]++
	if !w.dead && w.dieAt == name && w.counts[name] == w.dieNth {
		w.dead = true
		w.kill()
	}
	if w.dead {
		return errKilled
	}
	w.trail = append(w.trail, name)
	if w.fail != nil {
		return w.fail(name)
	}
	return nil
}

// died reports whether the process came to the step that kills it.
func (w *world) died() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dead
}

// life is one run of a worker's process. It ends when everything is settled,
// or by death.
func (w *world) life(dieAt string, nth int) error {
	ctx, kill := context.WithCancel(w.t.Context())
	defer kill()
	w.mu.Lock()
	w.trail, w.counts, w.dead, w.dieAt, w.dieNth, w.kill = nil, map[string]int{}, false, dieAt, nth, kill
	w.mu.Unlock()
	client, err := fetch.New(fetch.Config{AllowNet: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, SpoolDir: w.t.TempDir()})
	if err != nil {
		return err
	}
	defer client.Close()
	store, err := file.Open(filepath.Join(w.dir, "archive"))
	if err != nil {
		return err
	}
	pool, rec, err := warc.Open(ctx, warc.PoolConfig{
		Dir: w.spool(), Store: &steppedStore{store, w}, Writers: 1, MaxSize: 4000, FS: &steppedFS{w}, Node: "test",
		Info:        func(string) warc.Warcinfo { return warc.Warcinfo{Software: "test"} },
		OpenSegment: w.front.openSegment,
		OnSealed:    w.front.SetSegment, OnStored: w.front.SetSegment, Journals: w.elsewhere,
	})
	if err != nil {
		return err
	}
	defer pool.Close(context.WithoutCancel(ctx))
	log, err := crawllog.Open(filepath.Join(w.dir, "crawl.log"))
	if err != nil {
		return err
	}
	err = w.work(ctx, client, pool, rec, log)
	if !w.died() { // else nothing is closed: what the log buffered is gone
		err = errors.Join(err, log.Close(), insist(ctx, pool.Seal))
	}
	if w.died() {
		return errKilled
	}
	return err
}

// insist repeats what a coordinator did not answer.
func insist(ctx context.Context, f func(context.Context) error) error {
	return repeat(ctx, func() error { return f(ctx) })
}

func (w *world) spool() string { return filepath.Join(w.dir, "spool") }

func (w *world) work(ctx context.Context, client *fetch.Client, pool *warc.Pool, rec warc.Recovery, log *crawllog.Writer) error {
	s, err := scope.Compile(scope.Rules{Seeds: []string{w.web.URL + "/"}, MaxHops: scope.NoLimit, Requisites: true})
	if err != nil {
		return err
	}
	worker := New(Config{
		Coordinator: w.front, Crawl: w.front.crawl, Name: "test", Fetch: client, Pool: pool, Recovery: rec,
		Originals: cdx.NewOriginals(1000), Log: log, Scope: s, Tries: 3, Connections: 4, PerOrigin: 4, Outlinks: true,
		Hold: Hold{On: w.elsewhere, Idle: 30 * time.Millisecond}, Restored: w.elsewhere,
	})
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()
	for {
		bell := w.front.bell()
		if w.front.open() == 0 {
			worker.Drain()
			return <-ended
		}
		select {
		case err := <-ended:
			return err
		case <-bell:
		}
	}
}

// siteLinks are the pages of the test site and what each links to.
var siteLinks = map[string][]string{
	"/":     {"/1", "/2", "/moved", "/i.png"},
	"/1":    {"/", "/3", "/same"},
	"/2":    {"/3", "/4", "/gone"},
	"/3":    {"/5", "/i.png"},
	"/4":    {"/1", "/5"},
	"/5":    {"/"},
	"/new":  {"/6"},
	"/6":    {"/"},
	"/same": {"/"},
}

// site serves siteLinks, and what is no page.
func site() map[string]http.HandlerFunc {
	pages := map[string]http.HandlerFunc{
		"/moved": func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, "/new", http.StatusFound) },
		"/i.png": func(rw http.ResponseWriter, _ *http.Request) { rw.Write([]byte("\x89PNG\r\n\x1a\n...")) },
	}
	for path, links := range siteLinks {
		pages[path] = func(rw http.ResponseWriter, _ *http.Request) {
			title := path
			if path == "/same" {
				title = "/5" // the same bytes: a revisit of one or the other
			}
			rw.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(rw, "<title>%s</title>", title)
			for _, l := range links {
				if strings.HasSuffix(l, ".png") {
					fmt.Fprintf(rw, "<img src=%q>", l)
				} else {
					fmt.Fprintf(rw, "<a href=%q>x</a>", l)
				}
			}
		}
	}
	return pages
}

// siteURLs are all URLs of the site that have an answer worth having.
func siteURLs() []string {
	urls := []string{"/moved", "/i.png"}
	for path := range siteLinks {
		urls = append(urls, path)
	}
	slices.Sort(urls)
	return urls
}

// files lists the spool, but for the serial number.
func (w *world) files() (names []string) {
	es, err := os.ReadDir(w.spool())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Error(err)
	}
	for _, e := range es {
		if e.Name() != "serial" {
			names = append(names, e.Name())
		}
	}
	return names
}
