package s3test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/storage"
	"salvor/storage/s3"
	"salvor/storage/signed"
)

func mustPut(t *testing.T, w storage.Store, real storage.Store, key string, b storage.Blob, existed bool) {
	t.Helper()
	info, err := w.Put(t.Context(), key, b, storage.PutOptions{Type: "application/warc"})
	if err != nil || info.Existed != existed || info.SHA256 != b.SHA256() {
		t.Fatalf("put %s: %+v, %v (%s)", key, info, err, hint(err))
	}
	if err := signed.Check(t.Context(), real, key, b.Size(), b.SHA256()); err != nil {
		t.Fatalf("%v (%s)", err, hint(err))
	}
	if sum, err := real.Checksum(t.Context(), key); err != nil || sum != b.SHA256() {
		t.Fatalf("checksum of %s: %x, %v", key, sum, err)
	}
}

// sizes are one piece, and three parts.
var sizes = []int{1000, 11 << 20}

// begun is what a coordinator hands out.
type begun struct {
	Put    *s3.PresignedPut
	Ticket string
}

// begin asks for an upload as a worker that then does what it likes.
func begin(t *testing.T, url, key string, b storage.Blob, partSize int64) (a begun) {
	t.Helper()
	sum := b.SHA256()
	ask := map[string]any{"key": key, "size": b.Size(), "sha256": hex.EncodeToString(sum[:])}
	if partSize > 0 {
		m, err := s3.MakeManifest(t.Context(), b, partSize)
		if err != nil {
			t.Fatal(err)
		}
		ask["manifest"] = m
	}
	if err := json.Unmarshal(post(t, url+signed.Root+"begin", ask), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func post(t *testing.T, url string, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(url, "application/json", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// send does one signed request as it is and returns the status.
func send(t *testing.T, url string, h http.Header, body []byte) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = h.Clone()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0 // cut while the body was sent
	}
	resp.Body.Close()
	return resp.StatusCode
}

// What a coordinator hands out lets nobody put other bytes, another key, or
// overwrite, in one piece or in parts.
func TestSignedCheats(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		st := open(t, s, nil)
		url := coordinator(t, st, nil).URL
		data := random(6, 300<<10)
		blob := storage.BytesBlob(data)
		cheat(t, st, begin(t, url, "w1/b", blob, 0).Put, blob.Size())

		late := begin(t, url, "w1/taken", blob, 0).Put
		first := storage.BytesBlob([]byte("first"))
		if _, err := st.Put(t.Context(), "w1/taken", first, storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if status := send(t, late.URL, late.Header, data); status != http.StatusPreconditionFailed {
			t.Errorf("overwriting: %d", status)
		}
		if err := signed.Check(t.Context(), st, "w1/taken", 5, first.SHA256()); err != nil {
			t.Error(err)
		}
		cheatParts(t, st, url)
	})
}

func cheatParts(t *testing.T, st *s3.Store, url string) {
	t.Helper()
	data := random(8, 6<<20)
	a := begin(t, url, "w1/parts", storage.BytesBlob(data), 5<<20)
	var parts struct{ Parts []s3.PresignedPart }
	if err := json.Unmarshal(post(t, url+signed.Root+"sign", map[string]any{"ticket": a.Ticket, "count": 9}), &parts); err != nil || len(parts.Parts) != 2 {
		t.Fatalf("%d parts, %v", len(parts.Parts), err)
	}
	p := parts.Parts[0]
	for name, status := range map[string]int{
		"other bytes": send(t, p.URL, p.Header, random(9, 5<<20)),
		"fewer bytes": send(t, p.URL, p.Header, data[:100]),
		"another key": send(t, strings.Replace(p.URL, "w1/parts", "w1/other", 1), p.Header, data[:5<<20]),
	} {
		if status >= 200 && status < 300 {
			t.Errorf("parts, %s: %d", name, status)
		}
	}
	for i, part := range parts.Parts {
		if status := send(t, part.URL, part.Header, data[i*5<<20:min(len(data), (i+1)*5<<20)]); status != http.StatusOK {
			t.Errorf("the right part %d: %d", i, status)
		}
	}
	for _, key := range []string{"w1/parts", "w1/other"} { // nobody but a coordinator completes
		if _, err := st.Stat(t.Context(), key); salvor.ClassOf(err) != salvor.NotFound {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// URLs that expire before they are used are replaced.
func TestSignedExpiry(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		st := open(t, s, nil)
		for _, n := range sizes {
			url := coordinator(t, st, func(c *signed.HandlerConfig) { c.TTL = time.Second }).URL
			var late atomic.Int64
			up := &http.Client{Transport: roundTrip{http.DefaultTransport, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodPut && late.Add(1) == 1 {
					time.Sleep(2100 * time.Millisecond) // servers count in whole seconds
				}
				return next.RoundTrip(r)
			}}}
			w := worker(t, func(c *signed.Config) { c.Upload, c.Parallel = up, 1 }, url)
			mustPut(t, w, st, fmt.Sprintf("k-%d", n), storage.BytesBlob(random(1, n)), false)
			if late.Load() < 2 {
				t.Error("nothing was refused")
			}
		}
	})
}

// A coordinator that is killed after it began an upload: another one, which
// never heard of it, completes it. Parts are sent once.
func TestSignedCoordinatorKilled(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		same := inBucket(bucket(t, s, false))
		first, second := coordinator(t, open(t, s, same), nil), coordinator(t, open(t, s, same), nil)
		var puts atomic.Int64
		var once sync.Once
		up := &http.Client{Transport: roundTrip{http.DefaultTransport, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			once.Do(func() { kill(first) })
			puts.Add(1)
			return next.RoundTrip(r)
		}}}
		w := worker(t, func(c *signed.Config) { c.Upload = up }, first.URL, second.URL)
		info, err := w.Put(t.Context(), "k", storage.BytesBlob(random(1, 11<<20)), storage.PutOptions{})
		if err != nil || info.Existed || puts.Load() != 3 {
			t.Errorf("%+v, %v, %d requests", info, err, puts.Load())
		}
	})
}

