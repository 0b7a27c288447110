package fleet

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// TestCoordinatorAway: while nobody answers, what is leased goes on, and all that
// was captured is reported later.
func TestCoordinatorAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	id := w.crawl("one", nil)
	w.gate.shutAfter(30)
	r := w.run(w.config("ant"))
	w.halfway(6)
	w.seam.set(func(string) error { return salvor.Errorf(salvor.Unavailable, "no leader") })
	w.gate.open()
	w.until("it is told", func() bool { return len(w.told("coordinator_away")) == 1 })
	w.until("what is leased is asked for", func() bool { return w.total() > 40 })
	if x := r.row("one"); !strings.Contains(x.Error, "no leader") {
		t.Errorf("%+v", x)
	}
	w.seam.set(nil)
	w.finish(id)
	r.gone()
	r.stop()
	w.whole(id, "one", pages+1)
	if n := w.total(); n != captures || len(w.told("worker_failed")) != 0 {
		t.Errorf("%d requests, want %d; %v", n, captures, w.told("worker_failed"))
	}
}

// TestStopWhileAway: a stop does not wait for the coordinators for ever, and
// nothing of what was captured is lost.
func TestStopWhileAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	id := w.crawl("one", nil)
	c := w.config("ant")
	c.DrainFor = 500 * time.Millisecond
	w.gate.shutAfter(40)
	r := w.run(c)
	w.halfway(6)
	w.seam.set(func(string) error { return salvor.Errorf(salvor.Unavailable, "no leader") })
	w.gate.open()
	begin := time.Now()
	r.stop()
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("it took %v to stop", d)
	}
	w.seam.set(nil)
	r = w.run(c)
	w.finish(id)
	r.gone()
	r.stop()
	w.whole(id, "one", pages+1)
	if n := w.pages(); n != captures-1 {
		t.Errorf("%d pages were asked for, want %d", n, captures-1)
	}
}

// TestSessionForgotten: a worker whose session ended is started again, and what
// it had captured is neither lost nor asked for again.
func TestSessionForgotten(t *testing.T) {
	t.Parallel()
	for _, direct := range []bool{false, true} {
		w := newWorld(t, pages)
		id := w.crawl("one", nil)
		w.gate.shutAfter(50)
		c := w.config("ant")
		c.Direct = direct
		r := w.run(c)
		w.halfway(6)
		if _, err := w.node.Register(t.Context(), "ant/1"); err != nil {
			t.Fatal(err)
		}
		w.until("it notices", func() bool {
			w.gate.open()
			return len(w.told("worker_failed")) > 0 || w.totals(id).Open() == 0
		})
		w.finish(id)
		r.gone()
		r.stop()
		w.whole(id, "one", pages+1)
		if n := w.pages(); n != captures-1 || r.Counters().Restarts == 0 {
			t.Errorf("direct %v: %d pages were asked for, want %d; %d restarts: %v", direct, n, captures-1, r.Counters().Restarts, w.told("worker_failed"))
		}
	}
}

// TestSessionForgottenWhileStoreIsAway: the new worker does not wait for the
// Store, and keeps what is held from being asked for again, by anybody.
func TestSessionForgottenWhileStoreIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	down := faulty.Wrap(w.store, faulty.Rule{Op: faulty.Put, Before: faulty.Down()})
	id := w.crawl("one", nil)
	c := w.config("ant")
	c.Store = down
	r := w.run(c)
	w.until("all is captured", func() bool { return r.row("one").Held == captures })
	if _, err := w.node.Register(t.Context(), "ant/1"); err != nil {
		t.Fatal(err)
	}
	w.until("it is at work again", func() bool { return r.Counters().Restarts > 0 && r.row("one").Held >= captures-1 })
	other := w.run(w.config("bee"))
	time.Sleep(200 * time.Millisecond) // enough for it to ask for what it gets
	down.Set()
	w.finish(id)
	r.gone()
	r.stop()
	other.stop()
	w.whole(id, "one", pages+1)
	if n := w.pages(); n != captures-1 {
		t.Errorf("%d pages were asked for, want %d", n, captures-1)
	}
}

