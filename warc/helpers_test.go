package warc

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"salvor"
	"salvor/storage"
	"salvor/storage/file"
	"salvor/warc/cdx"
)

var testStart = time.Date(2026, 11, 24, 1, 2, 3, 456_000_000, time.UTC)

func testStore(t testing.TB, dir string) storage.Store {
	t.Helper()
	s, err := file.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// testConfig keeps spool and Store below one directory, as `salvor save` does.
func testConfig(t testing.TB, dir string) PoolConfig {
	return PoolConfig{
		Dir:   filepath.Join(dir, "spool"),
		Store: testStore(t, filepath.Join(dir, "store")),
		Node:  "test",
		Info: func(name string) Warcinfo {
			return Warcinfo{Software: "salvor/test", Operator: "A. Tester", Seeds: []string{"http://example.com/"}, UserAgent: "salvor"}
		},
		OnError: func(err error) { t.Log("background:", err) },
	}
}

func mustOpen(t testing.TB, c PoolConfig) (*Pool, Recovery) {
	t.Helper()
	p, rec, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	return p, rec
}

// exchange makes a capture of a page.
func exchange(url, head, body string) *Exchange {
	block := []byte(head + body)
	e := &Exchange{
		URL: url, Begin: testStart, Duration: 30 * time.Millisecond, IP: "127.0.0.5",
		Request:  []byte("GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: salvor\r\n\r\n"),
		Response: BytesBlock(block), HeadLen: len(head), Status: 200,
		HasPayload: len(body) > 0, PayloadDigest: sha1.Sum([]byte(body)), BlockDigest: sha256.Sum256(block),
		Protocol: []string{"http/1.1", "tls/1.3"}, Cipher: "TLS_AES_128_GCM_SHA256",
		Journal: Entry{Crawl: 1, Host: "example.com", Outcome: salvor.Saved, Lease: 77},
	}
	return e
}

func page(url, body string) *Exchange {
	e := exchange(url, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n", len(body)), body)
	e.Type = "text/html"
	e.Metadata = &Metadata{Via: "http://example.com/", Path: "LL", FetchMS: 30, Title: "A page", Outlinks: []Outlink{
		{URL: "http://example.com/next", Hop: 'L', Context: "a/@href"},
		{URL: "http://example.com/i.png", Hop: 'E', Context: "img/@src"},
	}}
	return e
}

func mustWrite(t testing.TB, p *Pool, e *Exchange) Receipt {
	t.Helper()
	r, err := p.Write(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustSeal(t testing.TB, p *Pool) {
	t.Helper()
	if err := p.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// stored lists the segments in a file Store.
func stored(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "store", "warc", "*.warc.gz"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func spooled(t testing.TB, dir string) []string {
	t.Helper()
	es, err := os.ReadDir(filepath.Join(dir, "spool"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range es {
		if e.Name() != serialFile {
			names = append(names, e.Name())
		}
	}
	return names
}

// words is text that compresses like a page.
func words(rng *rand.Rand, n int) string {
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "<p class=\"c%d\">%x the quick brown <a href=\"/p/%d\">fox</a></p>\n", rng.IntN(9), rng.Uint32(), rng.IntN(1e6))
	}
	return b.String()[:n]
}

// sharedData gives a file of the vectors shared between projects, which are not
// part of this repository: SALVOR_TESTDATA names their directory.
func sharedData(t testing.TB, elem ...string) string {
	t.Helper()
	dir := os.Getenv("SALVOR_TESTDATA")
	path := filepath.Join(append([]string{dir}, elem...)...)
	if _, err := os.Stat(path); dir == "" || err != nil {
		t.Skipf("LOUD: the shared vectors %s are absent (SALVOR_TESTDATA names their directory): nothing was tested here", filepath.Join(elem...))
	}
	return path
}

func readBlock(t testing.TB, r *Recovered) []byte {
	t.Helper()
	b, err := r.Response(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(b); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// indexOf reads the CDXJ beside a stored segment.
func indexOf(t testing.TB, path string) (lines []cdx.Line) {
	t.Helper()
	f, err := os.Open(strings.TrimSuffix(path, ".warc.gz") + ".cdxj")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := cdx.Read(f, func(l cdx.Line) error { lines = append(lines, l); return nil }); err != nil {
		t.Fatal(err)
	}
	return lines
}

// memberAt reads a range that must be exactly one gzip member of one record.
func memberAt(t testing.TB, path string, off, n int64) (*Record, []byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := NewReader(io.NewSectionReader(f, off, n), off, func(off int64, id, text string) { t.Errorf("%s at %d: %s", path, off, text) })
	rec, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	block, err := io.ReadAll(rec.Block)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("%s: range %d+%d holds more than a record: %v", path, off, n, err)
	}
	return rec, block
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
