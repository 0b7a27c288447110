package s3test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/storage"
	"salvor/storage/s3"
)

// tripper stands between the Store and the network.
type tripper func(next http.RoundTripper, req *http.Request) (*http.Response, error)

func wrap(f tripper) func(*s3.Config) {
	return func(c *s3.Config) {
		c.Wrap = func(next http.RoundTripper) http.RoundTripper { return roundTrip{next, f} }
	}
}

type roundTrip struct {
	next http.RoundTripper
	f    tripper
}

func (r roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return r.f(r.next, req) }

func inBucket(b string) func(*s3.Config) { return func(c *s3.Config) { c.Bucket = b } }

func all(fs ...func(*s3.Config)) func(*s3.Config) {
	return func(c *s3.Config) {
		for _, f := range fs {
			f(c)
		}
	}
}

var errLost = errors.New("the connection was cut")

// makesVisible reports whether a request is the one that makes an object
// visible: the PUT of a whole object, or Complete.
func makesVisible(req *http.Request) bool {
	q := req.URL.Query()
	return req.Method == http.MethodPut && !q.Has("uploadId") || req.Method == http.MethodPost && q.Has("uploadId")
}

// An answer that gets lost after the server did its work is a success, of one
// piece and of parts, and not reported as somebody else's.
func TestLostAnswer(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		for _, n := range []int{0, 1000, 11 << 20} {
			var lost atomic.Int64
			st := open(t, s, wrap(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
				resp, err := next.RoundTrip(req)
				if err == nil && resp.StatusCode == http.StatusOK && makesVisible(req) && lost.Add(1) == 1 {
					resp.Body.Close()
					return nil, errLost
				}
				return resp, err
			}))
			data := random(3, n)
			info, err := st.Put(t.Context(), "k", storage.BytesBlob(data), storage.PutOptions{})
			if err != nil || info.Existed || lost.Load() == 0 {
				t.Fatalf("%d bytes: %+v, %v (%d answers lost)", n, info, err, lost.Load())
			}
			if !bytes.Equal(read(t, st, "k"), data) {
				t.Errorf("%d bytes: another content", n)
			}
		}
	})
}

// The same when the look after the lost answer fails too, so that the put is
// sent again and the server says that the object exists.
func TestLostAnswerThenTaken(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		for _, n := range []int{1000, 11 << 20} {
			var lost, looks atomic.Int64
			st := open(t, s, wrap(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
				if lost.Load() == 1 && req.Method == http.MethodHead && looks.Add(1) == 1 {
					return nil, errLost
				}
				resp, err := next.RoundTrip(req)
				if err == nil && resp.StatusCode == http.StatusOK && makesVisible(req) && lost.Add(1) == 1 {
					resp.Body.Close()
					return nil, errLost
				}
				return resp, err
			}))
			info, err := st.Put(t.Context(), "k", storage.BytesBlob(random(3, n)), storage.PutOptions{})
			if err != nil || info.Existed || looks.Load() == 0 {
				t.Errorf("%d bytes: %+v, %v, %d looks", n, info, err, looks.Load())
			}
		}
	})
}

// An upload whose process is gone is continued by the next one: parts that
// arrived are not sent again, and nothing is left behind.
func TestResume(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		b, dir := bucket(t, s, false), t.TempDir()
		var parts atomic.Int64
		common := all(inBucket(b), func(c *s3.Config) { c.StateDir, c.Parallel, c.RetryFor = dir, 1, -1 })
		cut := open(t, s, all(common, wrap(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if req.URL.Query().Has("partNumber") && parts.Add(1) > 3 {
				return nil, errLost
			}
			return next.RoundTrip(req)
		})))
		blob := storage.BytesBlob(random(5, 5*5<<20+11))
		if _, err := cut.Put(t.Context(), "big", blob, storage.PutOptions{}); salvor.ClassOf(err) != salvor.Unavailable {
			t.Fatalf("put over a broken line: %v", err)
		}
		if notes := list(t, dir); len(notes) != 1 {
			t.Fatalf("notes: %v", notes)
		}
		parts.Store(0)
		st := open(t, s, all(common, wrap(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodPut && req.URL.Query().Has("partNumber") {
				parts.Add(1)
			}
			return next.RoundTrip(req)
		})))
		info, err := st.Put(t.Context(), "big", blob, storage.PutOptions{})
		if err != nil || info.Existed {
			t.Fatalf("%+v, %v", info, err)
		}
		if parts.Load() != 3 {
			t.Errorf("%d parts were sent, 3 of 6 were missing", parts.Load())
		}
		if sum, err := st.Checksum(t.Context(), "big"); err != nil || sum != blob.SHA256() {
			t.Errorf("checksum %x, %v", sum, err)
		}
		if notes := list(t, dir); len(notes) != 0 {
			t.Errorf("notes are left: %v", notes)
		}
	})
}

