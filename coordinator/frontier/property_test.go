package frontier

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
)

// open opens a small machine.
func open(t testing.TB, fs vfs.FS) *Machine {
	t.Helper()
	m, err := Open("state", Options{FS: fs, CacheBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func shut(t testing.TB, m *Machine) {
	t.Helper()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// run drives a machine and a model with n random commands and compares every
// answer. It returns the log.
func run(t *testing.T, m *Machine, seed uint64, n int) []Entry {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), m: newModel()}
	var log []Entry
	for i := range n {
		env := g.next()
		e := Entry{Index: uint64(i + 1), Data: Encode(env)}
		log = append(log, e)
		out := m.ApplyBatch([]Entry{e})[0]
		decoded, err := Decode(e.Data)
		if err != nil {
			t.Fatal(err)
		}
		want, werr := g.m.apply(e.Index, decoded)
		got := out.Result
		if r, ok := got.(ReopenResult); ok {
			r.Next = nil
			got = r
		}
		checkRobotsFirst(t, g.m, got)
		if (out.Err != nil) != (werr != nil) || out.Err == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d command %d %T %+v:\ngot  %+v, %v\nwant %+v, %v\n%s", seed, i, env.Command, env.Command,
				got, out.Err, want, werr, cmp.Diff(want, got))
		}
		if i%50 == 0 || i == n-1 {
			compare(t, m, g.m)
			checkState(t, m)
		}
		if t.Failed() {
			t.Fatalf("seed %d command %d %T %+v", seed, i, env.Command, env.Command)
		}
	}
	return log
}

func TestAgainstModel(t *testing.T) {
	for seed := range uint64(12 / slower) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := open(t, vfs.NewMem())
			run(t, m, seed, 1500)
			shut(t, m)
		})
	}
}

// TestManyShortLives: many short logs, each with a crash somewhere: the state is
// opened as it was flushed, some entries are applied again, and the rest in
// pieces of another size.
func TestManyShortLives(t *testing.T) {
	lives := 1000 / slower
	if testing.Short() {
		lives /= 10
	}
	for seed := range uint64(lives) {
		m := tiny(t, vfs.NewMem())
		log := run(t, m, 10_000+seed, 40+int(seed%40))
		want := dump(t, m)
		shut(t, m)

		rng := rand.New(rand.NewPCG(seed, 3))
		crashable := vfs.NewCrashableMem()
		m = tiny(t, crashable)
		for at, cut := 0, rng.IntN(len(log)); at < cut; {
			to := min(at+1+rng.IntN(20), cut)
			m.ApplyBatch(log[max(0, at-rng.IntN(4)):to])
			at = to
			if rng.IntN(4) == 0 {
				if err := m.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		crashed := crashable.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0, RNG: rng})
		shut(t, m)
		m = tiny(t, crashed)
		m.ApplyBatch(log)
		sameState(t, want, dump(t, m))
		checkState(t, m)
		shut(t, m)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// tiny opens a machine that costs little to open.
func tiny(t *testing.T, fs vfs.FS) *Machine {
	t.Helper()
	m, err := Open("state", Options{FS: fs, CacheBytes: 1 << 20, heads: 64})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestReplay: the same log gives the same bytes, however it is cut into
// batches, with restarts in between and without read-ahead.
func TestReplay(t *testing.T) {
	for seed := range uint64(4 / slower) {
		m := open(t, vfs.NewMem())
		log := run(t, m, 100+seed, 1500)
		want := dump(t, m)
		shut(t, m)
		for _, size := range []int{3, 40, len(log)} {
			fs := vfs.NewMem()
			m := open(t, fs)
			for i := 0; i < len(log); i += size {
				if size == 3 {
					m.readers = readersKept
				}
				m.ApplyBatch(log[max(0, i-2):min(i+size, len(log))]) // some again
				if size == 40 && i%400 == 0 {
					shut(t, m)
					m = open(t, fs)
				}
			}
			sameState(t, want, dump(t, m))
			checkState(t, m)
			shut(t, m)
		}
	}
}

// TestCrash: after a crash the state is that of some earlier entry, and the
// rest of the log leads to the same bytes.
func TestCrash(t *testing.T) {
	m := open(t, vfs.NewMem())
	log := run(t, m, 200, 1200)
	want := dump(t, m)
	shut(t, m)
	for seed := range uint64(8 / slower) {
		rng := rand.New(rand.NewPCG(seed, 2))
		fs := vfs.NewCrashableMem()
		m := open(t, fs)
		cut, flushed := 100+rng.IntN(1000), uint64(0)
		for i := 0; i < cut; i += 7 {
			m.ApplyBatch(log[i:min(i+7, cut)])
			if rng.IntN(30) == 0 {
				flushed = m.AppliedIndex()
				if err := m.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		shut(t, m)
		m = open(t, crashed)
		if at := m.AppliedIndex(); at < flushed || at > uint64(cut) {
			t.Errorf("after the crash at entry %d; flushed was %d, applied %d", at, flushed, cut)
		}
		checkState(t, m)
		m.ApplyBatch(log)
		sameState(t, want, dump(t, m))
		shut(t, m)
	}
}
