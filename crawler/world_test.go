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
	"salvor/storage"
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

// frontier is a coordinator with one host: its state is a map, and changes
// only where a call is committed. Each call that changes something is two steps:
// one before it is committed, and one before its answer arrives.
type frontier struct {
	api.Coordinator // what a worker never calls
	w               *world
	crawl           api.Crawl

	mu       sync.Mutex
	items    map[salvor.Key]*knownItem
	robots   []api.Robots
	session  salvor.SessionID
	lease    salvor.LeaseID
	segments map[string]salvor.SegmentID
	stored   map[salvor.SegmentID]api.Segment
	dups     int
	changed  chan struct{}
}

type knownItem struct {
	api.Offer
	lease   salvor.LeaseID // 0: queued
	settled bool
	entry   api.Entry
	// answered: it is robots.txt, its rules are known and its bytes not durable.
	answered bool
	parked   bool // captured by an earlier session
	reports  int  // with this outcome
}

func newFrontier(w *world) *frontier {
	return &frontier{
		w: w, crawl: api.Crawl{ID: 1, Scope: 1, HashKey: salvor.HashKey{7}}, items: map[salvor.Key]*knownItem{},
		segments: map[string]salvor.SegmentID{}, stored: map[salvor.SegmentID]api.Segment{}, changed: make(chan struct{}),
	}
}

// commit changes the state between two steps.
func (f *frontier) commit(name string, change func()) error {
	if err := f.w.step(name); err != nil {
		return err
	}
	f.mu.Lock()
	change()
	close(f.changed)
	f.changed = make(chan struct{})
	f.mu.Unlock()
	return f.w.step(name + " answer")
}

func (f *frontier) bell() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// open counts what has no outcome.
func (f *frontier) open() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, it := range f.items {
		if !it.settled {
			n++
		}
	}
	return n
}

func (f *frontier) known(k salvor.Key) (knownItem, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if it := f.items[k]; it != nil {
		return *it, true
	}
	return knownItem{}, false
}

func (f *frontier) offer(o api.Offer) {
	if f.items[o.Key] == nil {
		f.items[o.Key] = &knownItem{Offer: o}
	}
}

func (f *frontier) Register(context.Context, string) (id salvor.SessionID, err error) {
	return f.session + 1, f.commit("Register", func() {
		f.session++
		for _, it := range f.items {
			it.lease, it.parked, it.answered = 0, false, false
		}
	})
}

func (f *frontier) End(context.Context, salvor.SessionID) error { return f.commit("End", func() {}) }

func (f *frontier) Discover(_ context.Context, _ api.Call, d api.Discovery) ([]api.Result, error) {
	return nil, f.commit("Discover", func() {
		for _, o := range d.Items {
			f.offer(o)
		}
	})
}

// Lease gives everything that is queued; robots.txt first, and alone.
func (f *frontier) Lease(ctx context.Context, _ api.Call, w api.Want) ([]api.Lease, error) {
	until := time.After(w.Wait)
	for {
		bell := f.bell()
		if l, ok := f.grant(); ok {
			return []api.Lease{l}, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-until:
			return nil, nil
		case <-bell:
		}
	}
}

func (f *frontier) grant() (api.Lease, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	robots := false
	for _, it := range f.items {
		robots = robots || it.Class == salvor.ClassRobots && !it.settled && !it.answered
	}
	l := api.Lease{ID: f.lease + 1, Crawl: 1, Host: "127.0.0.1", Pace: salvor.Unlimited, TTL: salvor.LeaseTTL, Robots: f.robots}
	for _, it := range f.items {
		if !it.settled && !it.parked && it.lease == 0 && (!robots || it.Class == salvor.ClassRobots) {
			it.lease = l.ID
			l.Items = append(l.Items, it.Item)
		}
	}
	if len(l.Items) > 0 {
		f.lease++
	}
	return l, len(l.Items) > 0
}

func (f *frontier) Extend(_ context.Context, _ api.Call, h api.Holdings) (api.Renewal, error) {
	for i := range h.Leases {
		h.Leases[i].Pace = salvor.Unlimited
	}
	return api.Renewal{Granted: h.Leases}, nil
}

func (f *frontier) Feedback(context.Context, []api.HostFeedback) error { return nil }

// Settle checks of each capture what must be so before it may be reported.
func (f *frontier) Settle(_ context.Context, _ api.Call, s api.Settlement) error {
	for _, e := range s.Entries {
		f.mayEnd(e)
	}
	return f.commit("Settle", func() {
		f.robots = append(f.robots, s.Robots...)
		for _, e := range s.Entries {
			f.end(f.items[e.Key], e)
		}
	})
}

func (f *frontier) end(it *knownItem, e api.Entry) {
	switch {
	case it.settled && it.entry.Place != e.Place:
		f.dups++
	case it.settled:
		it.reports++
	case e.Verb == api.VerbHold && it.lease == 0:
		it.parked = true
	case e.Verb == api.VerbHold:
		it.answered = it.lease == e.Lease
	case e.Verb != api.VerbSettle:
		it.lease = 0
	case e.Outcome.HasCapture() || it.lease == e.Lease:
		it.settled, it.entry, it.reports = true, e, 1
	}
}

