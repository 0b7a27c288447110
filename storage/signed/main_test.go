package signed

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"salvor/storage"
)

func anything(*http.Request, Op, string) error { return nil }

// serve starts a coordinator over a Store.
func serve(t testing.TB, c HandlerConfig) *httptest.Server {
	t.Helper()
	if c.Allow == nil {
		c.Allow = anything
	}
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	if c.Secret == nil {
		c.Secret = bytes.Repeat([]byte{7}, 32)
	}
	h, err := NewHandler(c)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// worker opens a Store over coordinators.
func worker(t testing.TB, change func(*Config), endpoints ...string) *Store {
	t.Helper()
	c := Config{
		Endpoints: func() []string { return endpoints },
		HTTP:      &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		RetryFor:  5 * time.Second,
	}
	if change != nil {
		change(&c)
	}
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.HTTP.CloseIdleConnections)
	return s
}

func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := 0; i < n; i += 8 {
		var v [8]byte
		binary.LittleEndian.PutUint64(v[:], r.Uint64())
		copy(b[i:], v[:])
	}
	return b
}

func blob(seed uint64, n int) storage.Blob { return storage.BytesBlob(random(seed, n)) }
