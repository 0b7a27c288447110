package signed

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/storage"
	"salvor/storage/storagetest"
)

const part = 5 << 20

// inBucket serves a bucket; what is above a part goes up in parts.
func inBucket(t testing.TB, b *bucket, change func(*HandlerConfig)) string {
	c := HandlerConfig{Store: b, MaxPut: part, PartSize: part}
	if change != nil {
		change(&c)
	}
	return serve(t, c).URL
}

func mustPut(t *testing.T, s *Store, key string, b storage.Blob, existed bool) {
	t.Helper()
	info, err := s.Put(t.Context(), key, b, storage.PutOptions{Type: "application/warc"})
	if err != nil || info.Existed != existed || info.Size != b.Size() || info.SHA256 != b.SHA256() {
		t.Fatalf("put %s: %+v, %v (%s)", key, info, err, salvor.HintOf(err))
	}
	if err := Check(t.Context(), s, key, b.Size(), b.SHA256()); err != nil {
		t.Fatal(err)
	}
}

func TestConformanceSigned(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store {
		return worker(t, nil, inBucket(t, newBucket(t), nil))
	})
}

// times makes a fault happen to the first n requests of a path.
func times(n int64, path string, f func(w http.ResponseWriter) bool) func(http.ResponseWriter, *http.Request) bool {
	var hits atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) bool {
		return (path == "" || r.URL.Path == path) && hits.Add(1) <= n && f(w)
	}
}

func saying(status int, code string) func(http.ResponseWriter) bool {
	return func(w http.ResponseWriter) bool { refuse(w, status, code); return true }
}

// What goes wrong on the way to the bucket costs time only, and an object that
// this Put brought is never taken for somebody else's.
func TestFaultsOfTheBucket(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size         int
		fault, after func(http.ResponseWriter, *http.Request) bool
	}{
		"busy":               {size: 1000, fault: times(3, "/put", saying(503, "SlowDown"))},
		"cut":                {size: 1000, fault: times(2, "/put", cut)},
		"lost answer":        {size: 1000, after: times(1, "/put", cut)},
		"lost answer, blind": {size: 1000, after: times(1, "/put", cut), fault: times(2, "/head", saying(503, "SlowDown"))},
		"expired":            {size: 1000, fault: times(2, "/put", saying(403, "AccessDenied"))},
		"damaged":            {size: 1000, fault: times(1, "/put", saying(400, "BadDigest"))},
		"parts busy":         {size: 3*part + 1, fault: times(5, "/part", saying(503, "SlowDown"))},
		"parts cut":          {size: 3*part + 1, fault: times(2, "/part", cut)},
		"parts lost answer":  {size: 3*part + 1, after: times(2, "/part", cut)},
		"parts expired":      {size: 3*part + 1, fault: times(1, "/part", saying(403, "AccessDenied"))},
		"upload gone":        {size: 3*part + 1, fault: times(1, "/part", saying(404, "NoSuchUpload"))},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBucket(t)
			w := worker(t, nil, inBucket(t, b, nil))
			b.set(c.fault, c.after)
			mustPut(t, w, "k", blob(1, c.size), false)
			b.set(nil, nil)
			mustPut(t, w, "k", blob(1, c.size), true)
			if len(w.notes.free) != 0 {
				t.Error("an upload is left over")
			}
		})
	}
}

// A signed request that is refused again and again is no matter of time.
func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1000, 2 * part} {
		b := newBucket(t)
		w := worker(t, nil, inBucket(t, b, nil))
		b.set(func(w http.ResponseWriter, _ *http.Request) bool { return saying(403, "AccessDenied")(w) }, nil)
		if _, err := w.Put(t.Context(), "k", blob(1, size), storage.PutOptions{}); salvor.ClassOf(err) != salvor.Forbidden {
			t.Errorf("%d bytes: %v", size, err)
		}
		if len(b.uploads) != 0 {
			t.Errorf("%d bytes: an upload was left in the bucket", size)
		}
	}
}

// URLs that live for a second only are replaced while an upload goes on.
func TestExpiry(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	w := worker(t, func(c *Config) { c.Parallel = 1 }, inBucket(t, b, func(c *HandlerConfig) { c.TTL = time.Second }))
	b.set(nil, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/part" {
			time.Sleep(600 * time.Millisecond)
		}
		return false
	})
	mustPut(t, w, "k", blob(1, 4*part), false)
	if n := b.count("/part"); n != 4 {
		t.Errorf("%d parts were sent, the object has 4", n)
	}
}

