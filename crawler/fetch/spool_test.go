package fetch

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"salvor"
)

// TestSpool: all sizes around the borders, with and without memory.
func TestSpool(t *testing.T) {
	data := make([]byte, 3*chunkSize+10)
	rand.Read(data)
	for _, memory := range []int64{0, chunkSize, 2 * chunkSize, 1 << 20} {
		for _, size := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 2 * chunkSize, 3*chunkSize + 10} {
			b := &budget{dir: t.TempDir()}
			b.left.Store(memory)
			s := newSpool(b)
			for p := data[:size]; len(p) > 0; {
				n := copy(s.tail(), p[:min(len(p), 10_000)])
				if err := s.advance(n); err != nil {
					t.Fatal(err)
				}
				p = p[n:]
			}
			name := fmt.Sprintf("%d bytes in %d", size, memory)
			if b.left.Load() < 0 {
				t.Errorf("%s: over the budget", name)
			}
			check := func(when string) {
				for _, cut := range []int{0, size / 2, size} {
					p := make([]byte, cut)
					if _, err := s.ReadAt(p, int64(size-cut)); err != nil || !bytes.Equal(p, data[size-cut:size]) {
						t.Errorf("%s, %s: the last %d bytes differ, %v", name, when, cut, err)
					}
				}
				if n, err := s.ReadAt(make([]byte, 9), int64(size)); n != 0 || err != io.EOF {
					t.Errorf("%s, %s: read %d bytes behind the end, %v", name, when, n, err)
				}
				var out bytes.Buffer
				if n, err := s.WriteTo(&out); n != int64(size) || err != nil || !bytes.Equal(out.Bytes(), data[:size]) {
					t.Errorf("%s, %s: WriteTo wrote %d, %v", name, when, n, err)
				}
			}
			check("open")
			if err := s.seal(); err != nil {
				t.Fatal(err)
			}
			check("sealed")
			if p := s.slice(0, int64(size)); p != nil && !bytes.Equal(p, data[:size]) {
				t.Errorf("%s: slice differs", name)
			}
			if s.InFile() && memory == 1<<20 {
				t.Errorf("%s: in a file although there is memory", name)
			}
			if left, _ := os.ReadDir(b.dir); len(left) > 0 {
				t.Errorf("%s: file %s has a name", name, left[0].Name())
			}
			s.Close()
			s.Close()
			if b.left.Load() != memory {
				t.Errorf("%s: %d bytes of budget lost", name, memory-b.left.Load())
			}
		}
	}
}

func TestSpoolOf(t *testing.T) {
	want := bytes.Repeat([]byte("ab"), 20_000)
	s := SpoolOf(want)
	if err := iotest.TestReader(io.NewSectionReader(s, 0, s.Size()), want); err != nil {
		t.Error(err)
	}
}

// TestSpoolNoRoom: a spool that cannot be written is a local error.
func TestSpoolNoRoom(t *testing.T) {
	s := bigServer(t, 1<<20)
	c := newClient(t, Config{AllowNet: loopback, SpoolDir: t.TempDir() + "/gone", SpoolMemory: chunkSize})
	_, err := c.Fetch(t.Context(), Request{URL: s.URL})
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Class != ClassSpool || !e.Local() || salvor.ClassOf(err) != salvor.Exhausted || salvor.HintOf(err) == "" {
		t.Errorf("no room: %v", err)
	}
	if left := c.spool.left.Load(); left != chunkSize {
		t.Errorf("budget is %d after an error", left)
	}
}

func bigServer(t *testing.T, size int64) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp4")
		w.Header().Set("Content-Length", fmt.Sprint(size))
		io.CopyN(w, zeros{}, size)
	}))
	t.Cleanup(s.Close)
	return s
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestBigBodyFlat: a body of 2 GB (64 MB in short mode) does not show in
// memory.
func TestBigBodyFlat(t *testing.T) {
	size := int64(2 << 30)
	if testing.Short() || raceEnabled {
		size = 64 << 20
	}
	s := bigServer(t, size)
	c := newClient(t, Config{AllowNet: loopback, SpoolDir: t.TempDir(), SpoolMemory: 4 << 20})
	peak(t)
	before := peak(t)
	got := get(t, c, s.URL)
	if got.PayloadLen != size || got.Truncated != "" {
		t.Errorf("%d bytes, truncated %q", got.PayloadLen, got.Truncated)
	}
	h := sha256.New()
	if _, err := got.Block.WriteTo(h); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(h.Sum(nil), got.BlockSHA256[:]) {
		t.Error("the spool does not hold what was digested")
	}
	grown := peak(t) - before
	t.Logf("%d MB body: at most %d MB more resident", size>>20, grown>>20)
	if grown > 32<<20 {
		t.Errorf("memory grew by %d MB", grown>>20)
	}
}

// peak is the most memory the process was resident with since the last call.
func peak(t *testing.T) (bytes int64) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc")
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	if _, err := fmt.Sscan(rest, &bytes); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o200); err != nil { // proc(5): forget the peak
		t.Skip(err)
	}
	return bytes << 10
}
