package coordinator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"salvor"
)

func proposeAll(t testing.TB, g *replica[*ledger], from, to int) (all []string) {
	t.Helper()
	for i := from; i < to; i++ {
		e := fmt.Sprintf("entry %d", i)
		if _, err := g.propose(t.Context(), []byte(e)); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func TestGroupReplaysAfterCrash(t *testing.T) {
	c := soloConfig(t, t.TempDir())
	g := startSolo(t, c)
	want := proposeAll(t, g, 0, 50)
	must(t, g.snapshot())
	want = append(want, proposeAll(t, g, 50, 80)...)
	crash(t, g)

	g = startSolo(t, c)
	defer g.close()
	if d := cmp.Diff(want, entriesOf(g)); d != "" {
		t.Fatal(d)
	}
}

func TestGroupCleanStopReplaysNothing(t *testing.T) {
	c := soloConfig(t, t.TempDir())
	g := startSolo(t, c)
	want := proposeAll(t, g, 0, 20)
	must(t, g.close())

	g = startSolo(t, c)
	defer g.close()
	m, done := g.state.use()
	defer done()
	if m.batches != 0 {
		t.Errorf("%d batches were applied again after a clean stop", m.batches)
	}
	if d := cmp.Diff(want, entriesOf(g)); d != "" {
		t.Error(d)
	}
}

func TestGroupRestoresLostState(t *testing.T) {
	c := soloConfig(t, t.TempDir())
	g := startSolo(t, c)
	want := proposeAll(t, g, 0, 20)
	must(t, g.snapshot())
	want = append(want, proposeAll(t, g, 20, 30)...)
	crash(t, g)
	// A crash between the arrival of a snapshot and its restore leaves a
	// state older than the snapshot, and perhaps half a directory beside it.
	must(t, os.Remove(filepath.Join(c.Dir, "state", "000001", pageFile)))
	must(t, os.MkdirAll(filepath.Join(c.Dir, "state", "000002"), 0o700))
	must(t, os.MkdirAll(filepath.Join(c.Dir, "snapshots", "x"+unfinished), 0o700))

	g = startSolo(t, c)
	defer g.close()
	if d := cmp.Diff(want, entriesOf(g)); d != "" {
		t.Error(d)
	}
	left, _ := filepath.Glob(filepath.Join(c.Dir, "state", "0*"))
	if len(left) != 1 || filepath.Base(left[0]) != "000002" {
		t.Errorf("state directories %v, want the restored one only", left)
	}
}

func TestGroupRefusesShortLog(t *testing.T) {
	c := soloConfig(t, t.TempDir())
	g := startSolo(t, c)
	proposeAll(t, g, 0, 5)
	m, done := g.state.use()
	must(t, m.Flush())
	done()
	crash(t, g)
	must(t, os.RemoveAll(filepath.Join(c.Dir, "log")))

	_, err := startReplica(c)
	if err == nil || !strings.Contains(err.Error(), "the log ends") || salvor.HintOf(err) == "" {
		t.Fatalf("a lost log gave %v", err)
	}
}

func TestGroupStopsOnFatalEntry(t *testing.T) {
	c := soloConfig(t, t.TempDir())
	stopped := make(chan error, 1)
	c.OnStop = func(err error) { stopped <- err }
	g := startSolo(t, c)
	want := proposeAll(t, g, 0, 3)
	m, done := g.state.use()
	m.fail = salvor.Errorf(salvor.TooNew, "unknown command")
	done()
	if _, err := g.propose(t.Context(), []byte("lost?")); salvor.ClassOf(err) != salvor.TooNew {
		t.Errorf("a fatal entry answered %v", err)
	}
	if err := <-stopped; salvor.ClassOf(err) != salvor.TooNew {
		t.Errorf("the node was stopped by %v", err)
	}
	m.fail = nil
	if _, err := g.propose(t.Context(), []byte("after")); salvor.ClassOf(err) != salvor.TooNew {
		t.Errorf("an entry after a fatal one answered %v", err)
	}
	if err := g.snapshot(); err == nil {
		t.Error("a snapshot was taken past an entry that was not applied")
	}
	crash(t, g)

	// The log has both still, for a program that knows them.
	g = startSolo(t, c)
	defer g.close()
	if d := cmp.Diff(append(want, "lost?", "after"), entriesOf(g)); d != "" {
		t.Error(d)
	}
}

func TestGroupSharesLogWrites(t *testing.T) {
	g := startSolo(t, soloConfig(t, t.TempDir()))
	defer g.close()
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 20 {
				if _, err := g.propose(context.Background(), []byte("x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	m, done := g.state.use()
	defer done()
	if m.batches > 64*20/2 {
		t.Errorf("%d proposals of 64 callers took %d batches", 64*20, m.batches)
	}
}

func TestGroupRefusals(t *testing.T) {
	g := startSolo(t, soloConfig(t, t.TempDir()))
	defer g.close()
	if _, err := g.propose(t.Context(), make([]byte, maxEntry+1)); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("an entry over the limit answered %v", err)
	}
	if _, err := g.propose(t.Context(), []byte("refuse")); salvor.ClassOf(err) != salvor.Conflict {
		t.Errorf("a refused command answered %v", err)
	}
	// With the window full a proposal waits, and gives up with its context.
	g.window.drain()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := g.propose(ctx, []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a full window answered %v", err)
	}
	g.window.undrain()
	must(t, g.close())
	if _, err := g.propose(t.Context(), []byte("x")); salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("a closed group answered %v", err)
	}
}

func TestGroupSnapshotsByTimeAndBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := soloConfig(t, t.TempDir())
		c.SnapshotBytes, c.SnapshotEvery = 1000, time.Minute
		g := startSolo(t, c)
		defer g.close()
		index := func() uint64 {
			d, _, err := g.snaps.newest()
			must(t, err)
			return d.Applied
		}
		applied := func() uint64 {
			m, done := g.state.use()
			defer done()
			return m.AppliedIndex()
		}
		proposeAll(t, g, 0, 1)
		time.Sleep(50 * time.Second)
		if index() != 0 {
			t.Error("a snapshot before its time")
		}
		time.Sleep(15 * time.Second)
		if index() != applied() {
			t.Errorf("after a minute the snapshot holds %d of %d", index(), applied())
		}
		_, err := g.propose(t.Context(), make([]byte, 2000))
		must(t, err)
		time.Sleep(3 * time.Second)
		if index() != applied() {
			t.Errorf("after 2000 bytes the snapshot holds %d of %d", index(), applied())
		}
		all, err := g.snaps.List()
		must(t, err)
		if len(all) != 1 {
			t.Errorf("%d snapshots are kept", len(all))
		}
		time.Sleep(5 * time.Minute)
		if again, _ := g.snaps.List(); again[0].ID != all[0].ID {
			t.Error("a snapshot without any change")
		}
	})
}

