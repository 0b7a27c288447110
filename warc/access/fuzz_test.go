package access_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salvor/storage"
	"salvor/storage/mem"
	"salvor/warc"
	"salvor/warc/access"
	"salvor/warc/cdx"
	"salvor/warc/cdx/index"
)

// hostile makes a collection whose one file holds any bytes, and an index that says a
// record of http://a.test/ begins at an offset.
func hostile(t testing.TB, b []byte, off int64, mime string) *access.Collection {
	t.Helper()
	store := mem.New()
	l := cdx.Line{Key: cdx.SURT("http://a.test/"), Timestamp: "20261124010203", URL: "http://a.test/", Mime: mime, Status: "200", Offset: off, Filename: segmentName}
	for key, b := range map[string][]byte{warc.Key(segmentName): b, warc.CDXJKey(segmentName): l.Append(nil)} {
		if _, err := store.Put(t.Context(), key, storage.BytesBlob(b), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	x, err := index.OpenMemory()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	c := &access.Collection{Name: "town", Index: x, Store: store}
	if _, err := c.Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// serveBroken serves, and says whether the answer was broken off.
func serveBroken(h http.Handler, w http.ResponseWriter, r *http.Request) (broken bool) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			panic(p)
		} else {
			broken = p != nil
		}
	}()
	h.ServeHTTP(w, r)
	return false
}

// visitAll asks for everything there is about the record: nothing may panic, hang, or
// be without the sandbox.
func visitAll(t *testing.T, c *access.Collection) {
	t.Helper()
	s := &access.Server{Collections: access.Of(c)}
	for _, path := range []string{"20261124010203id_/http://a.test/", "20261124010203/http://a.test/", "timemap/link/http://a.test/", "?url=http://a.test/", "*/http://a.test/", "cdx?url=a.test&fl=url,mime"} {
		for _, head := range [][2]string{{"Accept-Encoding", "gzip, br"}, {"Range", "bytes=5-9"}} {
			r := httptest.NewRequest(http.MethodGet, "/town/"+path, nil)
			r.Header.Set(head[0], head[1])
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			w := httptest.NewRecorder()
			w.Body = nil // a bomb is read, not held
			broken := serveBroken(s, w, r.WithContext(ctx))
			if ctx.Err() != nil {
				t.Fatalf("%s takes longer than 10 s", path)
			}
			cancel()
			if h := w.Header(); !broken && w.Code == http.StatusOK && strings.Contains(path, "/http") && strings.HasPrefix(path, "2026") && !strings.HasPrefix(h.Get("Content-Security-Policy"), "sandbox;") {
				t.Errorf("%s may act as a page of ours: %v", path, h)
			}
		}
	}
	x, ok, err := c.Closest(t.Context(), "http://a.test/", time.Now())
	if err != nil || !ok {
		return
	}
	_, _, _, _ = c.Text(t.Context(), x)
	_, _ = c.GroupOf(t.Context(), x)
}

// TestPublicVectors: the public valid and invalid files do no harm, read at their
// beginning and in their middle.
func TestPublicVectors(t *testing.T) {
	files, err := filepath.Glob("../../../shared/testdata/warc/*")
	if err != nil || len(files) == 0 {
		t.Skip("LOUD: the shared vectors are absent, nothing was tested here")
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, off := range []int64{0, int64(len(b) / 2), int64(len(b)), int64(len(b)) + 1} {
			visitAll(t, hostile(t, b, off, "text/html"))
		}
	}
}

// TestBomb: a body that unpacks to gigabytes costs time while somebody reads it, and no
// memory.
func TestBomb(t *testing.T) {
	var bomb bytes.Buffer
	gz, err := gzip.NewWriterLevel(&bomb, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 200 {
		if _, err := gz.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	s := newShelf(t)
	s.page("http://a.test/", "2026-11-24T01:02:03Z", html+"Content-Encoding: gzip\r\n", bomb.String())
	c := s.open()
	visitAll(t, c)
	x, _, err := c.Closest(t.Context(), "http://a.test/", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, text, _, err := c.Text(t.Context(), x); err != nil || len(text) > 17<<20 {
		t.Errorf("%d bytes of text, %v", len(text), err)
	}
}

func FuzzRecord(f *testing.F) {
	head := "WARC/1.1\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:00000001-e6b3-4d27-967d-34780c58ba39>\r\nWARC-Target-URI: http://a.test/\r\nContent-Type: application/http;msgtype=response\r\n"
	for _, block := range []string{
		"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>x", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08", "HTTP/1.1 301 X\r\nLocation: javascript:x\r\nX\x00Y: z\r\n\r\n", "HTTP/1.1 200\r\nA: b", "\x16\x03\x01",
	} {
		f.Add([]byte(head+fmt.Sprintf("Content-Length: %d\r\n\r\n%s\r\n\r\n", len(block), block)), "text/html")
	}
	f.Add([]byte(strings.Replace(head, "response", "revisit", 1)+"WARC-Refers-To-Target-URI: http://a.test/\r\nWARC-Refers-To-Date: 2026-11-24T01:02:03Z\r\nContent-Length: 0\r\n\r\n\r\n\r\n"), "warc/revisit")
	f.Fuzz(func(t *testing.T, b []byte, mime string) { visitAll(t, hostile(t, b, 0, mime)) })
}

func FuzzQuery(f *testing.F) {
	f.Add("cdx?url=a.test&filter=~url:.*&collapse=timestamp:4&limit=-1&from=2026")
	f.Add("20261124010203id_/http:/a.test/%00")
	f.Add("timemap/json/%zz")
	f.Add("record/urn:uuid:x")
	f.Add("warc/../x.warc.gz")
	f.Add("?url=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&matchType=host")
	s := newShelf(f)
	s.page("http://a.test/", "2026-11-24T01:02:03Z", html, "<p>x")
	h := &access.Server{Collections: access.Of(s.open())}
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequest(http.MethodGet, "/town/", nil)
		r.RequestURI = "/town/" + path
		w := httptest.NewRecorder()
		if serveBroken(h, w, r) {
			t.Errorf("%q is broken off", path)
		}
		body, err := io.ReadAll(w.Result().Body)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") && bytes.Contains(body, []byte("<script")) {
			t.Errorf("%q puts a script into a page", path)
		}
	})
}
