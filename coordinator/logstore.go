package coordinator

import (
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	walfs "github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"salvor"
	"salvor/storage/durable"
)

// logStore is the log as Raft uses it. Raft takes an error of it for a passing
// one: it steps down, is elected again and tries again, for ever, and it panics
// when the term cannot be written. A disk that failed once is not trusted here:
// the first error is told to stop, whoever met it, and the log takes nothing
// more until the node is started again.
type logStore struct {
	*wal.WAL
	dir  string
	fs   *watchedFS
	stop func(error)
	new  logCache

	mu    sync.Mutex
	first error
}

var (
	_ raft.LogStore          = (*logStore)(nil)
	_ raft.StableStore       = (*logStore)(nil)
	_ raft.MonotonicLogStore = (*logStore)(nil)
)

// openLog opens the log in a directory.
func openLog(dir string, fs types.VFS, size int, logger hclog.Logger, stop func(error)) (*logStore, error) {
	if fs == nil {
		fs = walfs.New()
	}
	l := &logStore{dir: dir, fs: &watchedFS{VFS: fs}, stop: stop}
	w, err := wal.Open(dir, wal.WithSegmentFiler(segment.NewFiler(dir, l.fs)), wal.WithSegmentSize(size), wal.WithLogger(logger))
	if err != nil {
		return nil, durable.Error(err, "open log in", dir)
	}
	l.WAL = w
	return l, nil
}

// write runs f unless an earlier write failed.
func (l *logStore) write(f func() error) error {
	if err := l.failed(); err != nil {
		return err
	}
	if err := f(); err != nil {
		return l.fail(err)
	}
	return nil
}

func (l *logStore) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}

// fail remembers the first error and tells it.
func (l *logStore) fail(err error) error {
	l.mu.Lock()
	first := l.first == nil
	if first {
		l.first = logError(err, l.fs.noRoom(), l.dir)
	}
	err = l.first
	l.mu.Unlock()
	if first {
		l.stop(err)
	}
	return err
}

// logError gives an error of the log its class and a remedy. A new segment that
// found no room is known by the next write only, which says something else.
func logError(err, noRoom error, dir string) error {
	if noRoom != nil && !full(err) {
		err = fmt.Errorf("%w (%w)", err, noRoom)
	}
	e := durable.Error(err, "write log in", dir)
	if s, ok := errors.AsType[*salvor.Error](e); ok && s.Hint == "" {
		return s.WithHint("the disk that holds %s failed: look into the system's log and repair it, or move the directory to another disk; then run the same command again: nothing that was accepted is lost", dir)
	}
	return e
}

// full says that an error comes of a full disk or quota.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// GetLog implements raft.LogStore.
func (l *logStore) GetLog(index uint64, log *raft.Log) error {
	if l.new.get(index, log) {
		return nil
	}
	return l.WAL.GetLog(index, log)
}

// StoreLog implements raft.LogStore.
func (l *logStore) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

// StoreLogs implements raft.LogStore.
func (l *logStore) StoreLogs(logs []*raft.Log) error {
	if err := l.write(func() error { return l.WAL.StoreLogs(logs) }); err != nil {
		return err
	}
	l.new.put(logs)
	return nil
}

// DeleteRange implements raft.LogStore.
func (l *logStore) DeleteRange(first, last uint64) error {
	l.new.cut(first, last)
	return l.write(func() error { return l.WAL.DeleteRange(first, last) })
}

// Set implements raft.StableStore.
func (l *logStore) Set(key, value []byte) error {
	return l.write(func() error { return l.WAL.Set(key, value) })
}

// SetUint64 implements raft.StableStore. It hides its errors: Raft panics when
// it cannot write the term. What follows from an unwritten term is harmless: to
// give a vote takes a Set, to take an entry a StoreLogs, and both fail from now
// on.
func (l *logStore) SetUint64(key []byte, value uint64) error {
	_ = l.write(func() error { return l.WAL.SetUint64(key, value) })
	return nil
}

// watchedFS remembers that a file found no room. The log makes its segments
// ahead, in the background, where an error is only printed.
type watchedFS struct {
	types.VFS

	mu  sync.Mutex
	err error
}

// Create implements types.VFS.
func (f *watchedFS) Create(dir, name string, size uint64) (types.WritableFile, error) {
	w, err := f.VFS.Create(dir, name, size)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err = nil; full(err) {
		f.err = err
	}
	return w, err
}

func (f *watchedFS) noRoom() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