func TestGroupCutsLogBehindSnapshot(t *testing.T) {
	c := soloConfig(t, t.TempDir())
	c.TrailingLogs, c.SegmentSize = 10, 8<<10
	g := startSolo(t, c)
	defer g.close()
	for range 200 {
		_, err := g.propose(t.Context(), make([]byte, 500))
		must(t, err)
	}
	must(t, g.snapshot())
	first, err := g.wal.FirstIndex()
	must(t, err)
	last, err := g.wal.LastIndex()
	must(t, err)
	if last-first != c.TrailingLogs-1 {
		t.Errorf("the log is %d..%d after a snapshot, want %d entries", first, last, c.TrailingLogs)
	}
}

func TestLeaderlessStateIsSwept(t *testing.T) {
	dir := t.TempDir()
	// A crash before CURRENT was written: the directory counts for nothing.
	must(t, os.MkdirAll(filepath.Join(dir, "000001"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "000001", pageFile), []byte(`{"Applied":9,"Entries":["ghost"]}`), 0o600))
	s, err := openState(dir, openLedger)
	must(t, err)
	m, done := s.use()
	if slices.Contains(m.entries(), "ghost") {
		t.Error("a directory without pointer was used")
	}
	done()
	must(t, s.close())
	must(t, os.WriteFile(filepath.Join(dir, currentFile), []byte("../elsewhere\n"), 0o600))
	if _, err := openState(dir, openLedger); err == nil {
		t.Error("a pointer out of the directory was followed")
	}
}

// A disk that is full at the very start is said to be so, with a remedy.
func TestGroupStartsOnFullDisk(t *testing.T) {
	full := func(what string, c replicaConfig[*ledger]) {
		t.Helper()
		g, err := startReplica(c)
		if err == nil {
			must(t, g.close())
		}
		if salvor.ClassOf(err) != salvor.Exhausted || salvor.HintOf(err) == "" {
			t.Errorf("%s: %v of class %s", what, err, salvor.ClassOf(err))
		}
	}
	c := soloConfig(t, t.TempDir())
	c.Open = func(string) (*ledger, error) { return nil, fmt.Errorf("open state: %w", syscall.ENOSPC) }
	full("state", c)
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	c = soloConfig(t, t.TempDir())
	must(t, os.Mkdir(filepath.Join(c.Dir, "log"), 0o755))
	must(t, os.Symlink("/dev/full", filepath.Join(c.Dir, "log", "wal-meta.db")))
	full("log", c)
}
