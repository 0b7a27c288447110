package e2e

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salvor/e2e/rig"
)

// serving runs salvor serve on an archive and returns the address of its collection.
func (c *crawl) serving() (coll string) {
	c.t.Helper()
	addr, err := rig.FreePort("127.0.0.1")
	if err != nil {
		c.t.Fatal(err)
	}
	p := c.exec("serve", "--listen", addr, c.dir)
	if err := rig.WaitListening(addr, promised(10*time.Second)); err != nil {
		c.t.Fatalf("%v\n%s", err, p.Stderr())
	}
	return "http://" + addr + "/" + filepath.Base(c.dir) + "/"
}

// replayed asks our own server for a capture as it was answered.
func replayed(t *testing.T, coll, at, uri string) (status int, body []byte) {
	t.Helper()
	// Only what leads to the nearest capture is followed, not what was recorded.
	client := http.Client{CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 1 || r.Response.Header.Get("Memento-Datetime") != "" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := client.Get(coll + at + "id_/" + uri)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// TestAccess: what was crawled is found, replayed, verified and exported, by us and by
// the field's tools on what we serve; a crawl that goes on meanwhile is followed.
func TestAccess(t *testing.T) {
	py := checkers(t)
	web, root := museum(t)
	c := newCrawl(t, buildPlain)
	c.save(time.Minute, exitDone, web.URL+"/")
	coll := c.serving()
	time.Sleep(1100 * time.Millisecond) // replay tells captures apart by the second
	between := time.Now().UTC()
	time.Sleep(1100 * time.Millisecond)
	if err := os.WriteFile(filepath.Join(root, "news.html"), []byte("<!DOCTYPE html><title>News</title><p>fresh news, longer"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.save(time.Minute, exitDone, "--again", web.URL+"/")
	stored := time.Now()
	both := c.sound()
	for end := stored.Add(promised(10 * time.Second)); ; time.Sleep(100 * time.Millisecond) {
		if _, body := replayed(t, coll, between.Format("2006")+"1231235959", web.URL+"/news.html"); strings.Contains(string(body), "fresh news") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("what was crawled meanwhile is not found")
		}
	}
	t.Logf("found %v after it was stored", time.Since(stored))
	t.Run("replay", func(t *testing.T) {
		replayAll(t, both, web, between, func(at, uri string) (int, []byte) { return replayed(t, coll, at, uri) })
	})
	t.Run("pywb", func(t *testing.T) { remoteReplay(t, py, coll, both, web, between) })
	t.Run("verify", func(t *testing.T) { c.wait(c.exec("verify", c.dir), time.Minute, exitDone) })
	t.Run("export", func(t *testing.T) { exportTest(t, py, c, both) })
}

// remoteReplay lets pywb replay from our index and our WARC files.
func remoteReplay(t *testing.T, py *rig.Checkers, coll string, a *rig.Archive, web *rig.Nginx, between time.Time) {
	w, err := py.ReplayRemote(t.TempDir(), coll)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	replayAll(t, a, web, between, func(at, uri string) (int, []byte) { return got(t, w, at, uri) })
}

// exportTest: other tools find in an export what is in the archive.
func exportTest(t *testing.T, py *rig.Checkers, c *crawl, a *rig.Archive) {
	dir := t.TempDir()
	export := func(format, name string) string {
		out := filepath.Join(dir, name)
		c.wait(c.exec("export", "--dir", c.dir, "--format", format, "--out", out, "*"), time.Minute, exitDone)
		return out
	}
	all := export("warc", "all.warc.gz")
	if _, err := py.Run(soon(t), "", "warcio", "check", all); err != nil {
		t.Error(err)
	}
	out, err := py.Run(soon(t), "", "warcio", "index", "-f", "warc-type", all)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"response", "revisit", "request", "resource"} {
		want := a.Types[kind]
		if kind == "resource" { // those that have no line in the index are not exported
			continue
		}
		if got := strings.Count(string(out), `"`+kind+`"`); got != want {
			t.Errorf("the export has %d %s records, the archive %d", got, kind, want)
		}
	}
	if out, err := py.Run(soon(t), "", "wacz", "validate", "-f", export("wacz", "all.wacz")); err != nil || !strings.Contains(string(out), "succeeded") {
		t.Errorf("py-wacz: %v %s", err, out)
	}
	p := c.exec("export", "--dir", c.dir, "--estimate", "--json", "*")
	c.wait(p, time.Minute, exitDone)
	var counts struct{ Types map[string]int64 }
	if err := json.Unmarshal([]byte(p.Stdout()), &counts); err != nil || len(counts.Types) < 4 {
		t.Fatalf("%v %s", err, p.Stdout())
	}
	duck, err := py.CountParquet(soon(t), export("parquet", "all.parquet"))
	if err != nil || !maps.Equal(duck, counts.Types) {
		t.Errorf("%v DuckDB counts %v, we %v", err, duck, counts.Types)
	}
}