// mayEnd is protocol 5: bytes are durable, links are known.
func (f *frontier) mayEnd(e api.Entry) {
	if e.Verb != api.VerbSettle || !e.Outcome.HasCapture() {
		return
	}
	name := f.segment(e.Place.Segment)
	if f.w.elsewhere {
		f.mu.Lock()
		state := f.stored[e.Place.Segment].State
		f.mu.Unlock()
		if state != api.SegmentStored {
			f.w.t.Errorf("%s is reported as %v, its segment is not in the Store", f.path(e.Key), e.Outcome)
		}
	}
	f.w.mu.Lock()
	durable := f.w.synced[name]
	f.w.mu.Unlock()
	if durable < e.Place.Offset+e.Place.Length {
		f.w.t.Errorf("%s is reported as %v with %d bytes of %s durable, its record ends at %d", f.path(e.Key), e.Outcome, durable, name, e.Place.Offset+e.Place.Length)
	}
	for _, l := range siteLinks[f.path(e.Key)] {
		if _, ok := f.known(f.w.key(l)); !ok {
			f.w.t.Errorf("%s is reported as %v, its link %s is not known", f.path(e.Key), e.Outcome, l)
		}
	}
}

func (f *frontier) path(k salvor.Key) string {
	it, _ := f.known(k)
	return strings.TrimPrefix(it.URL, f.w.web.URL)
}

func (f *frontier) segment(id salvor.SegmentID) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, n := range f.segments {
		if n == id {
			return name
		}
	}
	return ""
}

func (f *frontier) openSegment(_ context.Context, name string) (id salvor.SegmentID, err error) {
	err = f.commit("OpenSegment", func() {
		if f.segments[name] == 0 {
			f.segments[name] = salvor.SegmentID(len(f.segments) + 1)
		}
		id = f.segments[name]
	})
	return id, err
}

func (f *frontier) SetSegment(_ context.Context, s api.Segment) error {
	name := map[api.SegmentState]string{api.SegmentSealed: "Sealed", api.SegmentStored: "Stored"}[s.State]
	return f.commit(name, func() { f.stored[s.ID] = s })
}

// steppedStore makes a step of each put.
type steppedStore struct {
	storage.Store
	w *world
}

func (s *steppedStore) Put(ctx context.Context, key string, b storage.Blob, o storage.PutOptions) (storage.Info, error) {
	name := "put " + what(key)
	if err := s.w.step(name); err != nil {
		return storage.Info{}, err
	}
	info, err := s.Store.Put(ctx, key, b, o)
	if err == nil {
		err = s.w.step(name + " answer")
	}
	return info, err
}

// what is a file's kind, for the names of steps.
func what(path string) string {
	base := strings.TrimSuffix(filepath.Base(path), "journal.gz")
	if base != filepath.Base(path) {
		return "journal"
	}
	for _, end := range []string{"journal", "cdxj", "serial", "serial.tmp"} {
		if strings.HasSuffix(base, end) {
			return strings.TrimSuffix(end, ".tmp")
		}
	}
	if strings.HasSuffix(base, ".tmp") {
		return "other"
	}
	return "segment"
}

// steppedFS makes a step of each change of a file. What is written while the
// process dies is written by half.
type steppedFS struct{ w *world }

type steppedFile struct {
	*os.File
	w    *world
	path string
}

func (f *steppedFS) OpenFile(path string, flag int) (warc.File, error) {
	if flag&os.O_CREATE != 0 {
		if err := f.w.step("create " + what(path)); err != nil {
			return nil, err
		}
	}
	o, err := os.OpenFile(path, flag, 0o644)
	if err != nil {
		return nil, err
	}
	return &steppedFile{o, f.w, path}, nil
}

func (f *steppedFS) Rename(from, to string) error {
	if err := f.w.step("rename " + what(from)); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func (f *steppedFS) Remove(path string) error {
	if err := f.w.step("remove " + what(path)); err != nil {
		return err
	}
	return os.Remove(path)
}

func (f *steppedFS) ReadDir(dir string) (names []string, err error) {
	es, err := os.ReadDir(dir)
	for _, e := range es {
		names = append(names, e.Name())
	}
	return names, err
}

func (f *steppedFS) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o755) }
func (f *steppedFS) SyncDir(string) error      { return nil } // of a machine that goes on

func (f *steppedFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (f *steppedFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.w.step("write " + what(f.path)); err != nil {
		if f.w.halfWritten() {
			f.File.WriteAt(p[:len(p)/2], off)
		}
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

// halfWritten is true once: for the write in whose midst the process died.
func (w *world) halfWritten() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := w.dead && strings.HasPrefix(w.dieAt, "write ")
	if first {
		w.dieAt = ""
	}
	return first
}

func (f *steppedFile) Truncate(size int64) error {
	if err := f.w.step("truncate " + what(f.path)); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

// Sync covers what was written before it began.
func (f *steppedFile) Sync() error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	if err := f.w.step("sync " + what(f.path)); err != nil {
		return err
	}
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	name := strings.TrimSuffix(filepath.Base(f.path), ".open")
	f.w.synced[name] = max(f.w.synced[name], size)
	return nil
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