// TestNoRoom: a full disk stops the intake, says so, and lets it go on.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	for _, direct := range []bool{false, true} {
		w := newWorld(t, pages)
		id := w.crawl("one", nil)
		var full atomic.Bool
		c := w.config("ant")
		c.Direct = direct
		c.free = func(string) (int64, bool) {
			if full.Load() {
				return 1 << 20, true
			}
			return 1 << 40, true
		}
		w.gate.shutAfter(30)
		r := w.run(c)
		w.halfway(6)
		full.Store(true)
		time.Sleep(2 * roomEvery)
		w.gate.open()
		w.until("it says so", func() bool { return strings.Contains(r.row("one").Why, "only 1 MB are free") })
		w.still()
		if n := w.total(); n > 30+12 {
			t.Errorf("%d requests", n)
		}
		full.Store(false)
		w.finish(id)
		r.gone()
		r.stop()
		w.whole(id, "one", pages+1)
	}
}

// TestDiskFills: a write that fails for want of room ends the worker, not the
// crawl.
func TestDiskFills(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	id := w.crawl("one", nil)
	disk := &fullFS{}
	c := w.config("ant")
	c.fs = disk
	w.gate.shutAfter(40)
	r := w.run(c)
	w.halfway(6)
	disk.full.Store(true)
	w.gate.open()
	w.until("it says so", func() bool { x := r.row("one"); return x.State == "failed" && x.Why == "the disk is full" })
	disk.full.Store(false)
	w.finish(id)
	r.gone()
	r.stop()
	w.whole(id, "one", pages+1)
}

// TestStoreAway: captures wait in the spool, a stop does not wait for the Store
// for ever, and the next start stores them.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	down := faulty.Wrap(w.store, faulty.Rule{Op: faulty.Put, Before: faulty.Down()})
	id := w.crawl("one", nil)
	c := w.config("ant")
	c.Store, c.DrainFor = down, 600*time.Millisecond
	r := w.run(c)
	w.until("all is captured", func() bool { return r.row("one").Held == captures })
	w.until("it is known how much", func() bool { return r.row("one").Spooled > 0 })
	if n := w.totals(id); n.Captures != 0 {
		t.Errorf("settled before it was stored: %+v", n)
	}
	begin := time.Now()
	r.stop()
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("it took %v to stop", d)
	}
	if n := w.totals(id); n.Leased != 0 {
		t.Errorf("its session goes on: %+v", n)
	}
	down.Set()
	r = w.run(c)
	w.finish(id)
	r.gone()
	r.stop()
	w.whole(id, "one", pages+1)
	if n := w.pages(); n != captures-1 {
		t.Errorf("%d pages were asked for, want %d", n, captures-1)
	}
}

// TestSpoolFills: what waits for the Store is bounded over all crawls.
func TestSpoolFills(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	down := faulty.Wrap(w.store, faulty.Rule{Op: faulty.Put, Before: faulty.Down()})
	id, other := w.crawl("one", nil), w.crawl("two", nil)
	c := w.config("ant")
	c.Store, c.SpoolMax = down, 10_000
	w.gate.shutAfter(60)
	r := w.run(c)
	w.until("much waits", func() bool { return r.spooled() > c.SpoolMax })
	time.Sleep(2 * roomEvery) // an older answer may hold as long
	w.gate.open()
	w.until("both stop", func() bool {
		return strings.Contains(r.row("one").Why, "wait for the Store") && strings.Contains(r.row("two").Why, "wait for the Store")
	})
	if n := w.total(); n >= 2*captures {
		t.Errorf("%d requests: nothing was held up", n)
	}
	down.Set()
	w.finish(id)
	w.finish(other)
	r.gone()
	r.stop()
	w.whole(id, "one", pages+1)
	w.whole(other, "two", pages+1)
}

// TestOneCrawlsTrouble: a crawl that this node cannot work for stops no other.
func TestOneCrawlsTrouble(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	bad := w.crawl("bad", nil)
	w.change(bad, func(c *api.Crawl) { c.Settings = []byte(`{"version":99}`) })
	id := w.crawl("one", nil)
	r := w.run(w.config("ant"))
	w.until("it fails", func() bool { return strings.Contains(r.row("bad").Error, "version 99") })
	w.finish(id)
	w.until("the other is done", func() bool { return r.row("one").Name == "" })
	w.whole(id, "one", pages+1)
	r.stop()
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
