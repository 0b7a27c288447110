package s3test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"salvor"
	"salvor/storage"
	"salvor/storage/s3"
)

// The server keeps a SHA-256 for objects in one piece, and the CRC64NVME for
// those in parts; Stat tells the SHA-256 of both.
func TestChecksumsAreKept(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		var gets atomic.Int64
		st := open(t, s, wrap(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodGet && !req.URL.Query().Has("list-type") {
				gets.Add(1)
			}
			return next.RoundTrip(req)
		}))
		for n, want := range map[int]int64{1000: 0, 12 << 20: 1} {
			gets.Store(0)
			blob := storage.BytesBlob(random(2, n))
			if _, err := st.Put(t.Context(), "k", blob, storage.PutOptions{Type: "application/warc"}); err != nil {
				t.Fatal(err)
			}
			info, err := st.Stat(t.Context(), "k")
			if err != nil || info.SHA256 != blob.SHA256() {
				t.Errorf("%d bytes: stat %+v, %v", n, info, err)
			}
			if sum, err := st.Checksum(t.Context(), "k"); err != nil || sum != blob.SHA256() {
				t.Errorf("%d bytes: checksum %x, %v", n, sum, err)
			}
			if gets.Load() != want {
				t.Errorf("%d bytes: read %d times, want %d", n, gets.Load(), want)
			}
			if err := st.Delete(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// An object that another tool put, without any of our metadata, is judged by
// its bytes.
func TestForeignObject(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		b := bucket(t, s, false)
		st := open(t, s, all(inBucket(b), func(c *s3.Config) { c.Prefix = "" }))
		c, err := s.Client()
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1000, 12 << 20} {
			data := random(9, n)
			if _, err := c.PutObject(t.Context(), b, "foreign", bytes.NewReader(data), int64(n), minio.PutObjectOptions{PartSize: 5 << 20}); err != nil {
				t.Fatal(err)
			}
			info, err := st.Put(t.Context(), "foreign", storage.BytesBlob(data), storage.PutOptions{})
			if err != nil || !info.Existed {
				t.Errorf("the same: %+v, %v", info, err)
			}
			data[n-1] ^= 1
			if _, err := st.Put(t.Context(), "foreign", storage.BytesBlob(data), storage.PutOptions{}); salvor.ClassOf(err) != salvor.Conflict {
				t.Errorf("another: %v", err)
			}
		}
	})
}

func TestRetention(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		b := bucket(t, s, true)
		for mode, name := range map[s3.Retention]string{s3.RetainGovernance: "governance", s3.RetainCompliance: "compliance"} {
			st := open(t, s, all(inBucket(b), func(c *s3.Config) {
				c.Retention, c.RetainFor, c.ComplianceForbidsErasure = mode, 30*time.Second, mode == s3.RetainCompliance
			}))
			for key, n := range map[string]int{"small-" + name: 100, "large-" + name: 6 << 20} {
				if _, err := st.Put(t.Context(), key, storage.BytesBlob(random(4, n)), storage.PutOptions{}); err != nil {
					t.Fatalf("put %s: %v", key, err)
				}
				err := st.Delete(t.Context(), key)
				if salvor.ClassOf(err) != salvor.Conflict || !strings.Contains(hint(err), time.Now().UTC().Format("2006-01-02T")) {
					t.Errorf("delete %s under retention: %v (%s)", key, err, hint(err))
				}
				if _, err := st.Stat(t.Context(), key); err != nil {
					t.Errorf("%s: %v", key, err)
				}
			}
		}
		plain := open(t, s, all(inBucket(b), func(c *s3.Config) { c.Prefix = "plain" }))
		if _, err := plain.Put(t.Context(), "k", storage.BytesBlob([]byte("x")), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := plain.Delete(t.Context(), "k"); err != nil {
			t.Errorf("without retention: %v", err)
		}
		info, err := plain.Put(t.Context(), "k", storage.BytesBlob([]byte("y")), storage.PutOptions{})
		if s.Name == "versitygw" { // which counts a deleted object as there
			if salvor.ClassOf(err) != salvor.Conflict || !strings.Contains(hint(err), "another key") {
				t.Errorf("put after delete: %+v, %v", info, err)
			}
		} else if err != nil || info.Existed {
			t.Errorf("a hidden object stands in the way: %+v, %v", info, err)
		}
	})
}

