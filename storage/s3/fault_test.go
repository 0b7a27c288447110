package s3

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/storage"
)

// A server that did the put and died before it answered: the put is a success,
// and the first one.
func TestLostAnswerIsSuccess(t *testing.T) {
	f := newFake(t)
	s := f.open(t, nil)
	var lost atomic.Bool
	f.after = func(w http.ResponseWriter, r *http.Request) bool {
		if lost.Swap(true) {
			return false
		}
		cut(w)
		return true
	}
	info, err := s.Put(t.Context(), "k", blob(1000), storage.PutOptions{})
	if err != nil || info.Existed || !lost.Load() {
		t.Fatalf("%+v, %v", info, err)
	}
	if n := f.count(http.MethodPut); n != 1 {
		t.Errorf("%d puts", n)
	}
}

// The look after the lost answer fails as well: the put is sent again, told
// that the object exists, and still a success.
func TestLostAnswerAndLook(t *testing.T) {
	f := newFake(t)
	s := f.open(t, nil)
	var step atomic.Int32
	f.after = func(w http.ResponseWriter, r *http.Request) bool {
		if step.CompareAndSwap(0, 1) {
			cut(w)
			return true
		}
		return false
	}
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead && step.CompareAndSwap(1, 2) {
			cut(w)
			return true
		}
		return false
	}
	info, err := s.Put(t.Context(), "k", blob(1000), storage.PutOptions{})
	if err != nil || info.Existed || step.Load() != 2 || f.count(http.MethodPut) != 2 {
		t.Fatalf("%+v, %v, step %d, %d puts", info, err, step.Load(), f.count(http.MethodPut))
	}
}

func TestBusyServer(t *testing.T) {
	f := newFake(t)
	s := f.open(t, nil)
	var n atomic.Int32
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if n.Add(1) <= 3 {
			refuse(w, http.StatusServiceUnavailable, "SlowDown")
			return true
		}
		return false
	}
	if _, err := s.Put(t.Context(), "k", blob(1000), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	n.Store(0)
	if _, err := s.Stat(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	n.Store(-1 << 20)
	s.cfg.RetryFor = 300 * time.Millisecond
	start := time.Now()
	if _, err := s.Stat(t.Context(), "k"); salvor.ClassOf(err) != salvor.Unavailable || !strings.Contains(salvor.HintOf(err), "overloaded") {
		t.Errorf("%v (%s)", err, salvor.HintOf(err))
	}
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("tried for %v", d)
	}
}

// What another try cannot help is not tried again.
func TestNoRetryOfRefusals(t *testing.T) {
	f := newFake(t)
	s := f.open(t, nil)
	for c, want := range map[string]salvor.ErrorClass{
		"AccessDenied": salvor.Forbidden, "InvalidStorageClass": salvor.Invalid, "XMinioStorageFull": salvor.Exhausted,
		"NoSuchBucket": salvor.NotFound, "InvalidObjectState": salvor.Forbidden,
	} {
		before := f.count(http.MethodPut)
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			refuse(w, http.StatusForbidden, c)
			return true
		}
		_, err := s.Put(t.Context(), "k", blob(10), storage.PutOptions{})
		if salvor.ClassOf(err) != want || salvor.HintOf(err) == "" {
			t.Errorf("%s: %v: %v (%s)", c, salvor.ClassOf(err), err, salvor.HintOf(err))
		}
		if n := f.count(http.MethodPut) - before; n != 1 {
			t.Errorf("%s: %d puts", c, n)
		}
	}
}

// A server that takes the connection and says nothing.
func TestHungServer(t *testing.T) {
	f := newFake(t)
	short := func(c *Config) {
		c.StallTimeout, c.AnswerTimeout, c.RetryFor = 200*time.Millisecond, 300*time.Millisecond, -1
	}
	s := f.open(t, short)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	f.before = func(w http.ResponseWriter, r *http.Request) bool { <-hang; return true }
	for name, call := range map[string]func() error{
		"put":  func() error { _, err := s.Put(t.Context(), "k", blob(1000), storage.PutOptions{}); return err },
		"stat": func() error { _, err := s.Stat(t.Context(), "k"); return err },
		"list": func() error {
			for _, err := range s.List(t.Context(), "", "") {
				return err
			}
			return nil
		},
	} {
		start := time.Now()
		err := call()
		if salvor.ClassOf(err) != salvor.Unavailable || !errors.Is(err, errStalled) {
			t.Errorf("%s: %v", name, err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s took %v", name, d)
		}
	}
	_, err := Open(t.Context(), func() Config { c := f.config(); short(&c); return c }())
	if salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("open: %v", err)
	}
}

