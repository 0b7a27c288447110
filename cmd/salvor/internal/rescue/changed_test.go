package rescue

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/control"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
	"salvor/crawler/canon"
	"salvor/storage"
	"salvor/storage/mem"
)

// listener keeps what the engine had to say.
type listener struct {
	mu      sync.Mutex
	notices []progress.Notice
	phases  map[progress.Phase]bool
	last    progress.Snapshot
}

func newListener() *listener { return &listener{phases: map[progress.Phase]bool{}} }

func (l *listener) Update(s progress.Snapshot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phases[s.Phase], l.last = true, s
}

func (l *listener) Notice(n progress.Notice) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notices = append(l.notices, n)
}

func (l *listener) was(p progress.Phase) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.phases[p]
}

// said is the texts of the notices with a code, one a line.
func (l *listener) said(code string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	for _, n := range l.notices {
		if n.Code == code {
			fmt.Fprintln(&b, n.Text)
		}
	}
	return b.String()
}

// runs carries a job out and lets go of its directory.
func runs(t *testing.T, j job.Job) job.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	res, err := Engine{}.Run(ctx, j)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Dir.Close(); err != nil {
		t.Fatal(err)
	}
	return res
}

func ordered(rules ...string) (s control.State) {
	for _, x := range rules {
		s.Exclude = append(s.Exclude, control.Rule{Text: x})
	}
	return s
}

// TestExcludeEndsBetweenRuns: a live rule whose line is gone when the next run
// starts ends, and what it kept out is fetched, also where no links are stored.
// A file that cannot be understood ends nothing.
func TestExcludeEndsBetweenRuns(t *testing.T) {
	for _, outlinks := range []bool{true, false} {
		url, hits := testSite(t, 40)
		dir := filepath.Join(t.TempDir(), "archive")
		again := func(o control.State) (job.Result, *listener) {
			j, l := testJob(t, dir, url), newListener()
			j.Orders, j.Progress, j.Settings.WARCOutlinks = o, l, outlinks
			return runs(t, j), l
		}
		// 0 links to 1 and 2, and these to all else: 11 to 30 hang on 1 and 2.
		again(ordered("/p/[12]$"))
		few := hits.Load()
		again(control.State{ExcludeUnread: true})
		if hits.Load() != few || few > 38 {
			t.Errorf("%d pages while the rules hold, then %d", few, hits.Load())
		}
		res, l := again(control.State{})
		if hits.Load() != 40 || res.Final.Excluded != 3 {
			t.Errorf("outlinks %v: %d pages of 40, %d excluded, want the 3 of robots.txt", outlinks, hits.Load(), res.Final.Excluded)
		}
		if said := l.said("control"); !strings.Contains(said, "exclude: removed /p/[12]$") || l.said("rescan") != "" {
			t.Errorf("said %q, %q", said, l.said("rescan"))
		}
		var m memory
		d, err := archive.OpenRead(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.load(d); err != nil || m.Loosened || len(m.Excludes) > 0 {
			t.Errorf("remembered %+v, %v", m, err)
		}
	}
}

// TestSweepsBeforeTheWorker: what an order of before the start keeps out is
// settled before the worker can hold it.
func TestSweepsBeforeTheWorker(t *testing.T) {
	url, hits := testSite(t, 200)
	dir := filepath.Join(t.TempDir(), "archive")
	j := testJob(t, dir, url)
	j.Settings.LimitURLs = 15
	before := runs(t, j)
	j = testJob(t, dir, url)
	j.Orders, j.Settings.LimitURLs = ordered("/p/"), 16
	if res := runs(t, j); res.Final.Excluded <= before.Final.Excluded || res.Final.Queued > 0 {
		t.Errorf("%d requests, %d queued, then %d excluded, %d queued", hits.Load(), before.Final.Queued, res.Final.Excluded, res.Final.Queued)
	}
}

// lookup is a URL as the frontier has it.
func lookup(t *testing.T, r *rescue, url string) api.Known {
	t.Helper()
	u, err := canon.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	k, err := r.node.Lookup(t.Context(), r.crawl.ID, u.Host, salvor.ItemKey(r.crawl.HashKey, "", u.Href, nil))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// gated is a Store one of whose objects cannot be read until gate is closed.
type gated struct {
	storage.Store
	key  string
	gate chan struct{}
}

func (g *gated) Get(ctx context.Context, key string) (io.ReadCloser, storage.Info, error) {
	if key == g.key {
		select {
		case <-g.gate:
		case <-ctx.Done():
			return nil, storage.Info{}, ctx.Err()
		}
	}
	return g.Store.Get(ctx, key)
}

// TestChoresRunBeside: the crawl goes on, orders are heard and the operator is
// told, while an endless segment is read for its links.
func TestChoresRunBeside(t *testing.T) {
	url, hits := testSite(t, 100)
	dir := filepath.Join(t.TempDir(), "archive")
	j, l := testJob(t, dir, url), newListener()
	j.Progress = l
	orders := make(chan control.Change, 1)
	j.Control = orders
	endless := &gated{Store: mem.New(), key: "warc/a.warc.gz", gate: make(chan struct{})}
	if _, err := endless.Put(t.Context(), endless.key, storage.BytesBlob(nil), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	j.Settings.Store = "s3://somewhere/else"
	j.OpenStore = func(context.Context, job.StoreRequest) (storage.Store, error) { return endless, nil }
	if err := (&memory{Widened: true}).save(j.Dir); err != nil {
		t.Fatal(err)
	}
	ended := make(chan job.Result, 1)
	go func() {
		res, err := Engine{}.Run(t.Context(), j)
		if err != nil {
			t.Error(err)
		}
		ended <- res
	}()
	wait := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("never: " + what)
			}
		}
	}
	wait("all pages fetched", func() bool { return hits.Load() == 100 })
	wait("told of the rescan", func() bool { return l.was(progress.Rescanning) })
	orders <- control.Change{State: control.State{Paused: true}}
	wait("paused", func() bool { return l.was(progress.Paused) })
	orders <- control.Change{}
	select {
	case <-ended:
		t.Error("it ended before everything was judged again")
	case <-time.After(time.Second):
	}
	close(endless.gate)
	if res := <-ended; res.Reason != job.Done {
		t.Errorf("ended %q", res.Reason)
	}
}

