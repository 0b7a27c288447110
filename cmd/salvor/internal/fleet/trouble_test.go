package fleet

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/storage/faulty"
)

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
