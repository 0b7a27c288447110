package coordinator

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"salvor"
	"salvor/coordinator/frontier"
)

// ledger is a machine that remembers its entries. Like Pebble without a WAL it
// loses what it was not told to flush.
type ledger struct {
	dir string

	mu      sync.Mutex
	now     page
	batches int
	applied int
	blank   bool  // remembers no entries, for benchmarks
	fail    error // of the next batch
	full    error // of a flush
}

type page struct {
	Applied uint64
	Entries []string
}

const pageFile = "page.json"

func openLedger(dir string) (*ledger, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l := &ledger{dir: dir}
	b, err := os.ReadFile(filepath.Join(dir, pageFile))
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	return l, json.Unmarshal(b, &l.now)
}

func (l *ledger) ApplyBatch(entries []frontier.Entry) []frontier.Outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches++
	out := make([]frontier.Outcome, len(entries))
	for i, e := range entries {
		if l.fail != nil {
			out[i] = frontier.Outcome{Err: l.fail, Fatal: true}
			continue
		}
		if string(e.Data) == "refuse" {
			out[i].Err = salvor.Errorf(salvor.Conflict, "refused")
		}
		l.now.Applied = e.Index
		l.applied++
		if !l.blank {
			l.now.Entries = append(l.now.Entries, string(e.Data))
		}
		out[i].Result = l.applied
	}
	return out
}

func (l *ledger) AppliedIndex() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now.Applied
}

func (l *ledger) entries() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.now.Entries)
}

func (l *ledger) write(dir string) error {
	b, err := json.Marshal(l.now)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, pageFile), b, 0o600)
}

// fill makes every later flush fail.
func (l *ledger) fill(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = err
}

func (l *ledger) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full != nil {
		return l.full
	}
	return l.write(l.dir)
}

func (l *ledger) Checkpoint(dir string) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, err
	}
	return l.now.Applied, l.write(dir)
}

func (l *ledger) Close() error { return nil } // no flush: a close may be a crash

// soloConfig is a group of one voter over ledgers.
func soloConfig(t testing.TB, dir string) replicaConfig[*ledger] {
	self := raft.Server{Suffrage: raft.Voter, ID: "one", Address: "one"}
	net := loopback(self.Address)
	t.Cleanup(func() { net.Close() })
	return replicaConfig[*ledger]{
		Dir: dir, ID: self.ID, Peers: []raft.Server{self}, Net: net, Open: openLedger, Timeout: soloTimeout,
		SnapshotBytes: 64 << 20, SnapshotEvery: time.Minute, TrailingLogs: trailingLogs, SegmentSize: 1 << 20,
		Clock: systemClock{}, Logger: slog.New(slog.DiscardHandler),
		OnApply: func() {}, OnStop: func(error) {},
	}
}

// startSolo starts a group and waits until it leads and has applied its log.
func startSolo(t testing.TB, c replicaConfig[*ledger]) *replica[*ledger] {
	t.Helper()
	g, err := startReplica(c)
	if err != nil {
		t.Fatal(err)
	}
	awaitLead(t, g)
	_, err = g.barrier(t.Context())
	must(t, err)
	return g
}

func awaitLead(t testing.TB, g *replica[*ledger]) {
	t.Helper()
	select {
	case <-g.leading:
	case <-time.After(10 * time.Second):
		t.Fatal("no leader after 10 s")
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// crash ends a group as SIGKILL would: nothing is flushed, no snapshot taken.
func crash(t testing.TB, g *replica[*ledger]) {
	t.Helper()
	g.stop()
	g.loops.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	must(t, g.stopRaft())
	must(t, g.closeFiles())
	g.once.Do(func() { close(g.ended) })
}

// entriesOf is what a group's machine holds.
func entriesOf(g *replica[*ledger]) []string {
	m, done := g.state.use()
	defer done()
	return m.entries()
}
