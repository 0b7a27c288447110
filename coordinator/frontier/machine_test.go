package frontier

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"salvor"
	"salvor/api"
)

// feed applies commands one entry each and fails if one is refused.
type feed struct {
	testing.TB
	m   *Machine
	log []Entry
	now int64
}

func (f *feed) do(c Command) any {
	f.Helper()
	f.log = append(f.log, Entry{Index: uint64(len(f.log) + 1), Data: Encode(Envelope{Session: 1, Now: f.now, Command: c})})
	out := f.m.ApplyBatch(f.log[len(f.log)-1:])[0]
	if out.Err != nil {
		f.Fatal(out.Err)
	}
	return out.Result
}

func newFeed(t testing.TB, fs vfs.FS) *feed {
	f := &feed{TB: t, m: open(t, fs)}
	f.do(&CreateCrawl{api.Crawl{ID: 1, Name: "a", State: salvor.CrawlRunning, Start: salvor.Unlimited}})
	f.do(&Register{Worker: "w", Session: 1})
	f.do(noRobots())
	return f
}

// batched replays a log in one batch and compares.
func (f *feed) batched() {
	f.Helper()
	m := open(f, vfs.NewMem())
	m.ApplyBatch(f.log)
	sameState(f, dump(f, f.m), dump(f, m))
	checkState(f, m)
	shut(f, m)
}

// TestManyDue: more items come due at once than one entry queues. The entries
// after it queue the rest, and nobody is late for ever.
func TestManyDue(t *testing.T) {
	f := newFeed(t, vfs.NewMem())
	const n = 2*dueAtOnce + 300
	for i := 0; i < n; i += 100 {
		f.do(discovery(i, 100))
		for h := range 20 {
			g := &Grant{Session: 1, Hosts: []GrantHost{{1, fmt.Sprintf("www%d.platform.example", h), 100, 1000}}}
			for _, l := range f.do(g).([]api.Lease) {
				s := settlement([]api.Lease{l})
				for j := range s.Settlement.Entries {
					s.Settlement.Entries[j].Verb, s.Settlement.Entries[j].Retry = api.VerbRetry, int64(1000+j%3)
				}
				f.do(s)
			}
		}
	}
	for i, want := range []int64{n - dueAtOnce, n - 2*dueAtOnce, 0} {
		f.now = 5000
		f.do(&Tick{})
		if got, _ := f.m.Totals(1); got.Waiting != want {
			t.Errorf("after tick %d: %d wait, want %d", i, got.Waiting, want)
		}
	}
	if _, ok := f.m.NextDue(); ok {
		t.Error("something is due, and nothing waits")
	}
	checkState(t, f.m)
	f.batched()
	shut(t, f.m)
}

// TestLongLane: a lane longer than any read-ahead gives its items in order,
// with returns, restarts and forgotten read-ahead in between.
func TestLongLane(t *testing.T) {
	fs := vfs.NewMem()
	f := newFeed(t, fs)
	d := &Discover{api.Discovery{Crawl: 1}}
	const n = 3 * roomPopped
	for i := range n {
		o := offer(0)
		o.Key, o.URL = benchKey(i), fmt.Sprintf("%s/%d", o.Origin, i)
		d.Discovery.Items = append(d.Discovery.Items, o)
	}
	f.do(d)
	next := 0
	for round := 0; next < n; round++ {
		g := &Grant{Session: 1, Hosts: []GrantHost{{1, d.Discovery.Items[0].Host, 50, 1000}}}
		l := f.do(g).([]api.Lease)[0]
		for i, it := range l.Items {
			if it.Key != benchKey(next+i) {
				t.Fatalf("got %s, want number %d", it.URL, next+i)
			}
		}
		switch round % 4 {
		case 0:
			f.m.readers = readersKept // the next batch drops all read-ahead
		case 1:
			shut(t, f.m)
			f.m = open(t, fs)
		case 2: // all come back, and come first again
			f.do(&Extend{Session: 1, Before: l.ID + 1, Held: held(f.m, l.ID)})
			continue
		}
		next += len(l.Items)
	}
	checkState(t, f.m)
	f.batched()
	shut(t, f.m)
}

// held lists all leases but one.
func held(m *Machine, but salvor.LeaseID) (list []api.Extension) {
	for _, l := range m.Leases() {
		if l.ID != but {
			list = append(list, api.Extension{Lease: l.ID, Pace: l.Pace})
		}
	}
	return list
}

