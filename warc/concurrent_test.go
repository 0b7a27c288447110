package warc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"salvor"
)

// TestLargeBodyBlocksNobody: while one body streams, others are written
// elsewhere, and a stream that is given up leaves nothing.
func TestLargeBodyBlocksNobody(t *testing.T) {
	dir := t.TempDir()
	p, _ := mustOpen(t, testConfig(t, dir))
	mustWrite(t, p, page("http://example.com/first", "a"))
	slow := &slowBlock{size: smallBlock + 10, at: make(chan struct{}), on: make(chan struct{})}
	e := page("http://example.com/slow", "")
	e.Response, e.HeadLen, e.HasPayload, e.BlockDigest = slow, 0, false, [32]byte{1}
	ctx, cancel := context.WithCancelCause(t.Context())
	failed := make(chan error)
	go func() {
		_, err := p.Write(ctx, e)
		failed <- err
	}()
	<-slow.at
	for i := range 5 {
		mustWrite(t, p, page(fmt.Sprintf("http://example.com/%d", i), "b"))
	}
	if err := p.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	cancel(errors.New("operator stopped"))
	close(slow.on)
	if err := <-failed; salvor.ClassOf(err) != salvor.Interrupted {
		t.Errorf("the slow write: %v", err)
	}
	mustSeal(t, p)
	n := 0
	for _, f := range stored(t, dir) {
		n += strictly(t, f)["response"]
	}
	if n != 6 {
		t.Errorf("%d responses of 6", n)
	}
}

// slowBlock gives half of itself, says so, and waits.
type slowBlock struct {
	size   int
	at, on chan struct{}
}

func (b *slowBlock) Size() int64 { return int64(b.size) }
func (b *slowBlock) ReadAt(p []byte, off int64) (int, error) {
	return copy(p, "xxxxx"), nil
}

func (b *slowBlock) WriteTo(w io.Writer) (int64, error) {
	half := make([]byte, b.size/2)
	rng := rand.NewChaCha8([32]byte{})
	rng.Read(half)
	n, err := w.Write(half)
	if err != nil {
		return int64(n), err
	}
	close(b.at)
	<-b.on
	m, err := w.Write(make([]byte, b.size-len(half)))
	for err == nil { // until the context is looked at
		_, err = w.Write(half)
	}
	return int64(n + m), err
}

// TestManyWriters is for the race detector, and counts what arrives.
func TestManyWriters(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(t, dir)
	c.MaxSize, c.Writers = 60_000, 3
	p, _ := mustOpen(t, c)
	const writers, each = 8, 25
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for i := range each {
				body := words(rng, 3000)
				if i == 10 {
					body = strings.Repeat("large ", smallBlock/6+10)
				}
				r, err := p.Write(t.Context(), page(fmt.Sprintf("http://example.com/%d/%d", w, i), body))
				if err == nil {
					err = p.Sync(t.Context())
				}
				if err == nil {
					err = p.Settled(t.Context(), []Receipt{r})
				}
				if err == nil && i%10 == 0 {
					err = p.WriteDNS(t.Context(), "example.com", testStart, "", "x")
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	mustSeal(t, p)
	seen := map[string]int{}
	for _, f := range stored(t, dir) {
		for _, l := range indexOf(t, f) {
			seen[l.URL]++
		}
	}
	for w := range writers {
		for i := range each {
			if url := fmt.Sprintf("http://example.com/%d/%d", w, i); seen[url] != 1 {
				t.Errorf("%s is indexed %d times", url, seen[url])
			}
		}
	}
	if n := spooled(t, dir); len(n) != 0 {
		t.Errorf("the spool holds %v", n)
	}
}