// A process that dies after its object became visible and before it heard of
// it: the next one's put is the same put, and the note goes.
func TestResumeAfterComplete(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		b, dir := bucket(t, s, false), t.TempDir()
		common := all(inBucket(b), func(c *s3.Config) { c.StateDir, c.RetryFor = dir, -1 })
		var over atomic.Bool
		cut := open(t, s, all(common, wrap(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if over.Load() {
				return nil, errLost
			}
			resp, err := next.RoundTrip(req)
			if err == nil && req.Method == http.MethodPost && req.URL.Query().Has("uploadId") {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				over.Store(true)
				return nil, errLost
			}
			return resp, err
		})))
		blob := storage.BytesBlob(random(5, 6<<20))
		if _, err := cut.Put(t.Context(), "big", blob, storage.PutOptions{}); salvor.ClassOf(err) != salvor.Unavailable || len(list(t, dir)) != 1 {
			t.Fatalf("put over a broken line: %v, notes %v", err, list(t, dir))
		}
		st := open(t, s, common)
		if info, err := st.Put(t.Context(), "big", blob, storage.PutOptions{}); err != nil || info.Existed {
			t.Errorf("%+v, %v", info, err)
		}
		if notes := list(t, dir); len(notes) != 0 {
			t.Errorf("notes are left: %v", notes)
		}
	})
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A note whose upload was aborted by somebody else only costs a request.
func TestResumeGone(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		dir := t.TempDir()
		var cut atomic.Bool
		st := open(t, s, all(func(c *s3.Config) { c.StateDir = dir }, wrap(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if cut.Load() && req.URL.Query().Has("partNumber") {
				return nil, errLost
			}
			return next.RoundTrip(req)
		}), func(c *s3.Config) { c.RetryFor = 2 * time.Second }))
		blob := storage.BytesBlob(random(5, 6<<20))
		cut.Store(true)
		if _, err := st.Put(t.Context(), "big", blob, storage.PutOptions{}); err == nil {
			t.Fatal("no error")
		}
		cut.Store(false)
		saved, err := os.ReadFile(list(t, dir)[0])
		if err != nil {
			t.Fatal(err)
		}
		if n, err := st.AbortOrphans(t.Context(), 0); err != nil || n != 1 {
			t.Fatalf("aborted %d, %v", n, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "x.upload.json"), saved, 0o644); err != nil {
			t.Fatal(err)
		}
		if info, err := st.Put(t.Context(), "big", blob, storage.PutOptions{}); err != nil || info.Existed {
			t.Errorf("%+v, %v", info, err)
		}
	})
}

// Orphans of other processes are aborted when they are old enough. MinIO
// does not show them.
func TestAbortOrphans(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		if s.Name == "MinIO" {
			t.Skip("MinIO lists unfinished uploads by whole key only")
		}
		b := bucket(t, s, false)
		cut := open(t, s, all(inBucket(b), func(c *s3.Config) { c.RetryFor = -1 }, wrap(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if req.URL.Query().Has("partNumber") {
				return nil, errLost
			}
			return next.RoundTrip(req)
		})))
		if _, err := cut.Put(t.Context(), "big", storage.BytesBlob(random(5, 6<<20)), storage.PutOptions{}); err == nil {
			t.Fatal("no error")
		}
		st := open(t, s, inBucket(b))
		if n, err := st.AbortOrphans(t.Context(), time.Hour); n != 0 || err != nil {
			t.Errorf("young uploads: %d, %v", n, err)
		}
		if n, err := st.AbortOrphans(t.Context(), 0); n != 1 || err != nil {
			t.Errorf("all uploads: %d, %v", n, err)
		}
		if n, err := st.AbortOrphans(t.Context(), 0); n != 0 || err != nil {
			t.Errorf("again: %d, %v", n, err)
		}
	})
}

func TestErrorsOfServers(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		b := bucket(t, s, false)
		for name, c := range map[string]struct {
			change func(*s3.Config)
			class  salvor.ErrorClass
			hint   string
		}{
			"no bucket":    {func(c *s3.Config) { c.Bucket = "no-such-bucket" }, salvor.NotFound, "no-such-bucket"},
			"wrong key":    {func(c *s3.Config) { c.AccessKeyID = "nobody" }, salvor.Forbidden, "access key"},
			"wrong secret": {func(c *s3.Config) { c.SecretAccessKey = "wrong-secret" }, salvor.Forbidden, "secret key"},
			"https":        {func(c *s3.Config) { c.Endpoint = strings.Replace(c.Endpoint, "http:", "https:", 1) }, salvor.Invalid, "http://"},
			"nobody there": {func(c *s3.Config) { c.Endpoint = "http://127.0.0.1:1" }, salvor.Unavailable, "nothing listens"},
		} {
			cfg := s.Config(b)
			cfg.RetryFor = -1
			c.change(&cfg)
			_, err := s3.Open(t.Context(), cfg)
			if salvor.ClassOf(err) != c.class || !strings.Contains(hint(err), c.hint) {
				t.Errorf("%s: %v: %v (%s)", name, salvor.ClassOf(err), err, hint(err))
			}
			if err != nil && strings.Contains(err.Error()+hint(err), Secret) {
				t.Errorf("%s: the error tells the secret", name)
			}
		}
	})
}
