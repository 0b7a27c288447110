package signed

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/storage"
	"salvor/storage/faulty"
	"salvor/storage/file"
	"salvor/storage/mem"
)

// opens counts the openings of a blob.
type opens struct {
	storage.Blob
	hook func(n int)
	fail func(n int) error
	mu   sync.Mutex
	n    int
}

func (o *opens) Open() (io.ReadSeekCloser, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n++
	if o.hook != nil {
		o.hook(o.n)
	}
	if o.fail != nil {
		if err := o.fail(o.n); err != nil {
			return nil, err
		}
	}
	return o.Blob.Open()
}

// before puts something between a worker and a coordinator.
func before(t *testing.T, c HandlerConfig, f func(next http.Handler, w http.ResponseWriter, r *http.Request)) string {
	s := serve(t, c)
	next := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f(next, w, r) })
	return s.URL
}

// A coordinator that is away, hangs or is no coordinator costs a try at
// another one.
func TestOtherEndpoints(t *testing.T) {
	good := serve(t, HandlerConfig{Store: mem.New()}).URL
	refused := "http://127.0.0.1:1"
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then is it known when the other side leaves
		<-r.Context().Done()
	}))
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(func() {
		silent.CloseClientConnections()
		silent.Close()
		other.Close()
	})
	for name, bad := range map[string]string{"refused": refused, "silent": silent.URL, "other": other.URL} {
		w := worker(t, func(c *Config) { c.Stall, c.RetryFor = 500*time.Millisecond, -1 }, bad, good)
		mustPut(t, w, "k-"+name, blob(1, 300<<10), false)
	}
	w := worker(t, func(c *Config) { c.RetryFor = -1 })
	if _, err := w.Stat(t.Context(), "k"); salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("without coordinators: %v", err)
	}
}

// A Store that is away for a while makes puts late, and one that stays away
// gives Unavailable.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	s := faulty.Wrap(mem.New(), faulty.Rule{Times: 4, Before: faulty.Down()})
	w := worker(t, nil, serve(t, HandlerConfig{Store: s}).URL)
	mustPut(t, w, "k", blob(1, 2<<20), false)
	s.Set(faulty.Rule{Before: faulty.Down()})
	w = worker(t, func(c *Config) { c.RetryFor = 50 * time.Millisecond }, serve(t, HandlerConfig{Store: s}).URL)
	if _, err := w.Put(t.Context(), "j", blob(1, 10), storage.PutOptions{}); salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("a store that is away: %v", err)
	}
	s.Set(faulty.Rule{Op: faulty.Put, Before: faulty.Full()})
	if _, err := w.Put(t.Context(), "j", blob(1, 10), storage.PutOptions{}); salvor.ClassOf(err) != salvor.Exhausted {
		t.Errorf("a full store: %v", err)
	}
}

// Calls that take long are waited for while the coordinator lives, and their
// failures have their class.
func TestSlowCalls(t *testing.T) {
	s := faulty.Wrap(mem.New())
	const stall, long = 500 * time.Millisecond, 1300 * time.Millisecond // an answer may take two stalls
	w := worker(t, func(c *Config) { c.Stall = stall }, serve(t, HandlerConfig{Store: s, KeepAlive: 50 * time.Millisecond}).URL)
	s.Set(faulty.Rule{Op: faulty.Put, Prefix: "k", Delay: long}, faulty.Rule{Op: faulty.Put, Delay: long, Before: faulty.Full()})
	mustPut(t, w, "k", blob(1, 10), false)
	if n := s.Calls(faulty.Put); n != 1 {
		t.Errorf("it was put %d times", n)
	}
	if _, err := w.Put(t.Context(), "j", blob(1, 10), storage.PutOptions{}); salvor.ClassOf(err) != salvor.Exhausted {
		t.Errorf("a slow failure: %v", err)
	}
}

