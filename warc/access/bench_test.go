package access_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"salvor/warc/access"
)

// BenchmarkReplay replays a page of 22 KB through the handler, and reports how much that
// is beyond reading its record from the store.
func BenchmarkReplay(b *testing.B) {
	s := newShelf(b)
	body := strings.Repeat("<p>Some text of a page that is a little longer.</p>\n", 440)
	s.page("http://a.test/", "2026-11-24T01:02:03Z", html+"Content-Encoding: gzip\r\n", gzipped(body))
	c := s.open()
	h := &access.Server{Collections: access.Of(c)}
	r := httptest.NewRequest(http.MethodGet, "/town/20261124010203id_/http://a.test/", nil)
	var reading time.Duration
	b.ReportAllocs()
	for b.Loop() {
		began := time.Now()
		f, _, err := c.OpenSegment(b.Context(), segmentName, s.lines[0].Offset, s.lines[0].Length)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, f); err != nil {
			b.Fatal(err)
		}
		f.Close()
		reading += time.Since(began)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK || w.Body.Len() != len(body) {
			b.Fatal(w.Code, w.Body.Len())
		}
	}
	b.ReportMetric(float64((b.Elapsed()-2*reading).Microseconds())/float64(b.N), "us/beyond")
}
