package coordinator

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"salvor/coordinator/frontier"
	"salvor/storage/durable"
)

// fsm carries Raft's committed entries to the machine.
//
// It never skips what it cannot apply: an entry of an unknown type, or a disk
// that fails, stops the node (protocol 9). Raft has no way to say so, so the
// fsm remembers the first such error, refuses everything after it and tells
// failed, whose reader ends the node; the log still holds the entries.
type fsm[M machine] struct {
	state    *state[M]
	onApply  func(entries int, bytes int64) // after each batch
	onStop   func(error)                    // once, at the first fatal error
	restored func()                         // after each restored snapshot

	applied atomic.Uint64 // index of the last entry given to the machine
	mu      sync.Mutex
	fatal   error
}

var (
	_ raft.BatchingFSM = (*fsm[machine])(nil)
	_ raft.FSMSnapshot = fsmSnapshot{}
)

// Apply implements raft.FSM; Raft calls ApplyBatch instead.
func (f *fsm[M]) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements raft.BatchingFSM: one Pebble batch for all entries.
// Each command's response is a frontier.Outcome.
func (f *fsm[M]) ApplyBatch(logs []*raft.Log) []any {
	out := make([]any, len(logs))
	entries := make([]frontier.Entry, 0, len(logs))
	at := make([]int, 0, len(logs))
	var bytes int64
	m, done := f.state.use()
	defer done()
	for i, l := range logs {
		if l.Type != raft.LogCommand {
			continue
		}
		entries = append(entries, frontier.Entry{Index: l.Index, Data: l.Data})
		at = append(at, i)
		bytes += int64(len(l.Data))
	}
	if len(entries) == 0 {
		return out
	}
	for i, o := range f.apply(m, entries) {
		out[at[i]] = o
	}
	f.onApply(len(entries), bytes)
	return out
}

// apply gives the machine what it has not applied yet. After a start Raft
// replays from the snapshot on, and the state may be further than that.
func (f *fsm[M]) apply(m M, entries []frontier.Entry) []frontier.Outcome {
	out := make([]frontier.Outcome, len(entries))
	if err := f.err(); err != nil {
		for i := range out {
			out[i] = frontier.Outcome{Err: err, Fatal: true}
		}
		return out
	}
	applied, skip := m.AppliedIndex(), 0
	for skip < len(entries) && entries[skip].Index <= applied {
		skip++
	}
	if skip < len(entries) {
		copy(out[skip:], m.ApplyBatch(entries[skip:]))
	}
	f.applied.Store(entries[len(entries)-1].Index)
	for i := range out {
		if out[i].Fatal {
			out[i].Err = durable.Error(out[i].Err, "write state in", f.state.dir)
			f.stop(out[i].Err)
		}
	}
	return out
}

func (f *fsm[M]) stop(err error) {
	f.mu.Lock()
	first := f.fatal == nil
	if first {
		f.fatal = err
	}
	f.mu.Unlock()
	if first {
		f.onStop(err)
	}
}

func (f *fsm[M]) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fatal
}

// Snapshot implements raft.FSM: it only notes the index, since no entry is
// applied while it runs. Persist does the work.
func (f *fsm[M]) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return fsmSnapshot{persist: f.persist, atLeast: f.applied.Load()}, nil
}

func (f *fsm[M]) persist(s *sink, atLeast uint64) error {
	m, done := f.state.use()
	defer done()
	return s.checkpoint(m, atLeast)
}

// Restore implements raft.FSM.
func (f *fsm[M]) Restore(r io.ReadCloser) error {
	if err := f.state.restore(r); err != nil {
		return err
	}
	m, done := f.state.use()
	defer done()
	f.applied.Store(m.AppliedIndex())
	f.restored()
	return nil
}

type fsmSnapshot struct {
	persist func(s *sink, atLeast uint64) error
	atLeast uint64
}

// Persist implements raft.FSMSnapshot.
func (s fsmSnapshot) Persist(to raft.SnapshotSink) error {
	into, ok := to.(*sink)
	if !ok {
		return fmt.Errorf("snapshot goes to %T", to)
	}
	return s.persist(into, s.atLeast)
}

// Release implements raft.FSMSnapshot.
func (fsmSnapshot) Release() {}
