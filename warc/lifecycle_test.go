package warc

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
	"salvor/storage"
	"salvor/storage/mem"
)

// TestSpoolEmpties: segment and journal leave the spool when the segment is
// stored and all its exchanges are settled, not before, in either order.
func TestSpoolEmpties(t *testing.T) {
	for _, sealFirst := range []bool{true, false} {
		dir := t.TempDir()
		p, _ := mustOpen(t, testConfig(t, dir))
		a := mustWrite(t, p, page("http://example.com/a", "a"))
		b := mustWrite(t, p, page("http://example.com/b", "b"))
		settle := func(r Receipt) {
			t.Helper()
			if err := p.Settled(t.Context(), []Receipt{r, r}); err != nil {
				t.Fatal(err)
			}
		}
		settle(a)
		if p.Spooled() < a.Place.Length+b.Place.Length {
			t.Errorf("%d bytes are spooled", p.Spooled())
		}
		if sealFirst {
			mustSeal(t, p)
			if n := spooled(t, dir); len(n) != 2 {
				t.Errorf("with one exchange open the spool holds %v", n)
			}
			settle(b)
		} else {
			settle(b)
			if n := spooled(t, dir); len(n) != 2 {
				t.Errorf("not stored, the spool holds %v", n)
			}
			mustSeal(t, p)
		}
		if n := spooled(t, dir); len(n) != 0 {
			t.Errorf("sealed first %v: at the end the spool holds %v", sealFirst, n)
		}
		if n := p.Spooled(); n != 0 {
			t.Errorf("%d bytes are spooled at the end", n)
		}
		settle(b) // late and repeated marks are harmless
		if len(stored(t, dir)) != 1 {
			t.Error("the segment left the Store")
		}
	}
}

// TestRotation: segments are sealed by size and end below it; their serials
// and times make the names sort.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(t, dir)
	c.MaxSize = 40_000
	var sealed, storedSegs []api.Segment
	c.OnSealed = func(_ context.Context, s api.Segment) error { sealed = append(sealed, s); return nil }
	c.OnStored = func(_ context.Context, s api.Segment) error { storedSegs = append(storedSegs, s); return nil }
	p, _ := mustOpen(t, c)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 40 {
		mustWrite(t, p, page(fmt.Sprintf("http://example.com/%d", i), words(rng, 20_000)))
	}
	mustSeal(t, p)
	files := stored(t, dir)
	if len(files) < 4 {
		t.Fatalf("only %d segments", len(files))
	}
	for i, f := range files {
		st, err := os.Stat(f)
		if err != nil || st.Size() > c.MaxSize {
			t.Errorf("%s: %d bytes, %v", f, st.Size(), err)
		}
		if want := fmt.Sprintf("-%05d-test.warc.gz", i+1); !strings.HasSuffix(f, want) {
			t.Errorf("%s does not end in %s", f, want)
		}
		rep, err := Verify(t.Context(), f)
		if err != nil || !rep.OK() {
			t.Fatal(err, rep.Problems)
		}
		s := storedSegs[i]
		if s.Name != filepath.Base(f) || s.Object != Key(s.Name) || s.Bytes != st.Size() || s.SHA256 != rep.SHA256 || s.State != api.SegmentStored || s.ID != salvor.SegmentID(i+1) {
			t.Errorf("reported %+v for %s", s, f)
		}
	}
	if len(sealed) != len(storedSegs) || sealed[0].State != api.SegmentSealed || sealed[0].Object != "" {
		t.Errorf("sealed %d, stored %d", len(sealed), len(storedSegs))
	}
}

// TestAge: a segment is sealed by age without anybody asking.
func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig(t, t.TempDir())
		st := mem.New()
		c.Store, c.MaxAge = st, time.Hour
		p, _, err := Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close(context.Background())
		mustWrite(t, p, page("http://example.com/a", "a"))
		count := func() (n int) {
			for range st.List(t.Context(), "", "") {
				n++
			}
			return n
		}
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if n := count(); n != 0 {
			t.Errorf("after 59 minutes %d objects are stored", n)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := count(); n != 2 {
			t.Errorf("after 61 minutes %d objects are stored", n)
		}
	})
}

