package site

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

func TestEveryPageIsReachable(t *testing.T) {
	for _, n := range []int{1, 2, 7, 50, 3000} {
		s := Site{Pages: n}
		seen := make([]bool, n)
		seen[0] = true
		queue := []int{0}
		for len(queue) > 0 {
			i := queue[0]
			queue = queue[1:]
			for _, j := range s.Targets(i) {
				if !seen[j] {
					seen[j] = true
					queue = append(queue, j)
				}
			}
		}
		for i, ok := range seen {
			if !ok {
				t.Errorf("%d pages: page %d cannot be reached", n, i)
			}
		}
	}
}

func TestPagesLookLikePages(t *testing.T) {
	s := Site{Pages: 3000}
	link := regexp.MustCompile(`<a class="link internal" rel="bookmark" href="([^"]+)"`)
	var raw, packed int
	for i := 0; i < s.Pages; i += 71 {
		page := s.Page(i)
		if got := len(link.FindAll(page, -1)); got != Links {
			t.Errorf("page %d has %d links, want %d", i, got, Links)
		}
		if len(page) < pageSize || len(page) > pageSize+2048 {
			t.Errorf("page %d has %d bytes", i, len(page))
		}
		raw += len(page)
		packed += gzipped(t, page)
	}
	if ratio := float64(packed) / float64(raw); ratio < 0.22 || ratio > 0.26 {
		t.Errorf("pages compress to %.3f of their size, want 0.22 to 0.26", ratio)
	}
}

func gzipped(t *testing.T, p []byte) int {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Len()
}

// TestSameEverywhere pins the bytes: results of benches are compared over
// months and machines.
func TestSameEverywhere(t *testing.T) {
	h := sha256.New()
	s := Site{Pages: 20000}
	for _, i := range []int{0, 1, 999, 1000, 19999} {
		h.Write(s.Page(i))
	}
	const want = "d497e181edfd15805984411aee89c85aa17d99ec3c70918820f0a5d65cf57a4e"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("pages changed: digest %s, want %s", got, want)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	s := Site{Pages: 1002}
	if err := s.Write(dir); err != nil {
		t.Fatal(err)
	}
	for i := range s.Pages {
		got, err := os.ReadFile(filepath.Join(dir, s.Path(i)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, s.Page(i)) {
			t.Fatalf("page %d differs on disk", i)
		}
	}
}
