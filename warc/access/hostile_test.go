package access_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestBoundedHeads: a head without end, or folded a million times, costs neither memory
// nor time; nor do content codings without number.
func TestBoundedHeads(t *testing.T) {
	s := newShelf(t)
	s.page("http://a.test/line", "2026-11-24T01:02:03Z", "X-Long: "+strings.Repeat("a", 64<<20)+"\r\n", "<p>x")
	s.page("http://a.test/fold", "2026-11-24T01:02:03Z", "X-Fold: a\r\n"+strings.Repeat(" b\r\n", 200_000), "<p>x")
	s.page("http://a.test/codings", "2026-11-24T01:02:03Z", "Content-Encoding: "+strings.Repeat("br,", 200_000)+"br\r\n", "<p>x")
	s.record("response", "http://a.test/wfold", "2026-11-24T01:02:03Z", "application/http", "HTTP/1.1 200 OK\r\n\r\n<p>x", "X-Fold: a\r\n"+strings.Repeat(" b\r\n", 200_000)+"X-End: a")
	srv := served(t, s.open())
	for path, want := range map[string]int{"line": 500, "fold": 200, "codings": 200, "wfold": 200} {
		began := time.Now()
		resp, _ := ask(t, srv.URL+"/town/20261124010203id_/http://a.test/"+path)
		if resp.StatusCode != want || time.Since(began) > 5*time.Second {
			t.Errorf("%s: %d after %v", path, resp.StatusCode, time.Since(began))
		}
	}
}

// TestBrokenOff: half an answer does not look whole, and a range that a cut body does
// not have is an error.
func TestBrokenOff(t *testing.T) {
	s := newShelf(t)
	text := make([]string, 20_000)
	for i := range text {
		text[i] = fmt.Sprint(i * 7919)
	}
	zipped := gzipped(strings.Join(text, " "))
	s.page("http://a.test/zip", "2026-11-24T01:02:03Z", html+"Content-Encoding: gzip\r\n", zipped[:len(zipped)/2])
	s.page("http://a.test/chunks", "2026-11-24T01:02:03Z", html+"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\nxx\r\n")
	srv := served(t, s.open())
	for _, path := range []string{"zip", "chunks"} {
		resp, err := http.DefaultTransport.(*http.Transport).Clone().RoundTrip(must(t, srv.URL+"/town/20261124010203id_/http://a.test/"+path))
		if err != nil {
			continue // broken off before the head
		}
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s looks whole: %d, %v", path, resp.StatusCode, err)
		}
		resp.Body.Close()
	}
}

func must(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	return r
}

// TestExactTimes: what was answered with an error is replayed at its own time; at a time
// far away the newest or the oldest is, whatever that was.
func TestExactTimes(t *testing.T) {
	s := newShelf(t)
	s.page("http://a.test/", "2026-01-01T00:00:00Z", html, "<p>page")
	s.record("response", "http://a.test/", "2026-01-01T06:00:00Z", "application/http;msgtype=response", "HTTP/1.1 404 Not Found\r\n\r\n<p>gone")
	s.status("404")
	s.page("http://a.test/", "2026-06-01T00:00:00Z", html, "<p>newer")
	srv := served(t, s.open())
	for path, want := range map[string]string{
		"20260101060000": "404 <p>gone", "20260101000000": "200 <p>page",
		"20260101070000": "/town/20260101000000id_/", "9999": "/town/20260601000000id_/", "0001": "/town/20260101000000id_/", "20260101000000123": "/town/20260101000000id_/",
	} {
		resp, body := ask(t, srv.URL+"/town/"+path+"id_/http://a.test/")
		got := fmt.Sprint(resp.StatusCode, " ", body)
		if l := resp.Header.Get("Location"); l != "" {
			got = strings.TrimSuffix(strings.TrimPrefix(l, srv.URL), "http://a.test/")
		}
		if got != want {
			t.Errorf("at %s: %s, want %s", path, got, want)
		}
	}
}