// TestHurry: who is in a hurry gets small segments stored soon, and who is no
// more gets them as configured.
func TestHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig(t, t.TempDir())
		st := mem.New()
		c.Store, c.MaxAge, c.MinSize, c.SmallAge = st, time.Minute, 1<<20, 5*time.Minute
		p, _, err := Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close(context.Background())
		stored := func(after time.Duration) (n int) {
			time.Sleep(after)
			synctest.Wait()
			for range st.List(t.Context(), "", "") {
				n++
			}
			return n
		}
		mustWrite(t, p, page("http://example.com/a", "a"))
		if n := stored(2 * time.Minute); n != 0 {
			t.Fatalf("a small segment is stored after two minutes: %d objects", n)
		}
		p.Hurry(5 * time.Second)
		if n := stored(time.Second); n != 2 {
			t.Errorf("%d objects a second after the hurry began, want a segment and its index", n)
		}
		mustWrite(t, p, page("http://example.com/b", "b"))
		if n := stored(6 * time.Second); n != 4 {
			t.Errorf("%d objects 6 s later, want two segments", n)
		}
		p.Hurry(0)
		mustWrite(t, p, page("http://example.com/c", "c"))
		if n := stored(4 * time.Minute); n != 4 {
			t.Errorf("%d objects 4 min after the hurry ended", n)
		}
	})
}

// awayStore is a Store that does not answer for a while.
type awayStore struct {
	storage.Store
	away atomic.Bool
	asks atomic.Int32
}

func (s *awayStore) Put(ctx context.Context, key string, b storage.Blob, o storage.PutOptions) (storage.Info, error) {
	s.asks.Add(1)
	if s.away.Load() {
		return storage.Info{}, salvor.Errorf(salvor.Unavailable, "the Store is away")
	}
	return s.Store.Put(ctx, key, b, o)
}

// TestStoreAway: work goes on without the Store, which is not stormed, and
// everything arrives when it is back.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig(t, t.TempDir())
		st := &awayStore{Store: mem.New()}
		st.away.Store(true)
		c.Store, c.MaxAge = st, time.Minute
		var heard atomic.Int32
		c.OnError = func(error) { heard.Add(1) }
		p, _, err := Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close(context.Background())
		for i := range 30 {
			mustWrite(t, p, page(fmt.Sprintf("http://example.com/%d", i), "a"))
			if err := p.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
		}
		if err := p.Seal(t.Context()); salvor.ClassOf(err) != salvor.Unavailable {
			t.Errorf("Seal: %v", err)
		}
		if n := heard.Load(); n < 10 || n > 200 {
			t.Errorf("OnError was called %d times in an hour", n)
		}
		st.away.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		n := 0
		for range st.List(t.Context(), "", "") {
			n++
		}
		if n != 60 {
			t.Errorf("%d objects of 60 are stored", n)
		}
	})
}

// TestSealFinishes: sealing that was interrupted at any of its steps is
// finished by the next Open, and reported once more.
func TestSealFinishes(t *testing.T) {
	for _, step := range []string{"sealed", "put", "stored"} {
		dir := t.TempDir()
		c := testConfig(t, dir)
		stop := errors.New("interrupted")
		st := &awayStore{Store: c.Store}
		c.Store = st
		switch step {
		case "sealed":
			c.OnSealed = func(context.Context, api.Segment) error { return stop }
		case "put":
			st.away.Store(true)
		case "stored":
			c.OnStored = func(context.Context, api.Segment) error { return stop }
		}
		p, _ := mustOpen(t, c)
		want := mustWrite(t, p, page("http://example.com/a", "a"))
		if err := p.Seal(t.Context()); err == nil {
			t.Fatalf("%s: no error", step)
		}
		p.Close(t.Context())
		var got []api.Segment
		st.away.Store(false)
		c.OnSealed = nil
		c.OnStored = func(_ context.Context, s api.Segment) error { got = append(got, s); return nil }
		p, rec := mustOpen(t, c)
		mustSeal(t, p)
		if len(got) != 1 || len(stored(t, dir)) != 1 {
			t.Errorf("%s: stored %v", step, got)
		}
		if len(rec.Entries) != 1 || rec.Entries[0].Place != want.Place {
			t.Fatalf("%s: recovered %+v", step, rec.Entries)
		}
		if b := string(readBlock(t, &rec.Entries[0])); !strings.HasSuffix(b, "\r\n\r\na") {
			t.Errorf("%s: block is %q", step, b)
		}
		if err := p.Settled(t.Context(), []Receipt{rec.Entries[0].Receipt()}); err != nil {
			t.Fatal(err)
		}
		if n := spooled(t, dir); len(n) != 0 {
			t.Errorf("%s: the spool holds %v", step, n)
		}
	}
}