// TestStrangersCounters: servers can invent media types without end; the
// counters cannot grow with them, and stay right.
func TestStrangersCounters(t *testing.T) {
	f := newFeed(t, vfs.NewMem())
	const n = statsKept + 500
	for i := 0; i < n; i += 500 {
		f.do(discovery(i, min(500, n-i)))
	}
	settle := func(o salvor.Outcome, place int64) {
		s := &Settle{api.Settlement{Crawl: 1}}
		for i := range n {
			x := offer(i)
			s.Settlement.Entries = append(s.Settlement.Entries, api.Entry{
				Key: x.Key, Host: x.Host, Outcome: o, Type: fmt.Sprint("type/", i), Bytes: 2, Place: salvor.Place{Segment: 1, Offset: place},
			})
		}
		f.do(s)
	}
	settle(salvor.Saved, 1)
	types, err := f.m.Types(1)
	if err != nil || len(types) > statsKept+1 || types["other"].URLs != n-statsKept+1 { // one counts why there is no robots.txt
		t.Errorf("%d types, %d others, %v", len(types), types["other"].URLs, err)
	}
	sum := int64(0)
	for _, n := range types {
		sum += n.URLs
	}
	if sum != n {
		t.Errorf("types sum up to %d, settled are %d", sum, n)
	}
	shut(t, f.m)
}

// TestHalt: an entry that cannot be applied stops the machine there, whole
// entries before it stay.
func TestHalt(t *testing.T) {
	f := newFeed(t, vfs.NewMem())
	at := f.m.AppliedIndex()
	good := Encode(Envelope{Command: discovery(0, 3)})
	bad := append([]byte{formatVersion + 1}, good[1:]...)
	out := f.m.ApplyBatch([]Entry{{at + 1, good}, {at + 2, bad}, {at + 3, good}})
	if out[0].Err != nil || !out[1].Fatal || !out[2].Fatal {
		t.Errorf("%+v", out)
	}
	if f.m.AppliedIndex() != at+1 {
		t.Errorf("applied %d, want %d", f.m.AppliedIndex(), at+1)
	}
	if out := f.m.ApplyBatch([]Entry{{at + 2, good}}); !out[0].Fatal || salvor.ClassOf(out[0].Err) != salvor.TooNew {
		t.Errorf("goes on after it stopped: %+v", out)
	}
	checkState(t, f.m)
	shut(t, f.m)
}

// TestReadError: when the disk cannot be read, nothing of the batch counts, and
// a machine opened again goes on from before.
func TestReadError(t *testing.T) {
	mem := vfs.NewMem()
	var broken atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind == errorfs.OpFileReadAt {
			return errors.New("cannot read")
		}
		return nil
	}))
	f := newFeed(t, fs)
	f.do(discovery(0, 5000))
	shut(t, f.m)
	before := open(t, mem)
	want := dump(t, before)
	shut(t, before)

	f.m = open(t, fs)
	broken.Store(true)
	out := f.m.ApplyBatch([]Entry{
		{f.m.AppliedIndex() + 1, Encode(Envelope{Command: &Tick{}})},
		{f.m.AppliedIndex() + 2, Encode(Envelope{Command: discovery(0, 5000)})},
	})
	if !out[0].Fatal || !out[1].Fatal {
		t.Errorf("%v, %v", out[0].Err, out[1].Err)
	}
	broken.Store(false)
	shut(t, f.m)
	f.m = open(t, fs)
	sameState(t, want, dump(t, f.m))
	shut(t, f.m)
}

// TestFullDisk: a flush that the disk has no room for fails instead of being
// waited for; so does closing, and a machine opened again has what was flushed.
func TestFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	var full atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpFileWrite {
			return syscall.ENOSPC
		}
		return nil
	}))
	f := newFeed(t, fs)
	f.do(discovery(0, 100))
	if err := f.m.Flush(); err != nil {
		t.Fatal(err)
	}
	flushed := f.m.AppliedIndex()
	full.Store(true)
	f.do(discovery(100, 100))
	for what, err := range map[string]error{"flush": f.m.Flush(), "close": f.m.Close()} {
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s on a full disk: %v", what, err)
		}
	}
	full.Store(false)
	f.m = open(t, mem)
	if got := f.m.AppliedIndex(); got != flushed {
		t.Errorf("opened at entry %d, want %d", got, flushed)
	}
	shut(t, f.m)
}

