package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"salvor/e2e/rig"
)

// oddServer answers by path; what it does not know is an empty page.
func oddServer(t *testing.T, pages map[string]http.HandlerFunc) *httptest.Server {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := pages[r.URL.Path]; h != nil {
			h(w, r)
		}
	}))
	t.Cleanup(web.Close)
	return web
}

func says(contentType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		fmt.Fprint(w, text)
	}
}

// TestEndlessStream: a stream does not hold up a deadline; what came of it is
// kept, and marked as cut.
func TestEndlessStream(t *testing.T) {
	var streaming atomic.Bool
	web := oddServer(t, map[string]http.HandlerFunc{
		"/": says("text/html", `<audio src="/radio">`),
		"/radio": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "audio/mpeg")
			streaming.Store(true)
			for r.Context().Err() == nil {
				fmt.Fprint(w, strings.Repeat("la ", 1000))
				w.(http.Flusher).Flush()
				time.Sleep(20 * time.Millisecond)
			}
		},
	})
	c := newCrawl(t, buildRace)
	start := time.Now()
	c.save(time.Minute, exitDeadline, "--deadline", "5s", web.URL+"/")
	if d := time.Since(start); d > 20*time.Second || !streaming.Load() {
		t.Errorf("a deadline of 5 s ended the crawl after %s, streaming %v", d, streaming.Load())
	}
	cut := 0
	for _, segment := range c.sound().Segments {
		if err := rig.ReadWARC(segment, func(r *rig.Record) error {
			if r.Type() == "response" && r.Get("warc-truncated") == "time" {
				cut++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if cut != 1 {
		t.Errorf("%d records are marked as cut, want the stream", cut)
	}
}

// TestHostileLengths: what a server makes as long as it likes ends no crawl.
func TestHostileLengths(t *testing.T) {
	long := strings.Repeat("a", 400)
	web := oddServer(t, map[string]http.HandlerFunc{
		"/robots.txt": says("text/plain", "User-agent: *\nDisallow: /"+long+"\n"),
		"/": says("text/html", `<a href="/`+long+`">forbidden</a><a href="/typed">typed</a><img src="http://`+strings.Repeat("b", 305)+`/x.png">`+
			`<a href="http://`+strings.Repeat("@", 10000)+`h/">x</a><a href="/last">last</a><meta http-equiv=content-type content="`+"\xff\xff"+`;charset=x">`),
		"/typed": says("text/"+long, "x"),
	})
	c := newCrawl(t, buildRace)
	c.save(time.Minute, exitDone, web.URL+"/")
	by := c.sound().ByURI()
	for _, path := range []string{"/", "/typed", "/last", "/robots.txt"} {
		if len(by[web.URL+path]) != 1 {
			t.Errorf("%s was captured %d times", path, len(by[web.URL+path]))
		}
	}
	if len(by[web.URL+"/"+long]) != 0 {
		t.Error("a forbidden page was fetched")
	}
	if r := c.report(); r.Totals.Excluded != 1 {
		t.Errorf("report.json: %+v", r.Totals)
	}
}

// TestBlockedBesideHealthy: a host that asks to be left alone keeps nobody else
// from being crawled.
func TestBlockedBesideHealthy(t *testing.T) {
	refuse := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "90")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	blocked := oddServer(t, map[string]http.HandlerFunc{"/robots.txt": says("text/plain", ""), "/": refuse, "/1": refuse})
	healthy := oddServer(t, map[string]http.HandlerFunc{"/": says("text/html", `<a href="/1">1</a><a href="/2">2</a>`)})
	// Two names for loopback are two hosts.
	other := strings.Replace(healthy.URL, "127.0.0.1", "localhost", 1)
	c := newCrawl(t, buildRace, "--connections", "1", "--per-origin", "1")
	p := c.start(blocked.URL+"/", blocked.URL+"/1", other+"/")
	eventually(t, 20*time.Second, "the healthy host's pages", func() bool {
		return p.Ended() || strings.Count(c.log(), "/2 ") > 0
	})
	c.control("stop", "")
	c.wait(p, 40*time.Second, exitInterrupted)
	c.sound()
}

// TestLimitBytes: a limit of bytes counts what is on its way, so that one large
// file does not pass it many times over.
func TestLimitBytes(t *testing.T) {
	web := oddServer(t, map[string]http.HandlerFunc{"/": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "video/mp4")
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 100_000)); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}})
	c := newCrawl(t, buildPlain)
	start := time.Now()
	c.save(time.Minute, exitLimit, "--limit-bytes", "5MB", web.URL+"/")
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("a limit of 5 MB ended a stream of 10 MB/s after %s", d)
	}
	c.sound()
}
