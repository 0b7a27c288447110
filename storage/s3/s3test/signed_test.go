package s3test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"salvor/storage"
	"salvor/storage/s3"
	"salvor/storage/signed"
	"salvor/storage/storagetest"
)

func anything(*http.Request, signed.Op, string) error { return nil }

// coordinator serves uploads to a bucket.
func coordinator(t testing.TB, st *s3.Store, change func(*signed.HandlerConfig)) *httptest.Server {
	t.Helper()
	c := signed.HandlerConfig{
		Store: st, Allow: anything, Secret: bytes.Repeat([]byte{7}, 32),
		MaxPut: 5 << 20, PartSize: 5 << 20,
	}
	if change != nil {
		change(&c)
	}
	h, err := signed.NewHandler(c)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv
}

// worker opens a Store without keys.
func worker(t testing.TB, change func(*signed.Config), endpoints ...string) *signed.Store {
	t.Helper()
	c := signed.Config{
		Endpoints: func() []string { return endpoints },
		HTTP:      &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		RetryFor:  10 * time.Second,
	}
	if change != nil {
		change(&c)
	}
	s, err := signed.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.HTTP.CloseIdleConnections)
	return s
}

func TestSignedConformance(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		storagetest.Run(t, func(t *testing.T) storage.Store {
			return worker(t, nil, coordinator(t, open(t, s, nil), nil).URL)
		})
	})
}
