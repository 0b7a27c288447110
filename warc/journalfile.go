package warc

import (
	"io"
	"os"
	"sync"

	"salvor"
)

// journalFile is the journal of one segment, open for appending. It stays open
// until all its exchanges are settled.
type journalFile struct {
	fs   FS
	path string

	mu      sync.Mutex
	f       File
	off     int64
	torn    bool // bytes beyond off could not be cut off
	scratch []byte
	settled []uint64 // a bit an exchange
	count   uint32   // exchanges
	open    uint32   // of them not settled
	stored  bool
}

func createJournal(fs FS, path string, head *journalEntry) (*journalFile, error) {
	f, err := fs.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, diskError("create", path, err)
	}
	j := &journalFile{fs: fs, path: path, f: f}
	b := appendEntry([]byte(journalMagic), head)
	if _, err = f.WriteAt(b, 0); err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Close()
		fs.Remove(path)
		return nil, diskError("write", path, err)
	}
	j.off = int64(len(b))
	return j, nil
}

// append writes an entry whole or not at all, and numbers an exchange.
func (j *journalFile) append(e *journalEntry) (seq uint32, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.write(e); err != nil {
		return 0, err
	}
	j.note(e)
	return j.count - 1, nil
}

// note counts an entry that is in the file.
func (j *journalFile) note(e *journalEntry) {
	switch e.Kind {
	case kindExchange:
		if j.count%64 == 0 {
			j.settled = append(j.settled, 0)
		}
		j.count++
		j.open++
	case kindSettled:
		for _, s := range e.Settled {
			if j.unsettled(s) {
				j.settled[s/64] |= 1 << (s % 64)
				j.open--
			}
		}
	case kindStored:
		j.stored = true
	}
}

func (j *journalFile) unsettled(s uint32) bool {
	return s < j.count && j.settled[s/64]>>(s%64)&1 == 0
}

func (j *journalFile) write(e *journalEntry) error {
	if j.f == nil {
		return salvor.Errorf(salvor.Unavailable, "journal %s is closed", j.path)
	}
	if err := j.mend(); err != nil {
		return err
	}
	j.scratch = appendEntry(j.scratch[:0], e)
	if len(j.scratch) > maxJournal+journalFrame {
		return salvor.Errorf(salvor.Invalid, "journal entry has %d bytes, at most %d are allowed", len(j.scratch), maxJournal)
	}
	if _, err := j.f.WriteAt(j.scratch, j.off); err != nil {
		j.torn = true
		j.mend() // a failure is met again by the next write
		return diskError("write", j.path, err)
	}
	j.off += int64(len(j.scratch))
	return nil
}

// mend cuts off what a failed write left.
func (j *journalFile) mend() error {
	if !j.torn {
		return nil
	}
	if err := j.f.Truncate(j.off); err != nil {
		return diskError("truncate", j.path, err)
	}
	j.torn = false
	return nil
}

func (j *journalFile) sync() error {
	j.mu.Lock()
	f := j.f
	j.mu.Unlock()
	if f == nil {
		return nil
	}
	if err := f.Sync(); err != nil {
		return diskError("sync", j.path, err)
	}
	return nil
}

// settle marks exchanges. Marks that are there already are not written again.
func (j *journalFile) settle(seqs []uint32) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	fresh := make([]uint32, 0, len(seqs))
	for _, s := range seqs {
		if j.unsettled(s) {
			fresh = append(fresh, s)
		}
	}
	for len(fresh) > 0 {
		n := min(len(fresh), 4096)
		e := &journalEntry{Kind: kindSettled, Settled: fresh[:n]}
		if err := j.write(e); err != nil {
			return err
		}
		j.note(e)
		fresh = fresh[n:]
	}
	return nil
}

func (j *journalFile) isStored() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.stored
}

func (j *journalFile) exchanges() uint32 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.count
}

// finished says that neither the journal nor the spool's copy of the segment
// is needed any more.
func (j *journalFile) finished() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.stored && j.open == 0
}

func (j *journalFile) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		return nil
	}
	err := j.f.Close()
	j.f = nil
	if err != nil {
		return diskError("close", j.path, err)
	}
	return nil
}

// scanJournal reads entries until f says stop or the journal ends, be it in
// the midst of an entry, and returns the offset behind the last whole one.
func scanJournal(f io.ReaderAt, size int64, each func(off int64, e *journalEntry) error) (int64, error) {
	r := journalReader{f: f, size: size}
	magic, err := r.need(len(journalMagic))
	if err != nil || string(magic[:min(len(magic), len(journalMagic))]) != journalMagic {
		if len(magic) >= len(journalMagic) && string(magic[:len(journalMagic)-1]) == journalMagic[:len(journalMagic)-1] {
			return 0, salvor.Errorf(salvor.TooNew, "journal has version %d, this program knows %d", magic[len(journalMagic)-1], journalMagic[len(journalMagic)-1])
		}
		return 0, err
	}
	r.skip(len(journalMagic))
	for {
		e, n, ok := nextEntry(r.buf)
		if !ok {
			more, err := r.need(maxJournal + journalFrame)
			if err != nil {
				return r.off, err
			}
			if e, n, ok = nextEntry(more); !ok {
				return r.off, nil
			}
		}
		at := r.off
		r.skip(n)
		if err := each(at, &e); err != nil {
			return at, err
		}
	}
}

// journalReader is a window of at most one largest entry, and a little more.
type journalReader struct {
	f    io.ReaderAt
	size int64
	off  int64 // of buf's first byte
	buf  []byte
}

func (r *journalReader) skip(n int) { r.off, r.buf = r.off+int64(n), r.buf[n:] }

// need returns at least n bytes, or all that are left.
func (r *journalReader) need(n int) ([]byte, error) {
	want := min(int64(max(n, 256<<10)), r.size-r.off)
	if int64(len(r.buf)) >= min(int64(n), want) {
		return r.buf, nil
	}
	buf := make([]byte, want)
	have := copy(buf, r.buf)
	got, err := r.f.ReadAt(buf[have:], r.off+int64(have))
	if err == io.EOF {
		err = nil
	}
	r.buf = buf[:have+got]
	return r.buf, err
}
