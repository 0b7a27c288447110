package access_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

const html = "Content-Type: text/html; charset=utf-8\r\n"

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func TestReplay(t *testing.T) {
	s := newShelf(t)
	s.page("http://a.test/", "2026-11-24T01:02:03.456Z", html+"Set-Cookie: a=b\r\nContent-Security-Policy: default-src *\r\n", "<p>first")
	s.page("http://a.test/", "2026-11-25T01:02:03Z", html, "<p>second")
	s.page("http://a.test/zip", "2026-11-24T01:02:04Z", html+"Content-Encoding: gzip\r\n", gzipped("<p>zipped"))
	s.page("http://a.test/chunks", "2026-11-24T01:02:05Z", html+"Transfer-Encoding: chunked\r\n", "4\r\n<p>i\r\n5;x=y\r\nn two\r\n0\r\n\r\n")
	s.page("http://a.test/notchunks", "2026-11-24T01:02:05Z", html+"Transfer-Encoding: chunked\r\n", "<p>not in chunks")
	s.page("http://a.test/Video?A=1", "2026-11-24T01:02:06Z", "Content-Type: video/mp4\r\n", "0123456789")
	s.page("http://a.test/video?a=1", "2026-11-24T01:02:06Z", "Content-Type: video/mp4\r\n", "abcdefghij")
	s.record("response", "http://a.test/moved", "2026-11-24T01:02:07Z", "application/http;msgtype=response", "HTTP/1.1 301 Moved\r\nLocation: /Video?A=1\r\n\r\n")
	s.status("301")
	s.record("resource", "http://a.test/r", "2026-11-24T01:02:08Z", "text/plain", "a resource")
	srv := served(t, s.open())
	coll := srv.URL + "/town/"

	for _, c := range []struct {
		name, path string
		head       []string
		status     int
		body       string
		want       map[string]string
	}{
		{"as it was", "20261124010203id_/http://a.test/", nil, 200, "<p>first", map[string]string{
			"Content-Type": "text/html; charset=utf-8", "Memento-Datetime": "Tue, 24 Nov 2026 01:02:03 GMT", "Set-Cookie": "", "X-Archive-Orig-Set-Cookie": "a=b",
			"X-Archive-Orig-Content-Security-Policy": "default-src *", "Content-Length": "8"}},
		{"without a modifier", "20261124010203/http://a.test/", nil, 200, "<p>first", nil},
		{"one slash", "20261124010203id_/http:/a.test/", nil, 200, "<p>first", nil},
		{"escaped", "20261124010203id_/http%3A%2F%2Fa.test%2F", nil, 200, "<p>first", nil},
		{"another time", "2027id_/http://a.test/", nil, 302, "", map[string]string{"Location": coll + "20261125010203id_/http://a.test/"}},
		{"another scheme", "20261124010203id_/https://a.test/", nil, 200, "<p>first", nil},
		{"gzip undone", "20261124010204id_/http://a.test/zip", nil, 200, "<p>zipped", map[string]string{"Content-Encoding": "", "X-Archive-Orig-Content-Encoding": "gzip"}},
		{"gzip as it is", "20261124010204id_/http://a.test/zip", []string{"Accept-Encoding", "br, gzip"}, 200, gzipped("<p>zipped"), map[string]string{"Content-Encoding": "gzip"}},
		{"chunks undone", "20261124010205id_/http://a.test/chunks", nil, 200, "<p>in two", nil},
		{"chunks that are none", "20261124010205id_/http://a.test/notchunks", nil, 200, "<p>not in chunks", nil},
		{"letters count", "20261124010206id_/http://a.test/Video?A=1", nil, 200, "0123456789", map[string]string{"Accept-Ranges": "bytes"}},
		{"letters count 2", "20261124010206id_/http://a.test/video?a=1", nil, 200, "abcdefghij", nil},
		{"another writing", "20261124010206id_/http://A.test/VIDEO?a=1", nil, 302, "", map[string]string{"Location": coll + "20261124010206id_/http://a.test/Video?A=1"}},
		{"a range", "20261124010206id_/http://a.test/Video?A=1", []string{"Range", "bytes=2-4"}, 206, "234", map[string]string{"Content-Range": "bytes 2-4/10", "Content-Length": "3"}},
		{"its end", "20261124010206id_/http://a.test/Video?A=1", []string{"Range", "bytes=-3"}, 206, "789", nil},
		{"beyond", "20261124010206id_/http://a.test/Video?A=1", []string{"Range", "bytes=10-"}, 416, "", map[string]string{"Content-Range": "bytes */10"}},
		{"a range of chunks", "20261124010205id_/http://a.test/chunks", []string{"Range", "bytes=3-4"}, 206, "in", map[string]string{"Content-Range": "bytes 3-4/9"}},
		{"moved", "20261124010207id_/http://a.test/moved", nil, 301, "", map[string]string{"Location": coll + "20261124010207id_/http://a.test/Video?A=1", "X-Archive-Orig-Location": "/Video?A=1"}},
		{"resource", "20261124010208id_/http://a.test/r", nil, 200, "a resource", map[string]string{"Content-Type": "text/plain"}},
		{"none", "20261124010208id_/http://a.test/none", nil, 404, "", nil},
		{"no time", "20261301010208id_/http://a.test/", nil, 400, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, body := ask(t, coll+c.path, c.head...)
			if resp.StatusCode != c.status || c.body != "" && body != c.body {
				t.Errorf("%d %q, want %d %q", resp.StatusCode, body, c.status, c.body)
			}
			for k, v := range c.want {
				if got := resp.Header.Get(k); got != v {
					t.Errorf("%s is %q, want %q", k, got, v)
				}
			}
			if resp.StatusCode == 200 && !strings.HasPrefix(resp.Header.Get("Content-Security-Policy"), "sandbox;") {
				t.Errorf("it may act as a page of ours: %q", resp.Header)
			}
		})
	}
}