func TestPresigned(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		st := open(t, s, nil)
		client, err := s3.HTTPClient(s3.Config{})
		if err != nil {
			t.Fatal(err)
		}
		blob := storage.BytesBlob(random(6, 300<<10))
		sign := func(key string) *s3.PresignedPut {
			p, err := st.PresignPut(t.Context(), key, blob, storage.PutOptions{Type: "application/warc"}, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			wire, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			p = &s3.PresignedPut{}
			if err := json.Unmarshal(wire, p); err != nil {
				t.Fatal(err)
			}
			return p
		}
		p := sign("w1/a")
		for i := range 2 { // the second is told that its own put did it
			if info, err := s3.UploadPresigned(t.Context(), client, p, blob); err != nil || info.Existed {
				t.Fatalf("upload %d: %+v, %v", i, info, err)
			}
		}
		if info, err := s3.UploadPresigned(t.Context(), client, sign("w1/a"), blob); err != nil || !info.Existed {
			t.Errorf("another holder, the same bytes: %+v, %v", info, err)
		}
		if sum, err := st.Checksum(t.Context(), "w1/a"); err != nil || sum != blob.SHA256() {
			t.Errorf("checksum %x, %v", sum, err)
		}
		if _, err := s3.UploadPresigned(t.Context(), client, p, storage.BytesBlob([]byte("x"))); salvor.ClassOf(err) != salvor.Invalid {
			t.Errorf("other bytes: %v", err)
		}
		cheat(t, st, sign("w1/b"), blob.Size())
	})
}

// Parts that were signed for are sent without keys; whoever signed completes.
func TestPresignedParts(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		st := open(t, s, nil)
		client, err := s3.HTTPClient(s3.Config{})
		if err != nil {
			t.Fatal(err)
		}
		blob := storage.BytesBlob(random(8, 12<<20))
		m, err := s3.MakeManifest(t.Context(), blob, 5<<20)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 { // the second finds the first's
			p, err := st.PresignUpload(t.Context(), "w1/big", m, storage.PutOptions{}, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			etags, err := s3.SendPresigned(t.Context(), client, p, blob)
			if err != nil {
				t.Fatal(err, hint(err))
			}
			if info, err := st.CompletePresigned(t.Context(), p, etags); err != nil || info.Existed != (i == 1) {
				t.Fatalf("complete: %+v, %v", info, err)
			}
		}
		if sum, err := st.Checksum(t.Context(), "w1/big"); err != nil || sum != blob.SHA256() {
			t.Errorf("checksum %x, %v", sum, err)
		}
		p, err := st.PresignUpload(t.Context(), "w1/cheat", m, storage.PutOptions{}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range [][]byte{random(9, 5<<20), random(8, 12<<20)[:5<<20-1]} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, p.Parts[0].URL, bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = p.Parts[0].Header.Clone()
			resp, err := client.Do(req)
			if err != nil {
				continue // refused before all was sent
			}
			resp.Body.Close()
			if resp.StatusCode < 400 || resp.StatusCode >= 500 {
				t.Errorf("a part of %d other bytes: %s", len(body), resp.Status)
			}
		}
		if _, err := st.CompletePresigned(t.Context(), p, []string{"a", "b", "c"}); err == nil {
			t.Error("an upload without parts was completed")
		}
	})
}

// cheat tries what a holder of a presigned put must not be able to do.
func cheat(t *testing.T, st *s3.Store, p *s3.PresignedPut, size int64) {
	t.Helper()
	other := random(7, int(size))
	otherSum := storage.BytesBlob(other).SHA256()
	for name, change := range map[string]func(r *http.Request){
		"other bytes":         func(*http.Request) {},
		"no condition":        func(r *http.Request) { r.Header.Del("If-None-Match") },
		"other checksum":      func(r *http.Request) { r.Header.Set("X-Amz-Checksum-Sha256", b64(otherSum[:])) },
		"no checksum":         func(r *http.Request) { r.Header.Del("X-Amz-Checksum-Sha256") },
		"another key":         func(r *http.Request) { r.URL.Path = strings.Replace(r.URL.Path, "w1/b", "w1/c", 1) },
		"other length, bytes": func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1 },
	} {
		req, err := http.NewRequestWithContext(t.Context(), p.Method, p.URL, bytes.NewReader(other))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = p.Header.Clone()
		change(req)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode < 400 || resp.StatusCode >= 500 {
			t.Errorf("%s: the server answered %s", name, resp.Status)
		}
	}
	for _, key := range []string{"w1/b", "w1/c"} {
		if _, err := st.Stat(t.Context(), key); salvor.ClassOf(err) != salvor.NotFound {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestProbe(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		for _, lock := range []bool{false, true} {
			cfg := s.Config(bucket(t, s, lock))
			r, err := s3.Probe(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if !r.Usable {
				t.Error("not usable")
			}
			for _, f := range r.Findings {
				t.Logf("%-24s %-8s %s -> %s", f.Name, f.Result, f.Detail, f.Follows)
				if f.Name == "object lock" && (f.Result == s3.Yes) != lock {
					t.Errorf("object lock: %v", f.Result)
				}
				if f.Result == s3.Unknown || f.Name == "clean-up" {
					t.Errorf("%s: %s", f.Name, f.Detail)
				}
			}
			c, err := s.Client()
			if err != nil {
				t.Fatal(err)
			}
			for o := range c.ListObjectsIter(t.Context(), cfg.Bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
				t.Errorf("left behind: %s %v", o.Key, o.Err)
			}
		}
		cfg := s.Config("no-such-bucket")
		cfg.RetryFor = -1
		if r, err := s3.Probe(t.Context(), cfg); err != nil || r.Usable || len(r.Findings) != 1 {
			t.Errorf("no bucket: %+v, %v", r, err)
		}
	})
}
