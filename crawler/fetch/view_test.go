package fetch

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// captureOf is the capture of a made-up answer.
func captureOf(t *testing.T, cfg Config, url, head string, body []byte) *Capture {
	t.Helper()
	cfg.Resolver = zooNames{}
	c := newClient(t, cfg)
	near, far := net.Pipe()
	c.dialer.dial = func(context.Context, bool, netip.AddrPort) (net.Conn, error) { return near, nil }
	go func() {
		defer far.Close()
		far.Read(make([]byte, 4<<10))
		fmt.Fprintf(far, "HTTP/1.1 200 OK\r\n%s\r\n\r\n", head)
		far.Write(body)
	}()
	return get(t, c, url)
}

func gzipped(t *testing.T, r io.Reader) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.DefaultCompression)
	if _, err := io.Copy(w, r); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.Bytes()
}

// TestViewBomb: 64 KB that unpack to 64 MB give the view's limit.
func TestViewBomb(t *testing.T) {
	bomb := gzipped(t, io.LimitReader(zeros{}, 64<<20))
	c := captureOf(t, Config{}, "http://zoo.test/", "Content-Type: text/html\r\nContent-Encoding: gzip", bomb)
	if n := len(c.View()); n != 32<<20 {
		t.Errorf("view of %d bytes", n)
	}
	if fmt.Sprint(c.Notes) != "[view cut for link extraction]" {
		t.Errorf("notes %q", c.Notes)
	}
	c.Close()
	twice := gzipped(t, bytes.NewReader(bomb))
	c = captureOf(t, Config{}, "http://zoo.test/", "Content-Type: text/html\r\nContent-Encoding: gzip, gzip", twice)
	if n := len(c.View()); n != 32<<20 {
		t.Errorf("view of the double bomb: %d bytes", n)
	}
	c.Close()
	if n := len(largeViews); n != 0 {
		t.Errorf("%d slots are taken still", n)
	}
}

// TestViewTypes: there is a view where links can be, and nowhere else.
func TestViewTypes(t *testing.T) {
	packed := gzipped(t, strings.NewReader("<urlset/>"))
	for _, c := range []struct {
		url, head string
		body      []byte
		want      string // type, view type, charset, view
	}{
		{"/", "Content-Type: text/html;charset=x", []byte("<p>"), "text/html text/html x <p>"},
		{"/", "Content-Type: application/rss+xml", []byte("<rss>"), "application/rss+xml application/rss+xml  <rss>"},
		{"/", "Content-Type: image/svg+xml", []byte("<svg>"), "image/svg+xml image/svg+xml  <svg>"},
		{"/", "Content-Type: application/activity+json", []byte("{}"), "application/activity+json application/activity+json  {}"},
		{"/", "Content-Type: video/mp4", []byte("<p>"), "video/mp4   "},
		{"/", "X: y", []byte("<!doctype html>"), "text/html text/html  <!doctype html>"},
		{"/", "Content-Type: application/octet-stream", []byte("\x00\x01"), "application/octet-stream   "},
		{"/", "Content-Type: text/html", nil, "   "},
		{"/a.xml.gz?x", "Content-Type: application/gzip", packed, "application/gzip application/xml  <urlset/>"},
		{"/a.xml.gz", "Content-Type: text/xml", packed, "application/gzip application/xml  <urlset/>"},
		{"/a.xml.gz", "Content-Type: text/xml", []byte("<urlset/>"), "text/xml text/xml  <urlset/>"},
		{"/a.xml.gz", "Content-Type: application/gzip\r\nContent-Encoding: gzip", gzipped(t, bytes.NewReader(packed)), "application/gzip application/xml  <urlset/>"},
		{"/a.tar.gz", "Content-Type: application/gzip", packed, "application/gzip   "},
		{"/", "Transfer-Encoding: chunked\r\nContent-Type: text/css", []byte("3\r\n@im\r\n4\r\nport\r\n0\r\n\r\n"), "text/css text/css  @import"},
	} {
		got := captureOf(t, Config{}, "http://zoo.test"+c.url, c.head, c.body)
		if s := fmt.Sprintf("%s %s %s %s", got.Type, got.ViewType, got.ViewCharset, got.View()); s != c.want {
			t.Errorf("%s, %s: %q, want %q", c.url, c.head, s, c.want)
		}
	}
}

// TestViewBig: a page larger than a chunk, than the limit, and than memory.
func TestViewBig(t *testing.T) {
	page := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
	for _, memory := range []int64{chunkSize, 1 << 20} {
		for _, limit := range []int64{1000, 100_000, 1 << 20} {
			c := captureOf(t, Config{SpoolDir: t.TempDir(), SpoolMemory: memory, MaxView: limit}, "http://zoo.test/", "Content-Type: text/html", page)
			if want := page[:min(int64(len(page)), limit)]; !bytes.Equal(c.View(), want) {
				t.Errorf("limit %d, memory %d: view of %d bytes differs", limit, memory, len(c.View()))
			}
			if cut := len(c.Notes) > 0; cut != (limit < int64(len(page))) {
				t.Errorf("limit %d, memory %d: notes %q", limit, memory, c.Notes)
			}
		}
	}
}

// TestViewWithoutCopy: a page that lies together is not copied.
func TestViewWithoutCopy(t *testing.T) {
	c := captureOf(t, Config{}, "http://zoo.test/", "Content-Type: text/html", []byte("<p>here"))
	if v := c.View(); &v[0] != &c.Block.chunks[0][c.HeadLen] {
		t.Error("the view is a copy")
	}
}