// What is lost or damaged between worker and coordinator is sent again; what
// arrives damaged each time is not stored.
func TestDamageOnTheWay(t *testing.T) {
	st := mem.New()
	var n atomic.Int64
	var always atomic.Bool
	url := before(t, HandlerConfig{Store: st}, func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && (n.Add(1) == 1 || always.Load()) {
			b, _ := io.ReadAll(r.Body)
			b[len(b)/2] ^= 1
			r.Body = io.NopCloser(bytes.NewReader(b))
		}
		next.ServeHTTP(w, r)
	})
	mustPut(t, worker(t, nil, url), "k", blob(1, 400<<10), false)
	always.Store(true)
	w := worker(t, func(c *Config) { c.RetryFor = 20 * time.Millisecond }, url)
	for _, size := range []int{1000, 400 << 10} {
		if _, err := w.Put(t.Context(), "j", blob(2, size), storage.PutOptions{}); salvor.ClassOf(err) != salvor.Unavailable {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if _, err := st.Stat(t.Context(), "j"); salvor.ClassOf(err) != salvor.NotFound {
		t.Errorf("damaged bytes were stored: %v", err)
	}
}

// The coordinator answers and the answer is lost: the repeated put finds its
// own object, which is success.
func TestLostAnswers(t *testing.T) {
	var asked sync.Map
	url := before(t, HandlerConfig{Store: mem.New()}, func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		if _, again := asked.LoadOrStore(r.Method+r.URL.Path, true); !again {
			next.ServeHTTP(discard{http.Header{}}, r)
			cut(w)
			return
		}
		next.ServeHTTP(w, r)
	})
	w := worker(t, nil, url)
	data := blob(1, 5000)
	if info, err := w.Put(t.Context(), "k", data, storage.PutOptions{}); err != nil || info.SHA256 != data.SHA256() {
		t.Errorf("%+v, %v", info, err)
	}
	if sum, err := w.Checksum(t.Context(), "k"); err != nil || sum != data.SHA256() {
		t.Errorf("checksum %x, %v", sum, err)
	}
}

// An object that breaks off in the Store breaks off at the worker, too.
func TestBrokenReads(t *testing.T) {
	s := faulty.Wrap(mem.New())
	w := worker(t, nil, serve(t, HandlerConfig{Store: s}).URL)
	mustPut(t, w, "k", blob(1, 1<<20), false)
	for _, end := range []error{io.ErrUnexpectedEOF, io.EOF} {
		s.Set(faulty.Rule{Op: faulty.Get, Short: 300 << 10, ShortErr: end})
		r, _, err := w.Get(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); salvor.ClassOf(err) != salvor.Unavailable {
			t.Errorf("%d bytes, then %v", n, err)
		}
		r.Close()
	}
	s.Set(faulty.Rule{Op: faulty.Range, Short: 300 << 10})
	r, err := w.Range(t.Context(), "k", 0, 400<<10)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("a range of %d bytes, then %v", n, err)
	}
}

// A worker that does not go on sending is cut, its place is free again, and
// nothing of it stays; so does nothing of a coordinator that was killed.
func TestSpoolIsGivenBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "upload-0.salvor-tmp"), []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := serve(t, HandlerConfig{Store: mem.New(), Dir: dir, Uploads: 1, Stall: time.Second})
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "PUT "+Root+"object?key=k&sha256="+strings.Repeat("0", 64)+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
	full := make(chan struct{})
	var once sync.Once
	go func() { // it moves until the second upload was sent away, and then no more
		for {
			select {
			case <-full:
				return
			case <-time.After(10 * time.Millisecond):
				io.WriteString(c, "x")
			}
		}
	}()
	w := worker(t, func(c *Config) {
		c.OnTrouble = func(err error) {
			if strings.Contains(err.Error(), "pass through this coordinator already") {
				once.Do(func() { close(full) })
			}
		}
	}, s.URL)
	for list(t, dir) == 0 { // the first has the only place now
		runtime.Gosched()
	}
	mustPut(t, w, "k", blob(1, 300<<10), false)
	select {
	case <-full:
	default:
		t.Error("the second upload did not wait for the first")
	}
	if n := list(t, dir); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

func list(t *testing.T, dir string) int {
	t.Helper()
	e, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(e)
}

// zeros is a blob of zeros that takes no memory.
type zeros int64

func (z zeros) Size() int64 { return int64(z) }
func (z zeros) Open() (io.ReadSeekCloser, error) {
	return struct {
		*io.SectionReader
		io.Closer
	}{io.NewSectionReader(nothing{}, 0, int64(z)), io.NopCloser(nil)}, nil
}

type nothing struct{}

func (nothing) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

// Neither side holds an object: 128 MB through a coordinator into a directory.
func TestMemoryThroughCoordinator(t *testing.T) {
	st, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	w := worker(t, nil, serve(t, HandlerConfig{Store: st}).URL)
	h := sha256.New()
	const size = zeros(128 << 20)
	in, _ := size.Open()
	io.Copy(h, in)
	data := known{size, [32]byte(h.Sum(nil))}
	base, peak, stop := watchHeap()
	_, err = w.Put(t.Context(), "zeros", data, storage.PutOptions{})
	stop()
	if err != nil {
		t.Fatal(err)
	}
	if used := int64(*peak) - int64(base); used > 16<<20 {
		t.Errorf("%d MB of heap were in use", used>>20)
	}
}

type known struct {
	zeros
	sum [32]byte
}

func (k known) SHA256() [32]byte { return k.sum }

// watchHeap samples the heap until stopped.
func watchHeap() (base uint64, peak *uint64, stop func()) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	base, peak = m.HeapInuse, new(uint64)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			*peak = max(*peak, m.HeapInuse)
			select {
			case <-end:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return base, peak, func() { close(end); <-ended }
}
