package warc

import (
	"bufio"
	"context"
	"crypto/sha256"
	"hash"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"salvor"
)

// openSuffix marks a segment that is being written.
const openSuffix = ".open"

// segment is one open WARC file and its journal.
type segment struct {
	fs     FS
	dir    string
	name   string // final, without .open
	id     salvor.SegmentID
	info   recordID
	opened time.Time
	j      *journalFile

	streams atomic.Int32 // large bodies written or waiting to be
	good    atomic.Int64 // end of the last whole exchange that is in the journal too

	lock   ctxLock // guards what follows
	f      File
	sum    hash.Cloner // SHA-256 of the first good bytes
	first  int64       // end of the warcinfo
	torn   bool        // bytes beyond good could not be cut off
	closed bool        // being sealed: take another segment

	syncMu sync.Mutex
	synced int64 // end of what is known to be durable
	failed error // of an fsync: nothing beyond synced can be trusted
}

func (s *segment) path() string { return filepath.Join(s.dir, s.name+openSuffix) }

func newSHA256() hash.Cloner { return sha256.New().(hash.Cloner) }

// createSegment makes the journal first: a segment without one is a segment
// nobody was promised anything of.
func createSegment(fs FS, dir, name string, id salvor.SegmentID, info recordID, now time.Time) (*segment, error) {
	head := &journalEntry{Kind: kindHeader, Name: name, ID: id, Opened: now.UnixMilli(), InfoID: info}
	j, err := createJournal(fs, journalPath(dir, name), head)
	if err != nil {
		return nil, err
	}
	s := &segment{fs: fs, dir: dir, name: name, id: id, info: info, opened: now, j: j,
		lock: newCtxLock(), sum: newSHA256()}
	s.f, err = fs.OpenFile(s.path(), os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err == nil {
		err = fs.SyncDir(dir)
	}
	if err != nil {
		s.discard()
		return nil, diskError("create", s.path(), err)
	}
	return s, nil
}

func journalPath(dir, name string) string { return filepath.Join(dir, name+".journal") }

// discard removes a segment that holds nothing.
func (s *segment) discard() {
	if s.f != nil {
		s.f.Close()
	}
	s.fs.Remove(s.path())
	s.j.close()
	s.fs.Remove(s.j.path)
}

// acquire takes the segment for writing, or gives up with ctx.
func (s *segment) acquire(ctx context.Context) error {
	select {
	case s.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return salvor.Errorf(salvor.Interrupted, "wait for segment %s: %w", s.name, context.Cause(ctx))
	}
}

func (s *segment) release() { <-s.lock }

// append writes packed records and their journal entry: both or neither.
func (s *segment) append(b []byte, e *journalEntry) (uint32, error) {
	if err := s.mend(); err != nil {
		return 0, err
	}
	off := s.good.Load()
	if _, err := s.f.WriteAt(b, off); err != nil {
		s.cut()
		return 0, diskError("write", s.path(), err)
	}
	e.Start, e.Size = off, int64(len(b))
	seq, err := s.j.append(e)
	if err != nil {
		s.cut()
		return 0, err
	}
	s.sum.Write(b)
	s.good.Store(off + int64(len(b)))
	return seq, nil
}

// stream writes records as write makes them, and their journal entry when
// write has filled it in: all or nothing.
func (s *segment) stream(write func(*segmentWriter) error, e *journalEntry) (uint32, error) {
	if err := s.mend(); err != nil {
		return 0, err
	}
	sum, err := s.sum.Clone()
	if err != nil {
		return 0, salvor.Errorf(salvor.Internal, "clone digest: %w", err)
	}
	w := &segmentWriter{s: s, off: s.good.Load(), sum: sum}
	w.buf = bufio.NewWriterSize(diskWriter{w}, 256<<10)
	if err = write(w); err == nil {
		err = w.buf.Flush()
	}
	if err != nil {
		s.cut()
		return 0, err
	}
	e.Start, e.Size = s.good.Load(), w.off-s.good.Load()
	seq, err := s.j.append(e)
	if err != nil {
		s.cut()
		return 0, err
	}
	s.sum = w.sum
	s.good.Store(w.off)
	return seq, nil
}

// segmentWriter is the tail of a segment while a large exchange is written.
type segmentWriter struct {
	s   *segment
	buf *bufio.Writer
	off int64
	sum hash.Cloner
}

func (w *segmentWriter) Write(b []byte) (int, error) { return w.buf.Write(b) }

type diskWriter struct{ *segmentWriter }

func (w diskWriter) Write(b []byte) (int, error) {
	n, err := w.s.f.WriteAt(b, w.off)
	if err != nil {
		return n, diskError("write", w.s.path(), err)
	}
	w.sum.Write(b)
	w.off += int64(n)
	return n, nil
}

// cut removes what a failed write left. When that fails too, the next write
// tries again before it writes anything, and so does sealing.
func (s *segment) cut() {
	s.torn = true
	s.mend()
}

func (s *segment) mend() error {
	if !s.torn {
		return nil
	}
	if err := s.f.Truncate(s.good.Load()); err != nil {
		return diskError("truncate", s.path(), err)
	}
	s.torn = false
	return nil
}

// sync makes all that is good durable: the segment first, then the journal
// with a mark that says so. An fsync that failed may have dropped the pages it
// could not write, so it is never tried again (fsyncgate): the segment takes
// no more, and the next Open keeps what is whole.
func (s *segment) sync() error {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	good := s.good.Load()
	if good == s.synced {
		return nil
	}
	if err := s.f.Sync(); err != nil {
		s.failed = diskError("sync", s.path(), err)
		return s.failed
	}
	if _, err := s.j.append(&journalEntry{Kind: kindSynced, Synced: good}); err != nil {
		return err
	}
	if err := s.j.sync(); err != nil {
		s.failed = err
		return err
	}
	s.synced = good
	return nil
}

// broken says that an fsync failed.
func (s *segment) broken() bool {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	return s.failed != nil
}

// sealed ends a segment: nobody holds it or will take it again. It is safe to
// call again after an error.
func (s *segment) seal() (size int64, sum [32]byte, err error) {
	if err := s.mend(); err != nil {
		return 0, sum, err
	}
	if err := s.sync(); err != nil {
		return 0, sum, err
	}
	size, sum = s.good.Load(), [32]byte(s.sum.Sum(nil))
	if err := sealFile(s.fs, s.dir, s.name, s.j, size, sum); err != nil {
		return 0, sum, err
	}
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	s.f.Close() // its bytes are durable: nothing can go wrong that matters
	return size, sum, nil
}

// sealFile notes in the journal what the file holds, then gives it its final
// name. A crash between the two is seen by the next Open.
func sealFile(fs FS, dir, name string, j *journalFile, size int64, sum [32]byte) error {
	if _, err := j.append(&journalEntry{Kind: kindSealed, Bytes: size, SHA256: sum}); err != nil {
		return err
	}
	if err := j.sync(); err != nil {
		return err
	}
	final := filepath.Join(dir, name)
	if err := fs.Rename(final+openSuffix, final); err != nil {
		return diskError("rename", final+openSuffix, err)
	}
	if err := fs.SyncDir(dir); err != nil {
		return diskError("sync", dir, err)
	}
	return nil
}
