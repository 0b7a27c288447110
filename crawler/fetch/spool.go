package fetch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"salvor"
)

const (
	chunkSize = 32 << 10 // a common page with its head fits in one
	maxChunks = 32       // of one spool in memory: the rest goes to its file
)

var chunkPool = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// budget is the memory that the spools of one Client share, and the place
// where the rest goes.
type budget struct {
	dir  string
	left atomic.Int64
}

// take asks for one chunk's memory.
func (b *budget) take() bool {
	if b.left.Add(-chunkSize) >= 0 {
		return true
	}
	b.left.Add(chunkSize)
	return false
}

func (b *budget) give(n int) { b.left.Add(int64(n) * chunkSize) }

// Spool holds the bytes of one answer: in memory while there is room under
// the budget, then in an unlinked file. It is written by one goroutine; once
// it is sealed, any number may read it.
type Spool struct {
	b      *budget
	chunks []*[chunkSize]byte // the first ones, counted in the budget
	file   *os.File           // what follows after len(chunks)*chunkSize bytes
	filed  int64              // bytes in file
	buf    *[chunkSize]byte   // being filled; not counted, gone once sealed
	n      int                // bytes in buf
	inline [1]*[chunkSize]byte
}

func newSpool(b *budget) *Spool {
	s := &Spool{b: b}
	s.chunks = s.inline[:0]
	return s
}

// SpoolOf is a spool that holds p, for tests and for records made here.
func SpoolOf(p []byte) *Spool {
	b := new(budget)
	b.left.Store(int64(len(p)) + chunkSize)
	s := newSpool(b)
	for len(p) > 0 {
		n := copy(s.tail(), p)
		p = p[n:]
		if err := s.advance(n); err != nil {
			break // a file cannot be needed: the budget was made to fit
		}
	}
	s.seal()
	return s
}

// tail is room for the next bytes, never empty.
func (s *Spool) tail() []byte {
	if s.buf == nil {
		s.buf = chunkPool.Get().(*[chunkSize]byte)
		s.n = 0
	}
	return s.buf[s.n:]
}

// advance says that n bytes were put into tail.
func (s *Spool) advance(n int) error {
	s.n += n
	if s.n < chunkSize {
		return nil
	}
	return s.push()
}

// push moves the full or last buffer to where it stays.
func (s *Spool) push() error {
	if s.n == chunkSize && s.file == nil && len(s.chunks) < maxChunks && s.b.take() {
		s.chunks = append(s.chunks, s.buf)
		s.buf, s.n = nil, 0
		return nil
	}
	if s.file == nil {
		f, err := tempFile(s.b.dir)
		if err != nil {
			return err
		}
		s.file = f
	}
	if _, err := s.file.WriteAt(s.buf[:s.n], s.filed); err != nil {
		return salvor.Errorf(salvor.Exhausted, "write spool file: %w", err).
			WithHint("make room in the spool directory")
	}
	s.filed += int64(s.n)
	s.n = 0
	return nil
}

// tempFile makes a file that vanishes with the process.
func tempFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "spool-*")
	if err != nil {
		return nil, salvor.Errorf(salvor.Exhausted, "create spool file: %w", err).
			WithHint("make the spool directory writable and give it room")
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("unlink spool file: %w", err), f.Close())
	}
	return f, nil
}

// seal ends writing. The last buffer stays in memory if the budget allows.
func (s *Spool) seal() error {
	switch {
	case s.buf == nil:
	case s.n == 0:
		s.dropBuf()
	case s.file == nil && s.b.take():
		s.chunks = append(s.chunks, s.buf)
		s.filed = int64(s.n) - chunkSize // Size: the last chunk is not full
		s.buf, s.n = nil, 0
	default:
		if err := s.push(); err != nil {
			return err
		}
		s.dropBuf()
	}
	return nil
}

func (s *Spool) dropBuf() {
	if s.buf != nil {
		chunkPool.Put(s.buf)
		s.buf, s.n = nil, 0
	}
}

// Size is the number of bytes held.
func (s *Spool) Size() int64 {
	if s == nil {
		return 0
	}
	return int64(len(s.chunks))*chunkSize + s.filed + int64(s.n)
}

// InFile reports whether part of the spool is on disk.
func (s *Spool) InFile() bool { return s.file != nil }

// ReadAt reads as io.ReaderAt does.
func (s *Spool) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, salvor.Errorf(salvor.Invalid, "read spool at %d", off)
	}
	read := 0
	for read < len(p) {
		b, err := s.piece(off+int64(read), p[read:])
		if err != nil {
			return read, err
		}
		read += b
	}
	return read, nil
}

// piece copies what one chunk, the file or the buffer has at off.
func (s *Spool) piece(off int64, p []byte) (int, error) {
	size := s.Size()
	if off >= size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), size-off)]
	mem := int64(len(s.chunks)) * chunkSize
	switch {
	case off < mem:
		return copy(p, s.chunks[off/chunkSize][off%chunkSize:]), nil
	case s.file != nil && off < mem+s.filed:
		p = p[:min(int64(len(p)), mem+s.filed-off)]
		return s.file.ReadAt(p, off-mem)
	}
	return copy(p, s.buf[off-mem-max(s.filed, 0):s.n]), nil
}

// WriteTo writes all bytes to w.
func (s *Spool) WriteTo(w io.Writer) (int64, error) {
	return s.writeRange(w, 0, s.Size())
}

// writeRange writes bytes [from, to) to w, chunks without copying.
func (s *Spool) writeRange(w io.Writer, from, to int64) (int64, error) {
	start := from
	for mem := int64(len(s.chunks)) * chunkSize; from < to && from < mem; {
		c := s.chunks[from/chunkSize][from%chunkSize:]
		n, err := w.Write(c[:min(int64(len(c)), to-from)])
		from += int64(n)
		if err != nil {
			return from - start, err
		}
	}
	if from < to {
		n, err := io.Copy(w, io.NewSectionReader(s, from, to-from))
		from += n
		if err != nil {
			return from - start, err
		}
	}
	return from - start, nil
}

// slice is bytes [from, to) without copying, or nil where they do not lie
// together in memory.
func (s *Spool) slice(from, to int64) []byte {
	if to > int64(len(s.chunks))*chunkSize || from >= to || from/chunkSize != (to-1)/chunkSize {
		return nil
	}
	c := s.chunks[from/chunkSize]
	return c[from%chunkSize : (to-1)%chunkSize+1]
}

// Close gives memory and file back. A spool may be closed twice.
func (s *Spool) Close() {
	if s == nil {
		return
	}
	s.dropBuf()
	s.b.give(len(s.chunks))
	for i, c := range s.chunks {
		chunkPool.Put(c)
		s.chunks[i] = nil
	}
	s.chunks, s.filed = nil, 0
	if s.file != nil {
		s.file.Close() // nothing to keep: the file has no name
		s.file = nil
	}
}