// stopAfter ends a Put as a killed worker does, when some parts have arrived.
func stopAfter(t *testing.T, b *bucket, w *Store, blob storage.Blob, parts int64) {
	t.Helper()
	var n atomic.Int64
	b.set(func(w http.ResponseWriter, r *http.Request) bool {
		return r.URL.Path == "/part" && n.Add(1) > parts && cut(w)
	}, nil)
	if _, err := w.Put(t.Context(), "k", blob, storage.PutOptions{}); salvor.ClassOf(err) != salvor.Unavailable {
		t.Fatalf("put over a broken line: %v", err)
	}
	b.set(nil, nil)
}

// A worker that is killed in the midst goes on where it was, at any
// coordinator: those share the secret and nothing else.
func TestResume(t *testing.T) {
	t.Parallel()
	b, dir := newBucket(t), t.TempDir()
	notes := func(c *Config) { c.Dir, c.RetryFor, c.Parallel = dir, -1, 1 }
	data := blob(1, 5*part+3)
	stopAfter(t, b, worker(t, notes, inBucket(t, b, nil)), data, 3)
	next := worker(t, notes, inBucket(t, b, nil))
	mustPut(t, next, "k", data, false)
	if n := b.count("/part"); n != 6 {
		t.Errorf("%d parts were sent, the object has 6", n)
	}
	if again := worker(t, notes, inBucket(t, b, nil)); len(again.notes.free) != 0 {
		t.Error("a note is left")
	}
}

// A note is worth nothing when its upload is gone, its ticket has another
// secret's seal, or the bucket has become a Store that cannot sign.
func TestResumeInVain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil  func(*bucket)
		change func(*HandlerConfig)
	}{
		"gone":         {func(b *bucket) { clear(b.uploads) }, nil},
		"other secret": {nil, func(c *HandlerConfig) { c.Secret = make([]byte, 32) }},
		"proxy":        {nil, func(c *HandlerConfig) { c.Proxy = true }},
	} {
		t.Run(name, func(t *testing.T) {
			b, dir := newBucket(t), t.TempDir()
			notes := func(c *Config) { c.Dir, c.RetryFor = dir, time.Second }
			data := blob(1, 2*part)
			stopAfter(t, b, worker(t, notes, inBucket(t, b, nil)), data, 1)
			if c.spoil != nil {
				c.spoil(b)
			}
			mustPut(t, worker(t, notes, inBucket(t, b, c.change)), "k", data, false)
		})
	}
}

// The answer to complete is lost, and the coordinator that gave it dies:
// another one is told that it was this upload.
func TestCoordinatorDiesAtComplete(t *testing.T) {
	b := newBucket(t)
	first := serve(t, HandlerConfig{Store: b, MaxPut: part, PartSize: part})
	inner := first.Config.Handler
	var died atomic.Bool
	first.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == Root+"complete" {
			inner.ServeHTTP(discard{http.Header{}}, r)
			died.Store(true)
		}
		if died.Load() {
			cut(w)
			return
		}
		inner.ServeHTTP(w, r)
	})
	w := worker(t, nil, first.URL, inBucket(t, b, nil))
	mustPut(t, w, "k", blob(1, 2*part), false)
	if !died.Load() {
		t.Error("nobody died")
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// A blob that changes between its manifest and its parts is never completed.
func TestChangingBlob(t *testing.T) {
	b := newBucket(t)
	w := worker(t, func(c *Config) { c.RetryFor = -1 }, inBucket(t, b, nil))
	data := random(1, 2*part)
	changing := storage.BytesBlob(data)
	reads := &opens{Blob: changing, hook: func(n int) {
		if n == 2 {
			data[part+9] ^= 1
		}
	}}
	_, err := w.Put(t.Context(), "k", reads, storage.PutOptions{})
	if err == nil {
		t.Error("it was stored")
	}
	if _, err := b.Stat(t.Context(), "k"); salvor.ClassOf(err) != salvor.NotFound {
		t.Errorf("in the bucket: %v", err)
	}
	boom := errors.New("boom")
	_, err = w.Put(t.Context(), "j", &opens{Blob: blob(2, 2*part), fail: func(n int) error {
		if n == 3 {
			return boom
		}
		return nil
	}}, storage.PutOptions{})
	if !errors.Is(err, boom) || len(b.uploads) != 1 { // the one above, to be gone on with
		t.Errorf("a blob that does not open again: %v, %d uploads left", err, len(b.uploads))
	}
}
