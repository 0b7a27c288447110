package crawllog

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"salvor/storage/durable"
)

// bufferSize is when lines go to the file without being asked to.
const bufferSize = 64 << 10

// Writer appends to a crawl.log. Its methods are safe for concurrent use.
//
// Lines are buffered. When the disk is full, Write and Flush fail with class
// Exhausted and keep what they could not write: once there is room again the
// log goes on without a gap and without half a line.
type Writer struct {
	path   string
	mended int64

	mu   sync.Mutex
	f    logFile
	buf  []byte
	size int64 // of the file, without buf
}

type logFile interface {
	io.WriteCloser
	Sync() error
}

// Open opens a log for appending, makes it when missing, and cuts a last line
// that is not whole.
func Open(path string) (*Writer, error) {
	_, err := os.Stat(path)
	isNew := errors.Is(err, fs.ErrNotExist)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, durable.Error(err, "open", path)
	}
	w := &Writer{path: path, f: f}
	if w.size, w.mended, err = mend(f); err == nil && isNew {
		err = durable.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		f.Close()
		return nil, durable.Error(err, "mend", path)
	}
	return w, nil
}

// mend cuts what follows the last line feed, and answers how long the file is
// now and how much was cut.
func mend(f *os.File) (size, cut int64, err error) {
	st, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	end := st.Size()
	buf := make([]byte, bufferSize)
	for size = end; size > 0; {
		n := min(size, bufferSize)
		if _, err := f.ReadAt(buf[:n], size-n); err != nil {
			return 0, 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			size = size - n + int64(i) + 1
			break
		}
		size -= n
	}
	if size == end {
		return size, 0, nil
	}
	if err := f.Truncate(size); err != nil {
		return 0, 0, err
	}
	return size, end - size, f.Sync()
}

// Mended is how many bytes of a cut last line Open removed.
func (w *Writer) Mended() int64 { return w.mended }

// Write adds a line to the buffer.
func (w *Writer) Write(e Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.buf) >= bufferSize {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.buf = e.Append(w.buf)
	return nil
}

// Flush hands the buffered lines to the operating system.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flush()
}

func (w *Writer) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	n, err := w.f.Write(w.buf)
	w.size += int64(n)
	w.buf = append(w.buf[:0], w.buf[n:]...)
	return durable.Error(err, "write", w.path)
}

// Sync makes every line written before durable.
func (w *Writer) Sync() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.flush(); err != nil {
		return err
	}
	return durable.Error(w.f.Sync(), "fsync", w.path)
}

// Offset is where the next line will begin. What Sync made durable lies below
// the offset read before it.
func (w *Writer) Offset() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size + int64(len(w.buf))
}

// Close syncs and closes the log.
func (w *Writer) Close() error {
	err := w.Sync()
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(err, durable.Error(w.f.Close(), "close", w.path))
}

// Tail is what the log says from an offset on, by fetch and URL.
type Tail struct{ lines map[string]struct{} }

// Tail reads the log from offset on, to the last whole line. A worker that
// resumes asks it whether a capture found in a segment has its line already.
func (w *Writer) Tail(offset int64) (*Tail, error) {
	if err := w.Flush(); err != nil {
		return nil, err
	}
	f, err := os.Open(w.path)
	if err != nil {
		return nil, durable.Error(err, "open", w.path)
	}
	defer f.Close()
	t, err := readTail(f, offset)
	return t, durable.Error(err, "read", w.path)
}

// readTail begins at the first line that begins at offset or later.
func readTail(f io.ReadSeeker, offset int64) (*Tail, error) {
	t := &Tail{lines: map[string]struct{}{}}
	from := max(offset-1, 0) // the byte before tells whether a line begins at offset
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(f, bufferSize)
	for skip := offset > 0; ; skip = false {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		if fields := strings.Fields(line); !skip && len(fields) >= 12 {
			at, _, _ := strings.Cut(fields[8], "+")
			t.lines[at+" "+fields[3]] = struct{}{}
		}
	}
}

// Has reports whether the tail has the line of a fetch of url begun at begin.
func (t *Tail) Has(begin time.Time, url string) bool {
	b := appendBegin(nil, begin, 0)
	at, _, _ := bytes.Cut(b, []byte("+"))
	key := append(append(at[:len(at):len(at)], ' '), appendWord(nil, url, false)...)
	_, ok := t.lines[string(key)]
	return ok
}

// Len is how many different fetches the tail has.
func (t *Tail) Len() int { return len(t.lines) }