// TestRevisits: the payload is that of what they refer to, in the same URL and in
// another; what is not here is named.
func TestRevisits(t *testing.T) {
	s := newShelf(t)
	s.page("http://a.test/", "2026-11-24T01:02:03.456Z", html+"Content-Encoding: gzip\r\n", gzipped("<p>same"))
	sum := s.lines[0].Digest
	revisit := func(url, date, toURL, toDate string) {
		s.record("revisit", url, date, "application/http;msgtype=response", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-New: yes\r\n\r\n",
			"WARC-Refers-To-Target-URI: "+toURL, "WARC-Refers-To-Date: "+toDate)
		s.lines[len(s.lines)-1].Digest = sum
	}
	revisit("http://a.test/", "2026-11-25T01:02:03Z", "http://a.test/", "2026-11-24T01:02:03.456Z")
	revisit("http://b.test/copy", "2026-11-25T01:02:04Z", "http://a.test/", "2026-11-24T01:02:03.456Z")
	revisit("http://b.test/lost", "2026-11-25T01:02:05Z", "http://c.test/", "2026-11-24T01:02:03.456Z")
	c := s.open()
	srv := served(t, c)
	for _, path := range []string{"20261125010203id_/http://a.test/", "20261125010204id_/http://b.test/copy"} {
		resp, body := ask(t, srv.URL+"/town/"+path)
		if resp.StatusCode != 200 || body != "<p>same" || resp.Header.Get("X-Archive-Orig-X-New") != "yes" {
			t.Errorf("%s: %d %q %v", path, resp.StatusCode, body, resp.Header)
		}
	}
	resp, body := ask(t, srv.URL+"/town/20261125010205id_/http://b.test/lost")
	if resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "http://c.test/") {
		t.Errorf("what is not here: %d %s", resp.StatusCode, body)
	}
}

func TestFilesAndRecords(t *testing.T) {
	s := newShelf(t)
	first := s.page("http://a.test/", "2026-11-24T01:02:03Z", html, "<p>first")
	second := s.page("http://a.test/2", "2026-11-24T01:02:04Z", html, "<p>second")
	whole := s.file.String()
	srv := served(t, s.open())
	resp, body := ask(t, srv.URL+"/town/warc/"+segmentName)
	if resp.StatusCode != 200 || body != whole || resp.Header.Get("Content-Type") != "application/warc" {
		t.Errorf("the file: %d, %d bytes of %d, %v", resp.StatusCode, len(body), len(whole), resp.Header)
	}
	if _, body := ask(t, srv.URL+"/town/warc/"+segmentName, "Range", "bytes="+itoa(second.Offset)+"-"); body != whole[second.Offset:] {
		t.Error("the second record by its range")
	}
	if resp, body := ask(t, srv.URL+"/town/record/"+first.ID); resp.StatusCode != 200 || body != whole[:first.Length] {
		t.Errorf("the first record by its id: %d %q", resp.StatusCode, body)
	}
	if resp, _ := ask(t, srv.URL+"/town/record/"+first.ID, "Accept", "text/html"); resp.StatusCode != 302 || resp.Header.Get("Location") != srv.URL+"/town/20261124010203/http://a.test/" {
		t.Errorf("for a browser: %v", resp)
	}
	for _, path := range []string{"warc/..%2f..%2fetc%2fpasswd", "warc/none.warc.gz", "warc/%2e%2e.warc.gz", "record/urn:uuid:00000000-0000-0000-0000-000000000000"} {
		if resp, _ := ask(t, srv.URL+"/town/"+path); resp.StatusCode != 404 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