func kill(s *httptest.Server) {
	s.Listener.Close()
	s.CloseClientConnections()
}

// A bucket that answers 503, or cuts uploads in the midst, and is well again
// after a while.
func TestSignedWeather(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		for name, mode := range map[string]int32{"unwilling": unwilling, "cutting": cutting} {
			front, err := newWeather(s.Endpoint)
			if err != nil {
				t.Fatal(err)
			}
			defer front.Close()
			st := open(t, s, func(c *s3.Config) { c.Endpoint = front.URL })
			w := worker(t, func(c *signed.Config) { c.RetryFor = time.Minute }, coordinator(t, st, nil).URL)
			for _, n := range sizes {
				front.mode.Store(mode)
				clear := time.AfterFunc(1500*time.Millisecond, func() { front.mode.Store(fair) })
				mustPut(t, w, st, fmt.Sprintf("%s-%d", name, n), storage.BytesBlob(random(uint64(n), n)), false)
				clear.Stop()
			}
			if front.met.Load() == 0 {
				t.Error("the sun shone")
			}
		}
	})
}

// A server that is killed while workers put, and comes back: every put ends
// well, and what it said is so.
func TestSignedServerIsKilled(t *testing.T) {
	if minioBinary == "" {
		t.Skip("MinIO is not built: e2e/check/minio.sh .cache/minio")
	}
	dir := t.TempDir()
	srv, err := MinIO(minioBinary, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { srv.Stop() }()
	st := open(t, srv, func(c *s3.Config) { c.RetryFor = time.Minute })
	w := worker(t, func(c *signed.Config) { c.RetryFor = time.Minute }, coordinator(t, st, nil).URL)
	var wg sync.WaitGroup
	end := make(chan struct{})
	var done atomic.Int64
	for id := range uint64(3) {
		wg.Go(func() {
			for i := id << 32; ; i++ {
				select {
				case <-end:
					return
				default:
				}
				blob := storage.BytesBlob(random(i, sizeOf(i)))
				key := fmt.Sprintf("k/%d", i)
				info, err := w.Put(t.Context(), key, blob, storage.PutOptions{})
				if err == nil {
					err = signed.Check(t.Context(), st, key, blob.Size(), blob.SHA256())
				}
				if err != nil || info.Existed {
					t.Errorf("%s: %+v, %v (%s)", key, info, err, hint(err))
					return
				}
				done.Add(1)
			}
		})
	}
	addr := strings.TrimPrefix(srv.Endpoint, "http://")
	for range 3 {
		time.Sleep(700 * time.Millisecond)
		srv.Stop()
		if srv, err = MinIOAt(minioBinary, dir, addr); err != nil {
			t.Fatal(err)
		}
	}
	close(end)
	wg.Wait()
	t.Logf("%d objects were put over 3 kills", done.Load())
}
