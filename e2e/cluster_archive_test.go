package e2e

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"salvor/e2e/rig"
)

// TestClusterArchive: what a cluster stores is found seconds later by who has a key,
// and by nobody else; two crawls do not see each other's.
func TestClusterArchive(t *testing.T) {
	web, _ := museum(t)
	p := newPerson(t, nil)
	addr, err := rig.FreePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	node := p.runs("server", "--dir", "node", "--listen", addr)
	p.well("--dir", "node")
	for _, name := range []string{"one", "two"} {
		p.types("crawl", "create", "--dir", "node", "--max-rate", "0", "--allow-net", "127.0.0.0/8", name, web.URL+map[string]string{"one": "/", "two": "/news.html"}[name])
	}
	key := strings.TrimSpace(p.types("key", "create", "--dir", "node", "--role", "researcher", "--name", "reader"))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	ask := func(auth, path string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+addr+"/archive/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		switch auth {
		case "bearer":
			r.Header.Set("Authorization", "Bearer "+key)
		case "browser":
			r.SetBasicAuth("anybody", key)
		case "wrong":
			r.SetBasicAuth("anybody", key[:len(key)-1]+"x")
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	for end := time.Now().Add(promised(30 * time.Second)); ; time.Sleep(200 * time.Millisecond) {
		if status, body := ask("bearer", "one/2099id_/"+web.URL+"/news.html"); status == http.StatusOK && strings.Contains(body, "old news") {
			break
		} else if time.Now().After(end) {
			t.Fatalf("the page is not found: %d %s", status, body)
		}
	}
	for _, c := range []struct {
		auth, path, want string
		status           int
	}{
		{"", "", "a key is needed", 401},
		{"wrong", "one/cdx?url=" + web.URL, "", 401},
		{"browser", "", `href="/archive/one/"`, 200},
		{"bearer", "one/cdx?url=" + web.URL + "/twin-a.html&fl=url", "twin-a.html", 200},
		{"bearer", "one/timemap/link/" + web.URL + "/", `rel="self"`, 200},
		{"bearer", "two/cdx?url=" + web.URL + "/twin-a.html", "", 200},
		{"bearer", "three/", "no collection", 404},
	} {
		if status, body := ask(c.auth, c.path); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %q: %d %s", c.auth, c.path, status, body)
		}
	}
	// The same from the files, while the node runs.
	if out := p.types("captures", "--dir", "node/store/crawls/one", web.URL+"/news.html"); !strings.Contains(out, "/news.html") {
		t.Errorf("from the files: %s", out)
	}
	p.stops(node)
	if log := node.Stderr(); !strings.Contains(log, `msg="archive read"`) || strings.Contains(log, key) {
		t.Errorf("what was read is not in the log, or the key is:\n%s", end(log))
	}
}