// TestUnfinishedChores: what a run could not finish is due in the next one.
func TestUnfinishedChores(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "archive")
	r := opened(t, testJob(t, dir, "http://a.test/"))
	if err := r.exclude(t.Context(), []control.Rule{{Text: "/$"}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.doChores(ctx, make(chan struct{})); err != nil {
		t.Fatal(err)
	}
	var m memory
	if err := m.load(r.job.Dir); err != nil || !m.Narrowed || r.chores.idle() {
		t.Fatalf("remembered %+v, %v", m, err)
	}
	doAll(t, r)
	if k := lookup(t, r, "http://a.test/"); k.Outcome != salvor.Excluded {
		t.Errorf("the seed is %v", k.Outcome)
	}
	if err := r.exclude(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	doAll(t, r)
	if k := lookup(t, r, "http://a.test/"); k.State != api.StateQueued {
		t.Errorf("the seed is %v after the rule ended", k.State)
	}
	var after memory
	if err := after.load(r.job.Dir); err != nil || after.Narrowed || after.Loosened {
		t.Errorf("remembered %+v, %v", after, err)
	}
}

// doAll does what is due.
func doAll(t *testing.T, r *rescue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.doChores(ctx, make(chan struct{})) }()
	for !r.chores.idle() && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestStopAtOnce: the plot of the next report ends where that run did, and the
// report says why.
func TestStopAtOnce(t *testing.T) {
	url, hits := testSite(t, 3000)
	dir := filepath.Join(t.TempDir(), "archive")
	j := testJob(t, dir, url)
	j.Settings.Connections, j.Settings.PerOrigin = 1, 1
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for hits.Load() < 300 && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(2 * watchEvery)
		cancel()
	}()
	begin := time.Now()
	res, err := Engine{}.Run(ctx, j)
	if err != nil || res.Reason != job.Interrupted {
		t.Fatalf("ended %q: %v", res.Reason, err)
	}
	var m memory
	if err := m.load(j.Dir); err != nil {
		t.Fatal(err)
	}
	if len(m.Samples) == 0 || m.Samples[len(m.Samples)-1].URLs < 200 || m.Runs[0].Why != "interrupted" || m.Runs[0].End.Before(begin) {
		t.Errorf("remembered %+v, %+v", m.Samples, m.Runs)
	}
}

// TestOneURL: what is said of one is not said of several. What the spool may
// hold is told too.
func TestOneURL(t *testing.T) {
	url, _ := testSite(t, 1)
	dir := filepath.Join(t.TempDir(), "archive")
	j := testJob(t, dir, url+"gone")
	j.Settings.MaxHops = 0
	runs(t, j)
	j, l := testJob(t, dir, url+"gone"), newListener()
	j.Settings.MaxHops, j.Retry, j.Progress = 0, []salvor.Outcome{salvor.Gone}, l
	runs(t, j)
	if said := l.said("reopened"); said != "queued 1 URL again\n" {
		t.Errorf("said %q", said)
	}
	if l.last.SpoolMax <= l.last.Spool {
		t.Errorf("the spool holds %d and may hold %d", l.last.Spool, l.last.SpoolMax)
	}
}

// TestCredentialsStayHome: an image and a redirect on another host get the
// operator's headers, but not those that let one in.
func TestCredentialsStayHome(t *testing.T) {
	var mu sync.Mutex
	got := map[string]http.Header{}
	serve := func(addr string, h http.HandlerFunc) string {
		ln, err := net.Listen("tcp", addr+":0")
		if err != nil {
			t.Skip(err)
		}
		s := &httptest.Server{Listener: ln, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			got[addr+r.URL.Path] = r.Header
			mu.Unlock()
			h(w, r)
		})}}
		s.Start()
		t.Cleanup(s.Close)
		return s.URL
	}
	other := serve("127.0.0.2", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "x") })
	home := serve("127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, other+"/target", http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<img src="%s/image.png"><a href="/page">x</a>`, other)
	})
	j := testJob(t, filepath.Join(t.TempDir(), "archive"), home+"/")
	j.Seeds = append(j.Seeds, job.Seed{URL: home + "/moved"})
	j.Settings.Secrets.Headers = []job.Header{{Name: "Authorization", Value: "Basic s3cret"}, {Name: "X-Api-Key", Value: "s3cret"}, {Name: "Accept-Language", Value: "de"}}
	runs(t, j)
	for path, in := range map[string]bool{"127.0.0.1/": true, "127.0.0.1/page": true, "127.0.0.1/robots.txt": true, "127.0.0.2/image.png": false, "127.0.0.2/target": false, "127.0.0.2/robots.txt": false} {
		h := got[path]
		if h == nil || (h.Get("Authorization") != "") != in || (h.Get("X-Api-Key") != "") != in || h.Get("Accept-Language") != "de" {
			t.Errorf("%s got %v", path, h)
		}
	}
}
