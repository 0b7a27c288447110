package access_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/base32"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"salvor/storage"
	"salvor/storage/mem"
	"salvor/warc/access"
	"salvor/warc/cdx"
	"salvor/warc/cdx/index"
)

// shelf makes a collection of records that a test writes byte by byte.
type shelf struct {
	t     testing.TB
	store storage.Store
	file  bytes.Buffer
	lines []cdx.Line
	n     int
}

func newShelf(t testing.TB) *shelf { return &shelf{t: t, store: mem.New()} }

const segmentName = "test-20261124010203456-00001-n.warc.gz"

// record writes one, and its index line.
func (s *shelf) record(kind, url, date, contentType, block string, fields ...string) cdx.Line {
	s.t.Helper()
	s.n++
	id := fmt.Sprintf("urn:uuid:%08x-e6b3-4d27-967d-34780c58ba39", s.n)
	text := "WARC/1.1\r\nWARC-Type: " + kind + "\r\nWARC-Record-ID: <" + id + ">\r\nWARC-Date: " + date + "\r\nWARC-Target-URI: " + url + "\r\nContent-Type: " + contentType + "\r\n"
	for _, f := range fields {
		text += f + "\r\n"
	}
	text += fmt.Sprintf("Content-Length: %d\r\n\r\n%s\r\n\r\n", len(block), block)
	off := int64(s.file.Len())
	gz := gzip.NewWriter(&s.file)
	io.WriteString(gz, text)
	gz.Close()
	at := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, date)[:14]
	l := cdx.Line{Key: cdx.SURT(url), Timestamp: at, URL: url, Mime: "text/html", Status: "200", Offset: off, Length: int64(s.file.Len()) - off, Filename: segmentName, ID: id}
	if kind == "revisit" {
		l.Mime, l.Status = "warc/revisit", ""
	}
	s.lines = append(s.lines, l)
	return l
}

// page records an answer of status 200 with some head.
func (s *shelf) page(url, date, head, body string) cdx.Line {
	s.t.Helper()
	l := s.record("response", url, date, "application/http;msgtype=response", "HTTP/1.1 200 OK\r\n"+head+"\r\n"+body)
	sum := sha1.Sum([]byte(body))
	s.lines[len(s.lines)-1].Digest = base32.StdEncoding.EncodeToString(sum[:])
	return l
}

// status changes the status of the newest line.
func (s *shelf) status(v string) { s.lines[len(s.lines)-1].Status = v }

// open stores what was written and makes a collection of it.
func (s *shelf) open() *access.Collection {
	s.t.Helper()
	var lines bytes.Buffer
	if err := cdx.Write(&lines, s.lines); err != nil {
		s.t.Fatal(err)
	}
	for key, b := range map[string][]byte{"warc/" + segmentName: s.file.Bytes(), "warc/" + strings.TrimSuffix(segmentName, ".warc.gz") + ".cdxj": lines.Bytes()} {
		if _, err := s.store.Put(s.t.Context(), key, storage.BytesBlob(b), storage.PutOptions{}); err != nil {
			s.t.Fatal(err)
		}
	}
	x, err := index.OpenMemory()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { x.Close() })
	c := &access.Collection{Name: "town", Index: x, Store: s.store}
	if _, err := c.Update(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// served serves a collection.
func served(t testing.TB, c *access.Collection) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(&access.Server{Collections: access.Of(c)})
	t.Cleanup(s.Close)
	return s
}

// ask makes a request that follows nothing and decodes nothing.
func ask(t testing.TB, url string, head ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	c := http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}
