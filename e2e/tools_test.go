package e2e

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nlnwa/gowarc"

	"salvor/e2e/rig"
)

// museum is a small site with what replay needs to be tried on: pages, a
// style sheet, a picture, a redirect, two URLs with the same bytes, and a page
// that changes between two crawls.
func museum(t *testing.T) (web *rig.Nginx, root string) {
	t.Helper()
	root = t.TempDir()
	same := "<!DOCTYPE html><title>Twins</title><p>" + strings.Repeat("Two names, one text. ", 40)
	for name, text := range map[string]string{
		"index.html": `<!DOCTYPE html><title>Museum</title><link rel="stylesheet" href="/style.css">
<img src="/p.svg" alt=""><a href="/twin-a.html">a</a> <a href="/twin-b.html">b</a> <a href="/news.html">news</a>
<a href="/moved">moved</a> <a href="/gone.html">gone</a> <a href="/sub">directory</a> <a href="/q.html?b=2&amp;a=1">query</a>
<a href="/umlaut-%C3%BC.html">umlaut</a> <a href="/packed.txt">packed</a>`,
		"style.css":          "body { background: url(p.svg) }",
		"p.svg":              `<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>`,
		"twin-a.html":        same,
		"twin-b.html":        same,
		"news.html":          "<!DOCTYPE html><title>News</title><p>old news",
		"q.html":             "<!DOCTYPE html><title>Query</title>",
		"umlaut-\u00fc.html": "<!DOCTYPE html><title>Umlaut</title>",
		"sub/index.html":     "<!DOCTYPE html><title>Sub</title>",
		"packed.txt":         strings.Repeat("packed on the way ", 500),
	} {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return rig.ServeFiles(t, rig.NginxConfig{Root: root, Server: "location = /moved { return 302 /news.html; }\ngzip on; gzip_types text/plain; gzip_min_length 100;"}), root
}

// TestOtherTools: programs that know nothing of us accept, index and replay
// what we wrote: the first crawl, and a second one full of revisits.
func TestOtherTools(t *testing.T) {
	py := checkers(t)
	web, root := museum(t)
	c := newCrawl(t, buildPlain)
	c.save(time.Minute, exitDone, web.URL+"/")
	first := c.sound()
	time.Sleep(1100 * time.Millisecond) // replay tells captures apart by the second
	between := time.Now().UTC()
	time.Sleep(1100 * time.Millisecond)
	news := filepath.Join(root, "news.html")
	if err := os.WriteFile(news, []byte("<!DOCTYPE html><title>News</title><p>fresh news, longer"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.save(time.Minute, exitDone, "--again", web.URL+"/")
	both := c.sound()
	if both.Types["revisit"] <= first.Types["revisit"] {
		t.Errorf("a second crawl of an unchanged site wrote no revisits: %v, before %v", both.Types, first.Types)
	}
	t.Logf("records: %v after the first crawl, %v after the second", first.Types, both.Types)
	t.Run("gzip", func(t *testing.T) { gzipTest(t, both.Segments) })
	t.Run("warcio", func(t *testing.T) { warcioTest(t, py, both) })
	t.Run("gowarc", func(t *testing.T) { gowarcTest(t, both.Segments) })
	t.Run("pywb", func(t *testing.T) { replayTest(t, py, both, web, between) })
}

func gzipTest(t *testing.T, segments []string) {
	for _, s := range segments {
		if out, err := exec.Command("gzip", "-t", s).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("gzip -t %s: %v\n%s", s, err, out)
		}
	}
}

func warcioTest(t *testing.T, py *rig.Checkers, a *rig.Archive) {
	if _, err := py.Run(soon(t), "", "warcio", append([]string{"check"}, a.Segments...)...); err != nil {
		t.Error(err)
	}
	out, err := py.Run(soon(t), "", "warcio", append([]string{"index"}, a.Segments...)...)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, k := range a.Types {
		n += k
	}
	if got := strings.Count(string(out), "\n"); got != n {
		t.Errorf("warcio index finds %d records, there are %d", got, n)
	}
}

// gowarcTest reads with the library that also writes some of our records, in
// its strict mode. The files are known to be chains of whole members: its
// reader must not meet others.
func gowarcTest(t *testing.T, segments []string) {
	for _, s := range segments {
		r, err := gowarc.NewWarcFileReader(s, 0, gowarc.WithStrictValidation(), gowarc.WithBufferTmpDir(t.TempDir()))
		if err != nil {
			t.Fatal(err)
		}
		for {
			rec, at, validation, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err == nil {
				err = rec.ValidateDigest(validation)
			}
			if err != nil || !validation.Valid() {
				t.Fatalf("%s at %d: %v %v", s, at, err, validation)
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// replayTest lets pywb index the files itself and compares what it replays
// with what the server sent.
func replayTest(t *testing.T, py *rig.Checkers, a *rig.Archive, web *rig.Nginx, between time.Time) {
	w, err := py.Replay(soon(t), t.TempDir(), a.Segments)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	replayAll(t, a, web, between, func(at, uri string) (int, []byte) { return got(t, w, at, uri) })
}

// got is what pywb replays.
func got(t *testing.T, w *rig.Wayback, at, uri string) (status int, body []byte) {
	t.Helper()
	status, body, err := w.Get(soon(t), at, uri)
	if err != nil {
		t.Fatal(err)
	}
	return status, body
}

// replayAll compares each capture, as somebody replays it, with what the server sent.
func replayAll(t *testing.T, a *rig.Archive, web *rig.Nginx, between time.Time, replay func(at, uri string) (int, []byte)) {
	t.Helper()
	n := 0
	for _, c := range a.Captures {
		if !strings.HasPrefix(c.URI, web.URL) {
			continue
		}
		n++
		at := stamp(t, c.Date)
		status, body := replay(at, c.URI)
		// pywb keys /sub and /sub/ alike and redirects between them by itself.
		if status != c.Status && !(status/100 == 3 && c.Status/100 == 3) {
			t.Errorf("%s %s of %s is replayed with %d, the server said %d", at, c.Type, c.URI, status, c.Status)
		} else if status == http.StatusOK {
			sameBytes(t, web, c, body, between)
		}
	}
	if n < 20 {
		t.Errorf("%d captures were replayed", n)
	}
}

// sameBytes compares a replayed page with the page as it is, or was.
func sameBytes(t *testing.T, web *rig.Nginx, c *rig.Capture, body []byte, between time.Time) {
	t.Helper()
	if strings.HasSuffix(c.URI, "/news.html") && stamp(t, c.Date) < between.Format("20060102150405") {
		if !strings.Contains(string(body), "old news") {
			t.Errorf("the old news are replayed as %q", body)
		}
		return
	}
	resp, err := http.Get(c.URI)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	live, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if string(live) != string(body) {
		t.Errorf("%s of %s is replayed with %s bytes that differ from the server's %d", c.Type, c.URI, strconv.Itoa(len(body)), len(live))
	}
}

// stamp is a WARC-Date as replay URLs have it.
func stamp(t *testing.T, date string) string {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, date)
	if err != nil {
		t.Fatal(err)
	}
	return at.UTC().Format("20060102150405")
}