// TestCheckpoint: a checkpoint made beside Apply is a whole state of a known
// entry, from which the log leads on.
func TestCheckpoint(t *testing.T) {
	m := open(t, vfs.NewMem())
	log := run(t, m, 300, 900)
	want := dump(t, m)
	shut(t, m)

	fs := vfs.NewMem()
	m = open(t, fs)
	m.ApplyBatch(log[:300])
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 300; i < 600; i += 10 {
			m.ApplyBatch(log[i : i+10])
		}
	})
	index, err := m.Checkpoint("copy")
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	shut(t, m)
	if index < 300 || index > 600 {
		t.Errorf("the checkpoint holds entry %d", index)
	}
	copied, err := Open("copy", Options{FS: fs, CacheBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if copied.AppliedIndex() != index {
		t.Errorf("opened at %d, said %d", copied.AppliedIndex(), index)
	}
	checkState(t, copied)
	copied.ApplyBatch(log)
	sameState(t, want, dump(t, copied))
	shut(t, copied)
}

// TestReadsBesideApply: every reader sees whole batches while entries are
// applied. The race detector watches, and so does the invariant.
func TestReadsBesideApply(t *testing.T) {
	m := open(t, vfs.NewMem())
	log := run(t, m, 400, 900)
	shut(t, m)
	m = open(t, vfs.NewMem())
	defer shut(t, m)
	m.ApplyBatch(log[:20])
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for seed := range uint64(3) {
		wg.Go(func() { readAll(ctx, t, m, rand.New(rand.NewPCG(seed, 3))) })
	}
	for i := 20; i < len(log); i += 5 {
		m.ApplyBatch(log[i:min(i+5, len(log))])
	}
	stop()
	wg.Wait()
	checkState(t, m)
}

func readAll(ctx context.Context, t *testing.T, m *Machine, rng *rand.Rand) {
	for ctx.Err() == nil {
		id := salvor.CrawlID(1 + rng.IntN(2))
		totals, _ := m.Totals(id)
		sum := totals.Open()
		for _, n := range totals.Outcomes {
			sum += n
		}
		if sum != totals.Accepted {
			t.Errorf("%+v: open and outcomes sum up to %d", totals, sum)
			return
		}
		hosts, _ := m.Hosts(id, rng.IntN(3))
		for _, h := range hosts {
			k := salvor.Key{byte(rng.IntN(60)), 0xa5}
			if it, err := m.Lookup(id, h.Name, k); err == nil && it.Key != k {
				t.Errorf("looked up %v, found %v", k, it.Key)
			}
			m.Robots(id, h.Name)
		}
		walked := map[salvor.Key]bool{}
		err := m.Walk(ctx, id, nil, func(k api.Known) error { walked[k.Key] = true; return nil })
		if err != nil && ctx.Err() == nil && salvor.ClassOf(err) != salvor.NotFound {
			t.Error(err)
		}
		m.Ready(Search{Limit: 2})
		m.Leases()
		m.NextDue()
		m.Types(id)
		m.Reasons(id)
		m.Crawls()
		if _, _, err := m.OpenItems(id, nil, 10); err != nil {
			t.Error(err)
		}
	}
}

// TestReadyTakesTurns: with a limit, every ready host comes up.
func TestReadyTakesTurns(t *testing.T) {
	f := newFeed(t, vfs.NewMem())
	f.do(discovery(0, 20))
	seen := map[string]int{}
	for range 10 {
		free, _ := f.m.Ready(Search{Limit: 6})
		for _, r := range free {
			seen[r.Host]++
		}
	}
	if len(seen) != 20 {
		t.Errorf("%d of 20 hosts came up: %v", len(seen), seen)
	}
	shut(t, f.m)
}

// TestOpenItemsPieces: the pieces together are the open items, whatever their
// size.
func TestOpenItemsPieces(t *testing.T) {
	m := open(t, vfs.NewMem())
	run(t, m, 500, 700)
	for id := salvor.CrawlID(1); id <= 2; id++ {
		var want []string
		err := m.Walk(t.Context(), id, []salvor.Outcome{salvor.Open}, func(k api.Known) error {
			if k.State != api.StateLeased {
				want = append(want, k.Host+k.Key.String())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		for _, limit := range []int{1, 7, 1000} {
			var got []string
			for after, more := []byte(nil), true; more; {
				items, next, err := m.OpenItems(id, after, limit)
				if err != nil || len(items) > limit {
					t.Fatalf("%d items, %v", len(items), err)
				}
				for _, k := range items {
					got = append(got, k.Host+k.Key.String())
				}
				after, more = next, next != nil
			}
			slices.Sort(got)
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("in pieces of %d: %d items, want %d", limit, len(got), len(want))
			}
		}
	}
	shut(t, m)
}
