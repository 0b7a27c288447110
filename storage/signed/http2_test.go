package signed

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/storage"
	"salvor/storage/faulty"
	"salvor/storage/mem"
	"salvor/storage/storagetest"
)

// overHTTP2 starts a coordinator as a cluster has it: TLS, and HTTP/2 on it.
func overHTTP2(t *testing.T, c HandlerConfig) (*Store, *atomic.Int64) {
	c.Allow, c.Dir = anything, t.TempDir()
	h, err := NewHandler(c)
	if err != nil {
		t.Fatal(err)
	}
	var second atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 {
			second.Add(1)
		}
		h.ServeHTTP(w, r)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return worker(t, func(c *Config) {
		c.HTTP = s.Client()
		if h.c.KeepAlive < time.Second {
			c.Stall = 500 * time.Millisecond
		}
	}, s.URL), &second
}

func TestConformanceHTTP2(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store {
		w, _ := overHTTP2(t, HandlerConfig{Store: mem.New(), Uploads: 64})
		return w
	})
}

// slowReads takes longer between two reads than a body may stand still.
type slowReads struct{ storage.Store }

func (s slowReads) Get(ctx context.Context, key string) (io.ReadCloser, storage.Info, error) {
	r, info, err := s.Store.Get(ctx, key)
	return &slowReader{ReadCloser: r}, info, err
}

type slowReader struct {
	io.ReadCloser
	n int
}

func (s *slowReader) Read(p []byte) (int, error) {
	if s.n++; s.n == 3 {
		time.Sleep(700 * time.Millisecond)
	}
	return s.ReadCloser.Read(p)
}

// Signs of life, time limits of bodies and answers that are cut work there, too.
func TestHTTP2(t *testing.T) {
	s := faulty.Wrap(mem.New())
	w, second := overHTTP2(t, HandlerConfig{Store: s, KeepAlive: 50 * time.Millisecond, Stall: 300 * time.Millisecond})
	s.Set(faulty.Rule{Op: faulty.Put, Delay: 1300 * time.Millisecond})
	mustPut(t, w, "k", blob(1, 2<<20), false)
	if s.Calls(faulty.Put) != 1 || second.Load() == 0 {
		t.Errorf("%d puts, %d requests over HTTP/2", s.Calls(faulty.Put), second.Load())
	}
	s.Set(faulty.Rule{Op: faulty.Get, Short: 1 << 20})
	r, _, err := w.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("%d bytes, then %v", n, err)
	}
	w, _ = overHTTP2(t, HandlerConfig{Store: slowReads{s}, Stall: 300 * time.Millisecond})
	s.Set()
	if r, _, err = w.Get(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); err != nil {
		t.Errorf("a slow store: %d bytes, then %v", n, err)
	}
}