// A server that stops reading in the middle of an upload.
func TestUploadStalls(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close() // it reads nothing; the kernel's buffers fill
		}
	}()
	s, err := connect(Config{
		Endpoint: "http://" + l.Addr().String(), Bucket: "bucket", AccessKeyID: "k", SecretAccessKey: "s",
		StallTimeout: 200 * time.Millisecond, AnswerTimeout: time.Minute, RetryFor: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	w := newWrite("k", blob(15<<20), storage.PutOptions{})
	start := time.Now()
	_, err = s.putOnce(t.Context(), w)
	if !errors.Is(err, errStalled) || time.Since(start) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// A body that ends early, stalls or is changed is an error, never an end.
func TestBadBodies(t *testing.T) {
	f := newFake(t)
	s := f.open(t, func(c *Config) { c.StallTimeout = 200 * time.Millisecond; c.RetryFor = -1 })
	b := blob(100_000)
	if _, err := s.Put(t.Context(), "k", b, storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	sum := b.SHA256()
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	for name, c := range map[string]struct {
		body  func(w http.ResponseWriter)
		class salvor.ErrorClass
	}{
		"short": {func(w http.ResponseWriter) { w.Write(make([]byte, 50_000)); cut(w) }, salvor.Unavailable},
		"stall": {func(w http.ResponseWriter) {
			w.Write(make([]byte, 50_000))
			http.NewResponseController(w).Flush()
			<-hang
		}, salvor.Unavailable},
		"other": {func(w http.ResponseWriter) { w.Write(make([]byte, 100_000)) }, salvor.Internal},
	} {
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Length", "100000")
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			w.Header().Set("X-Amz-Checksum-Sha256", base64Of(sum))
			c.body(w)
			return true
		}
		r, _, err := s.Get(t.Context(), "k")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, err = io.Copy(io.Discard, r)
		r.Close()
		if salvor.ClassOf(err) != c.class || err == nil {
			t.Errorf("%s: %v (%v)", name, err, salvor.ClassOf(err))
		}
	}
}

// A server that does not confirm the checksum has the object read back.
func TestUnconfirmedIsReadBack(t *testing.T) {
	f := newFake(t)
	f.noSums = true
	s := f.open(t, nil)
	if _, err := s.Put(t.Context(), "k", blob(1000), storage.PutOptions{}); err != nil || f.count(http.MethodGet) < 2 {
		t.Errorf("%v, %d reads", err, f.count(http.MethodGet))
	}
	f.after = func(w http.ResponseWriter, r *http.Request) bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.objects["bad"].data[3] ^= 1 // a disk or memory that forgets
		return false
	}
	_, err := s.Put(t.Context(), "bad", blob(1000), storage.PutOptions{})
	if salvor.ClassOf(err) != salvor.Internal || !strings.Contains(err.Error(), "other bytes") {
		t.Errorf("%v", err)
	}
}

// Whatever a server checks, it never gets a whole request with other bytes
// than the blob's writer promised.
func TestLyingBlobIsNotSent(t *testing.T) {
	f := newFake(t)
	f.noSums = true
	s := f.open(t, nil)
	lie := liar{blob(100_000), sha256.Sum256([]byte("something else"))}
	if _, err := s.Put(t.Context(), "k", lie, storage.PutOptions{}); salvor.ClassOf(err) != salvor.Internal {
		t.Errorf("%v", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.objects) != 0 {
		t.Error("it was stored")
	}
}

type liar struct {
	storage.Blob
	sum [32]byte
}

func (l liar) SHA256() [32]byte { return l.sum }

func TestReadOnly(t *testing.T) {
	f := newFake(t)
	s := f.open(t, func(c *Config) { c.ReadOnly = true })
	_, perr := s.Put(t.Context(), "k", blob(1), storage.PutOptions{})
	_, aerr := s.AbortOrphans(t.Context(), 0)
	_, serr := s.PresignPut(t.Context(), "k", blob(1), storage.PutOptions{}, time.Minute)
	for _, err := range []error{perr, aerr, serr, s.Delete(t.Context(), "k")} {
		if salvor.ClassOf(err) != salvor.Forbidden {
			t.Errorf("%v", err)
		}
	}
}

func TestRetryEndsWithContext(t *testing.T) {
	f := newFake(t)
	s := f.open(t, func(c *Config) { c.RetryFor = time.Hour })
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		refuse(w, http.StatusServiceUnavailable, "SlowDown")
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := s.Stat(ctx, "k")
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 3*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}
