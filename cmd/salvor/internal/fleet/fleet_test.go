package fleet

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/storage/faulty"
	"salvor/storage/file"
)

const pages = 120

// whole captures: the pages, the seed and robots.txt.
const captures = pages + 2

// TestSharedWork: two nodes crawl one host together. Nothing is asked for twice.
func TestSharedWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	id := w.crawl("one", nil)
	a, b := w.run(w.config("ant")), w.run(w.config("bee"))
	w.finish(id)
	a.gone()
	b.gone()
	a.stop()
	b.stop()
	w.whole(id, "one", pages+1)
	if n := w.total(); n != captures {
		t.Errorf("%d requests, want %d", n, captures)
	}
	if x, y := a.Counters().Captures, b.Counters().Captures; x+y != captures {
		t.Errorf("they captured %d and %d", x, y)
	}
}

// TestDirect: where the Store is this machine's disk, what is fsynced settles
// while its segment is open.
func TestDirect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	store, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.store = store
	id := w.crawl("one", nil)
	c := w.config("ant")
	c.Direct = true
	r := w.run(c)
	w.until("nothing is open", func() bool { return w.totals(id).Open() == 0 })
	for i, err := range w.store.List(t.Context(), "", "") {
		t.Errorf("before the end %s is in the Store: %v", i.Key, err)
	}
	w.set(id, salvor.CrawlFinished)
	r.gone()
	r.stop()
	w.whole(id, "one", pages+1)
}

// halfway shuts the site in the midst of a crawl and waits until all of a node's
// connections wait there.
func (w *world) halfway(conns int) {
	w.t.Helper()
	w.until("all connections wait", func() bool { return w.gate.held() >= conns })
}

// still reports that nothing is asked for any more.
func (w *world) still() {
	w.t.Helper()
	before := w.total()
	time.Sleep(200 * time.Millisecond)
	if n := w.total() - before; n != 0 {
		w.t.Errorf("%d requests more", n)
	}
}

func (r *run) row(name string) api.Work {
	for _, x := range r.Status() {
		if x.Name == name {
			return x
		}
	}
	return api.Work{}
}

// TestPause: what is under way is finished, nothing is started, and the crawl
// goes on when it may.
func TestPause(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	id := w.crawl("one", nil)
	w.gate.shutAfter(40)
	r := w.run(w.config("ant"))
	w.halfway(6)
	w.set(id, salvor.CrawlPaused)
	w.until("it rests", func() bool { return r.row("one").State == "paused" })
	w.gate.open()
	w.until("what was under way is captured", func() bool { x := r.row("one"); return x.Captures == x.Requests })
	w.still()
	if n := w.total(); n > 40+6 {
		t.Errorf("%d requests, at most 46 were started", n)
	}
	w.until("its leases are given back", func() bool { return w.totals(id).Leased == 0 })
	if x := r.row("one"); x.Why != "the crawl is paused" {
		t.Errorf("%+v", x)
	}
	w.set(id, salvor.CrawlRunning)
	w.finish(id)
	r.gone()
	r.stop()
	w.whole(id, "one", pages+1)
	if n := w.total(); n != captures {
		t.Errorf("%d requests, want %d", n, captures)
	}
}

// TestCancel: a cancelled crawl's captures are stored and settled, and its crew
// goes.
func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	id := w.crawl("one", nil)
	w.gate.shutAfter(40)
	r := w.run(w.config("ant"))
	w.halfway(6)
	w.set(id, salvor.CrawlCancelled)
	w.until("it drains", func() bool { return r.row("one").State == "draining" })
	w.gate.open()
	r.gone()
	if n := w.totals(id); n.Captures != w.total() || n.Leased != 0 || n.Open() == 0 {
		t.Errorf("%d requests, and %+v", w.total(), n)
	}
	w.stored(id, "one")
	r.stop()
}

// TestDeleted: of a deleted crawl nothing is left here, and other crawls go on.
func TestDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	id, other := w.crawl("one", nil), w.crawl("two", nil)
	w.gate.shutAfter(40)
	c := w.config("ant")
	r := w.run(c)
	w.halfway(2)
	w.set(id, salvor.CrawlDeleted)
	w.until("its crew is gone", func() bool { return r.row("one").Name == "" })
	if _, err := os.Stat(filepath.Join(c.Dir, "1-one")); err == nil {
		t.Error("its directory is there still")
	}
	w.gate.open()
	w.finish(other)
	r.gone()
	r.stop()
	if got := w.totals(other).Outcomes[salvor.Saved]; got == 0 {
		t.Error("the other crawl saved nothing")
	}
}

// TestKill: a node that ends at any moment goes on with what it captured: only
// what was under way is asked for again.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, direct := range []bool{false, true} {
		w := newWorld(t, pages)
		id := w.crawl("one", nil)
		c := w.config("ant")
		c.Direct = direct
		w.gate.shutAfter(50)
		r := w.run(c)
		w.halfway(6)
		r.kill()
		r.end()
		w.gate.open()
		lost := w.total() - 50
		r = w.run(c)
		w.finish(id)
		r.gone()
		r.stop()
		w.whole(id, "one", pages+1)
		if n := w.pages(); n != captures-1+lost {
			t.Errorf("%d pages were asked for, want %d and %d that were cut off", n, captures-1, lost)
		}
	}
}

