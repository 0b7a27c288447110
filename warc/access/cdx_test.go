package access_test

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestCDX plays requests to the CDX server, one a line in testdata/cdx; the host's
// address stands as HOST in what comes back.
func TestCDX(t *testing.T) {
	s := newShelf(t)
	for i, at := range []string{"2024-01-01T00:00:00Z", "2025-06-01T12:00:00Z", "2025-06-02T12:00:00Z", "2026-11-24T01:02:03Z"} {
		s.page("http://example.com/", at, html, []string{"one", "same", "same", "two"}[i])
	}
	s.page("http://example.com/News/A", "2025-06-01T12:00:00Z", html, "upper")
	s.page("http://example.com/news/a", "2025-06-01T12:00:01Z", html, "lower")
	s.page("http://example.com/pic.png", "2025-06-01T12:00:02Z", html, "png")
	s.lines[len(s.lines)-1].Mime = "image/png"
	s.page("http://example.com/gone", "2025-06-01T12:00:03Z", html, "404")
	s.status("404")
	s.page("https://blog.example.com/a?z=1&b=2", "2025-06-01T12:00:04Z", html, "blog")
	s.page("http://example.com-evil.test/", "2025-06-01T12:00:05Z", html, "evil")
	s.page("http://exampleb.com/", "2025-06-01T12:00:06Z", html, "other")
	srv := served(t, s.open())
	datadriven.RunTest(t, "testdata/cdx", func(t *testing.T, d *datadriven.TestData) string {
		var out strings.Builder
		for line := range strings.Lines(d.Input) {
			resp, body := ask(t, srv.URL+"/town/"+strings.TrimSpace(line))
			if resp.StatusCode != 200 {
				out.WriteString(resp.Status + "\n")
			}
			out.WriteString(body)
			if more := resp.Trailer.Get("X-Resume-Key"); more != "" {
				out.WriteString("trailer: there is more\n")
			}
		}
		return strings.ReplaceAll(strings.ReplaceAll(out.String(), segmentName, "FILE"), srv.URL, "HOST")
	})
}

// TestResume: an answer that was cut goes on where it ended, to the last line, in both
// directions, and in pages.
func TestResume(t *testing.T) {
	s := newShelf(t)
	for i := range 100 {
		s.page("http://example.com/"+itoa(int64(i%10)), "2025-06-01T12:00:00Z", html, itoa(int64(i)))
	}
	srv := served(t, s.open())
	_, whole := ask(t, srv.URL+"/town/cdx?url=example.com&matchType=host&fl=url,digest")
	for _, more := range []string{"", "&sort=reverse"} {
		_, want := ask(t, srv.URL+"/town/cdx?url=example.com&matchType=host&fl=url,digest"+more)
		got, key := "", ""
		for n := 0; n < 20; n++ {
			resp, body := ask(t, srv.URL+"/town/cdx?url=example.com&matchType=host&fl=url,digest&limit=7&resumeKey="+key+more)
			got += body
			if key = resp.Trailer.Get("X-Resume-Key"); key == "" {
				break
			}
		}
		if got != want || strings.Count(got, "\n") != 100 {
			t.Errorf("%q: %d lines of %d, the same: %v", more, strings.Count(got, "\n"), strings.Count(want, "\n"), got == want)
		}
	}
	if _, body := ask(t, srv.URL+"/town/cdx?url=example.com&matchType=host&showNumPages=true"); body != `{"blocks": 1, "pages": 1, "pageSize": 5}`+"\n" {
		t.Errorf("pages: %s", body)
	}
	if _, body := ask(t, srv.URL+"/town/cdx?url=example.com&matchType=host&fl=url,digest&page=0"); body != whole {
		t.Error("the first page is not all of it")
	}
	if _, body := ask(t, srv.URL+"/town/cdx?url=example.com&matchType=host&page=1"); body != "" {
		t.Errorf("a second page: %s", body)
	}
	if resp, _ := ask(t, srv.URL+"/town/cdx?url=other.test&resumeKey=Y29t"); resp.StatusCode != 400 {
		t.Errorf("another query's key: %d", resp.StatusCode)
	}
}