// TestRecoveredFromStore: the spool's copy may be gone already.
func TestRecoveredFromStore(t *testing.T) {
	dir := t.TempDir()
	p, _ := mustOpen(t, testConfig(t, dir))
	mustWrite(t, p, page("http://example.com/a", "payload"))
	mustSeal(t, p)
	p.Close(t.Context())
	for _, f := range spooled(t, dir) {
		if strings.HasSuffix(f, ".gz") {
			if err := os.Remove(filepath.Join(dir, "spool", f)); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, rec := mustOpen(t, testConfig(t, dir))
	if len(rec.Entries) != 1 {
		t.Fatalf("recovered %+v", rec)
	}
	if b := string(readBlock(t, &rec.Entries[0])); !strings.HasSuffix(b, "payload") {
		t.Errorf("block is %q", b)
	}
}

// TestAdopt: a segment whose journal is gone is mended by its records alone.
func TestAdopt(t *testing.T) {
	dir := t.TempDir()
	p, _ := mustOpen(t, testConfig(t, dir))
	mustWrite(t, p, page("http://example.com/a", "payload"))
	mustWrite(t, p, page("http://example.com/b", "payload too"))
	p.Close(t.Context())
	for _, f := range spooled(t, dir) {
		path := filepath.Join(dir, "spool", f)
		if strings.HasSuffix(f, ".journal") {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		b := readFile(t, path)
		if err := os.WriteFile(path, b[:len(b)-10], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, rec := mustOpen(t, testConfig(t, dir))
	if len(rec.Segments) != 1 || rec.Segments[0].Cut == 0 || rec.Segments[0].Note == "" {
		t.Errorf("reported %+v", rec.Segments)
	}
	mustSeal(t, p)
	files := stored(t, dir)
	if len(files) != 1 {
		t.Fatal(files)
	}
	if got := strictly(t, files[0]); got["response"] != 2 || got["metadata"] != 1 {
		t.Errorf("records: %v", got)
	}
	var urls []string
	for _, l := range indexOf(t, files[0]) {
		rec, _ := memberAt(t, files[0], l.Offset, l.Length)
		urls = append(urls, l.URL+" "+rec.Get("WARC-Type")+" "+l.Mime+" "+l.Status)
	}
	want := []string{"http://example.com/a response text/html 200", "http://example.com/b response text/html 200"}
	if !slices.Equal(urls, want) {
		t.Errorf("index: %q", urls)
	}
}

func TestClosed(t *testing.T) {
	p, _ := mustOpen(t, testConfig(t, t.TempDir()))
	mustWrite(t, p, page("http://example.com/a", "a"))
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write(t.Context(), page("http://example.com/a", "a")); salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("Write: %v", err)
	}
	if err := p.Sync(t.Context()); salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("Sync: %v", err)
	}
}

func TestConfigRefused(t *testing.T) {
	good := testConfig(t, t.TempDir())
	for name, spoil := range map[string]func(*PoolConfig){
		"no dir":   func(c *PoolConfig) { c.Dir = "" },
		"no store": func(c *PoolConfig) { c.Store = nil },
		"prefix":   func(c *PoolConfig) { c.Prefix = "a/b" },
		"node":     func(c *PoolConfig) { c.Node = "a.b" },
		"level":    func(c *PoolConfig) { c.Level = 77 },
	} {
		c := good
		spoil(&c)
		if _, _, err := Open(t.Context(), c); salvor.ClassOf(err) != salvor.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