// TestKilledAndFinishedByOthers: what a dead node had captured is reported when
// it comes back, though its crawl was finished meanwhile.
func TestKilledAndFinishedByOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	down := faulty.Wrap(w.store, faulty.Rule{Op: faulty.Put, Before: faulty.Down()})
	id := w.crawl("one", nil)
	c := w.config("ant")
	c.Store = down
	w.gate.shutAfter(50)
	r := w.run(c)
	w.halfway(6)
	r.kill()
	r.end()
	w.gate.open()
	// Its session ends long before anybody would wait here.
	if _, err := w.node.Register(t.Context(), "ant/1"); err != nil {
		t.Fatal(err)
	}
	other := w.run(w.config("bee"))
	w.finish(id)
	other.gone()
	other.stop()
	if got := w.totals(id).Captures; got != captures {
		t.Fatalf("the other captured %d", got)
	}
	down.Set()
	r = w.run(c)
	w.until("it reports", func() bool { return w.totals(id).Dups > 0 })
	r.gone()
	r.stop()
	w.stored(id, "one")
	if n := w.totals(id); n.Dups+captures != n.Captures || n.Dups < 40 {
		t.Errorf("%+v", n)
	}
}

// TestSharesOfConnections: crawls divide the node's connections, and one that
// pauses leaves its to the others.
func TestSharesOfConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	one, two := w.crawl("one", nil), w.crawl("two", nil)
	c := w.config("ant")
	c.Connections = 4
	w.gate.shutAfter(20)
	r := w.run(c)
	w.halfway(4)
	w.still()
	if n := w.gate.held(); n != 4 {
		t.Errorf("%d at once, want 4", n)
	}
	w.set(two, salvor.CrawlCancelled)
	w.until("it has what the other leaves", func() bool { return w.gate.held() >= 5 }) // 2 of the other are under way still
	w.gate.open()
	w.finish(one)
	r.gone()
	r.stop()
}

// TestLimit: a limit holds for all nodes together, but for what they capture in
// a moment, and the crawl says why it rests.
func TestLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	w.crawl("one", func(s *job.Settings) { s.LimitURLs = 30 })
	r := w.run(w.config("ant"))
	w.until("it rests", func() bool { return r.row("one").Why == "the limit of 30 URLs is reached" })
	w.still()
	if n := w.total(); n > 30+8 {
		t.Errorf("%d requests", n)
	}
	r.stop()
}

// TestNewSettings: rules that change hold from then on; what a worker cannot
// change makes a new worker.
func TestNewSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	var agents atomic.Pointer[string]
	w.mux.HandleFunc("/p/7", func(rw http.ResponseWriter, r *http.Request) {
		agent := r.UserAgent()
		agents.Store(&agent)
		links(rw, 7, pages)
	})
	id := w.crawl("one", nil, w.web.URL+"/p/100")
	w.gate.shutAfter(2)
	r := w.run(w.config("ant"))
	w.halfway(1)
	w.change(id, func(c *api.Crawl) {
		x, err := outfit.SpecOf(*c)
		if err != nil {
			t.Error(err)
		}
		x.Excludes, x.Settings.UserAgent = []string{"/p/1[0-9]$"}, "other"
		c.Scope++
		if err := x.Apply(c); err != nil {
			t.Error(err)
		}
	})
	w.until("it drains", func() bool { return r.row("one").State == "draining" })
	w.gate.open()
	w.finish(id)
	r.gone()
	r.stop()
	if n := w.totals(id).Outcomes[salvor.Excluded]; n != 10 {
		t.Errorf("%d are excluded", n)
	}
	if a := agents.Load(); a == nil || *a != "other" {
		t.Errorf("asked as %v", a)
	}
}

// TestOneFleetADirectory: a worker id must not be at work twice.
func TestOneFleetADirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	c := w.config("ant")
	r := w.run(c)
	w.until("it runs", func() bool { _, err := os.Stat(filepath.Join(c.Dir, "lock")); return err == nil })
	time.Sleep(20 * time.Millisecond)
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Run(t.Context()); salvor.ClassOf(err) != salvor.Conflict {
		t.Errorf("a second one: %v", err)
	}
	r.stop()
}

func TestShares(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		total       int
		wants, want []int
	}{
		{64, nil, []int{}},
		{64, []int{100}, []int{64}},
		{64, []int{10}, []int{10}},
		{64, []int{100, 100, 100}, []int{21, 21, 22}},
		{64, []int{4, 100, 100}, []int{4, 30, 30}},
		{2, []int{9, 9, 9, 9}, []int{1, 1, 1, 1}},
		{10, []int{100, 1, 3}, []int{6, 1, 3}},
	} {
		if got := shares(c.total, c.wants); !slices.Equal(got, c.want) {
			t.Errorf("%d among %v: %v, want %v", c.total, c.wants, got, c.want)
		}
	}
}

// TestStatusIsPlain: a row says what a person wants to know.
func TestStatusIsPlain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	w.crawl("one", nil)
	w.gate.shutAfter(40)
	r := w.run(w.config("ant"))
	w.halfway(6)
	w.until("the rate is known", func() bool { return r.row("one").Rate > 0 })
	x := r.row("one")
	b, err := json.Marshal(x)
	if err != nil || x.Crawl != 1 || x.State != "running" || x.Requests < 40 || x.Bytes == 0 || x.Why != "" || x.Error != "" {
		t.Errorf("%s, %v", b, err)
	}
	w.gate.open()
	r.kill()
	r.end()
	if len(r.Status()) != 0 {
		t.Errorf("after the end: %+v", r.Status())
	}
}