// TestOddAddresses: our own records, and a % that escapes nothing.
func TestOddAddresses(t *testing.T) {
	s := newShelf(t)
	s.record("resource", "urn:salvor:town:round-1:report.json", "2026-01-01T00:00:00Z", "application/json", "{}")
	s.record("resource", "dns:a.test", "2026-01-01T00:00:00Z", "text/dns", "a.test. 60 IN A 127.0.0.1")
	s.page("http://a.test/100%/x?%zz", "2026-01-01T00:00:00Z", html, "<p>percent")
	s.page("http://a.test/%2541", "2026-01-01T00:00:00Z", html, "<p>escaped")
	srv := served(t, s.open())
	for path, want := range map[string]string{
		"urn:salvor:town:round-1:report.json": "{}", "dns:a.test": "a.test. 60 IN A 127.0.0.1", "http://a.test/100%25/x?%25zz": "<p>percent", "http://a.test/%2541": "<p>escaped",
	} {
		if resp, body := ask(t, srv.URL+"/town/20260101000000id_/"+path); resp.StatusCode != 200 || body != want {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	if _, body := ask(t, srv.URL+"/town/timemap/link/http://a.test/100%25/x?%25zz"); !strings.Contains(body, "/town/20260101000000/http://a.test/100%25/x?%25zz>") {
		t.Errorf("%s", body)
	}
}

// TestNoCircle: an address that no client can send as it was recorded is answered, and
// does not lead to itself for ever.
func TestNoCircle(t *testing.T) {
	s := newShelf(t)
	s.page("http://a.test/a b", "2026-01-01T00:00:00Z", html, "<p>blank")
	s.page("http://a.test/\u00fc", "2026-01-01T00:00:00Z", html, "<p>umlaut")
	srv := served(t, s.open())
	for path, want := range map[string]string{"a%20b": "<p>blank", "%C3%BC": "<p>umlaut"} {
		if resp, body := ask(t, srv.URL+"/town/20260101000000id_/http://a.test/"+path); resp.StatusCode != 200 || body != want {
			t.Errorf("%s: %d %s %v", path, resp.StatusCode, body, resp.Header)
		}
	}
}

// TestNothingActs: what was recorded tells no proxy and no browser what to do, and no
// page of elsewhere may read it.
func TestNothingActs(t *testing.T) {
	s := newShelf(t)
	s.page("http://a.test/", "2026-01-01T00:00:00Z", html+"X-Accel-Redirect: /etc/passwd\r\nCache-Control: public\r\nContent-Type: text/plain\r\nLast-Modified: a\x00b\r\nAccess-Control-Allow-Origin: *\r\n", "<p>x")
	c := s.open()
	resp, _ := ask(t, served(t, c).URL+"/town/20260101000000id_/http://a.test/", "Origin", "http://evil.test")
	for _, name := range []string{"X-Accel-Redirect", "Cache-Control", "Access-Control-Allow-Origin"} {
		if v := resp.Header.Get(name); v != "" {
			t.Errorf("%s: %s", name, v)
		}
	}
	if h := resp.Header; h.Get("X-Archive-Orig-X-Accel-Redirect") != "/etc/passwd" || len(h.Values("Content-Type")) != 1 || h.Get("Last-Modified") != "ab" {
		t.Errorf("%v", h)
	}
}

// TestAbsurdNumbers: no number that is asked for breaks anything.
func TestAbsurdNumbers(t *testing.T) {
	s := newShelf(t)
	s.page("http://a.test/", "2026-01-01T00:00:00Z", "Content-Type: text/plain\r\n", "0123456789")
	srv := served(t, s.open())
	for path, want := range map[string]int{
		"cdx?url=a.test&closest=2020&limit=9223372036854775807": 400, "cdx?url=a.test&sort=closest&closest=2020&offset=9223372036854775807": 400,
		"cdx?url=a.test&sort=closest&closest=2020&offset=1000000": 400, "cdx?url=a.test&limit=-2000000": 400, "cdx?url=a.test&offset=1000000": 200,
		"wasapi/v1/webdata?page=9223372036854775807&page_size=2000": 400, "wasapi/v1/webdata?page=1000000&page_size=2000": 200,
		"cdx?url=a.test&filter=~url:(?:.{0,30}){0,33}z": 400, "cdx?url=a.test&filter=~url:.*a.*": 200,
	} {
		if resp, body := ask(t, srv.URL+"/town/"+path); resp.StatusCode != want {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	for spec, want := range map[string]string{
		"bytes=--5": "200 0123456789", "bytes=+1-2": "200 0123456789", "bytes=99999999999999999999-": "416 ", "bytes=-99999999999999999999": "206 0123456789", "bytes=5-99999999999999999999": "206 56789", "bytes=-": "200 0123456789",
	} {
		resp, body := ask(t, srv.URL+"/town/20260101000000id_/http://a.test/", "Range", spec)
		if got := fmt.Sprint(resp.StatusCode, " ", body); got != want {
			t.Errorf("%s: %s, want %s", spec, got, want)
		}
	}
	if resp, body := ask(t, srv.URL+"/town?url=a.test"); resp.StatusCode != 200 || !strings.HasPrefix(body, "test,a)/ ") {
		t.Errorf("OutbackCDX' form: %d %s", resp.StatusCode, body)
	}
}

// TestForgedRecord: an index that gives another record for an id is not believed.
func TestForgedRecord(t *testing.T) {
	s := newShelf(t)
	s.page("http://a.test/", "2026-01-01T00:00:00Z", html, "<p>x")
	s.lines[0].ID = "urn:uuid:99999999-e6b3-4d27-967d-34780c58ba39"
	if resp, body := ask(t, served(t, s.open()).URL+"/town/record/"+s.lines[0].ID); resp.StatusCode != 404 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// TestGrownFiles: a file and its index that were still being copied are read anew.
func TestGrownFiles(t *testing.T) {
	s := newShelf(t)
	s.page("http://a.test/1", "2026-01-01T00:00:00Z", html, "<p>one")
	c := s.open()
	srv := served(t, c)
	if resp, _ := ask(t, srv.URL+"/town/20260101000000id_/http://a.test/1"); resp.StatusCode != 200 {
		t.Fatal(resp.StatusCode)
	}
	s.page("http://a.test/2", "2026-01-01T00:00:00Z", html, "<p>two")
	for _, key := range []string{"warc/" + segmentName, "warc/" + strings.TrimSuffix(segmentName, ".warc.gz") + ".cdxj"} {
		if err := s.store.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	s.open() // stores both again
	if _, err := c.Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	if resp, body := ask(t, srv.URL+"/town/20260101000000id_/http://a.test/2"); resp.StatusCode != 200 || body != "<p>two" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}
