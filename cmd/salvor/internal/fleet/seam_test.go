package fleet

import (
	"context"
	"io"
	"maps"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/warc"
)

// seam is a coordinator that fails at will.
type seam struct {
	api.Coordinator
	mu   sync.Mutex
	fail func(call string) error // before a call
	cas  func(c api.Crawl, set func(api.Crawl) error) error
}

func (s *seam) set(f func(call string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

func (s *seam) before(call string) error {
	s.mu.Lock()
	f := s.fail
	s.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(call)
}

func (s *seam) Crawls(ctx context.Context) ([]api.Crawl, error) {
	if err := s.before("crawls"); err != nil {
		return nil, err
	}
	return s.Coordinator.Crawls(ctx)
}

func (s *seam) Crawl(ctx context.Context, id salvor.CrawlID) (api.Crawl, error) {
	if err := s.before("crawl"); err != nil {
		return api.Crawl{}, err
	}
	return s.Coordinator.Crawl(ctx, id)
}

func (s *seam) SetCrawl(ctx context.Context, c api.Crawl) error {
	if err := s.before("set crawl"); err != nil {
		return err
	}
	set := func(c api.Crawl) error { return s.Coordinator.SetCrawl(ctx, c) }
	if s.cas != nil {
		return s.cas(c, set)
	}
	return set(c)
}

func (s *seam) Register(ctx context.Context, worker string) (salvor.SessionID, error) {
	if err := s.before("register"); err != nil {
		return 0, err
	}
	return s.Coordinator.Register(ctx, worker)
}

func (s *seam) Discover(ctx context.Context, c api.Call, d api.Discovery) ([]api.Result, error) {
	if err := s.before("discover"); err != nil {
		return nil, err
	}
	return s.Coordinator.Discover(ctx, c, d)
}

func (s *seam) Lease(ctx context.Context, c api.Call, w api.Want) ([]api.Lease, error) {
	if err := s.before("lease"); err != nil {
		return nil, err
	}
	return s.Coordinator.Lease(ctx, c, w)
}

func (s *seam) Extend(ctx context.Context, c api.Call, h api.Holdings) (api.Renewal, error) {
	if err := s.before("extend"); err != nil {
		return api.Renewal{}, err
	}
	return s.Coordinator.Extend(ctx, c, h)
}

func (s *seam) Settle(ctx context.Context, c api.Call, x api.Settlement) error {
	if err := s.before("settle"); err != nil {
		return err
	}
	return s.Coordinator.Settle(ctx, c, x)
}

func (s *seam) Feedback(ctx context.Context, f []api.HostFeedback) error {
	if err := s.before("feedback"); err != nil {
		return err
	}
	return s.Coordinator.Feedback(ctx, f)
}

func (s *seam) OpenSegment(ctx context.Context, c api.Call, name string) (salvor.SegmentID, error) {
	if err := s.before("open segment"); err != nil {
		return 0, err
	}
	return s.Coordinator.OpenSegment(ctx, c, name)
}

func (s *seam) SetSegment(ctx context.Context, x api.Segment) error {
	if err := s.before("set segment"); err != nil {
		return err
	}
	return s.Coordinator.SetSegment(ctx, x)
}

// stored checks that each segment in the table lies in the Store where the table
// says, and that all objects of a crawl are where `salvor save` has them.
func (w *world) stored(id salvor.CrawlID, name string) {
	w.t.Helper()
	segments, err := w.node.Segments(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	known := map[string]bool{}
	for _, s := range segments {
		if s.State == api.SegmentOpen {
			continue // numbered, and then nothing was written to it
		}
		known[s.Object] = true
		if i, err := w.store.Stat(w.t.Context(), s.Object); err != nil || i.Size != s.Bytes {
			w.t.Errorf("%s: %+v, %v; the table says %d bytes", s.Name, i, err, s.Bytes)
		}
	}
	captures, urls := int64(0), map[string]int{}
	prefix := outfit.Prefix(name) + "/"
	for i, err := range w.store.List(w.t.Context(), prefix, "") {
		if err != nil {
			w.t.Fatal(err)
		}
		part, _, _ := strings.Cut(strings.TrimPrefix(i.Key, prefix), "/")
		switch {
		case part != "warc" && part != "journals" && part != "nodes":
			w.t.Errorf("%s lies in the Store", i.Key)
		case strings.HasSuffix(i.Key, ".warc.gz"):
			for _, u := range w.captures(i.Key) {
				captures++
				urls[u]++
			}
			if !known[i.Key] {
				w.t.Errorf("no segment is %s", i.Key)
			}
		}
	}
	for u, n := range urls { // its rules are not in a journal: a new worker asks for it again
		if strings.HasSuffix(u, "/robots.txt") && n > 1 {
			captures -= int64(n - 1)
			delete(urls, u)
		}
	}
	if t := w.totals(id); captures != t.Captures {
		maps.DeleteFunc(urls, func(_ string, n int) bool { return n == 1 })
		w.t.Errorf("the Store has %d captures, the coordinator knows of %d; more than once: %v", captures, t.Captures, urls)
	}
}

// captures are the URLs of the responses in a segment.
func (w *world) captures(key string) (urls []string) {
	w.t.Helper()
	in, _, err := w.store.Get(w.t.Context(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	defer in.Close()
	for r := warc.NewReader(in, 0, nil); ; {
		rec, err := r.Next()
		if err == io.EOF {
			return urls
		}
		if err != nil {
			w.t.Fatalf("%s: %v", key, err)
		}
		if kind := rec.Get("WARC-Type"); kind == "response" || kind == "revisit" {
			urls = append(urls, rec.Get("WARC-Target-URI"))
		}
	}
}

// fullFS is the spool's disk, full at will.
type fullFS struct{ full atomic.Bool }

type fullFile struct {
	*os.File
	fs *fullFS
}

func (f *fullFS) room(path string) error {
	if f.full.Load() {
		return &os.PathError{Op: "write", Path: path, Err: syscall.ENOSPC}
	}
	return nil
}

func (f *fullFS) OpenFile(path string, flag int) (warc.File, error) {
	o, err := os.OpenFile(path, flag, 0o644)
	if err != nil {
		return nil, err
	}
	return &fullFile{o, f}, nil
}

func (f *fullFS) ReadDir(dir string) (names []string, err error) {
	es, err := os.ReadDir(dir)
	for _, e := range es {
		names = append(names, e.Name())
	}
	return names, err
}

func (f *fullFS) Rename(from, to string) error { return os.Rename(from, to) }
func (f *fullFS) Remove(path string) error     { return os.Remove(path) }
func (f *fullFS) MkdirAll(dir string) error    { return os.MkdirAll(dir, 0o755) }
func (f *fullFS) SyncDir(string) error         { return nil }

func (f *fullFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (f *fullFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.room(f.Name()); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}
