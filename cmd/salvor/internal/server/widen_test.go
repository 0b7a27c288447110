package server_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// TestSeedMovesOnAWorker: a node that only works finds that a seed redirects to
// another host, after a page that links there was judged. The crawl is not
// finished before that link is followed.
func TestSeedMovesOnAWorker(t *testing.T) {
	var deep atomic.Int32
	moved := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/deep" {
			deep.Add(1)
		}
		fmt.Fprint(w, "a page")
	}))
	on(t, moved, "127.48.0.3")
	judged := make(chan struct{})
	old := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			<-judged
			http.Redirect(w, r, moved.URL+"/", http.StatusFound)
			return
		}
		http.NotFound(w, r)
	}))
	on(t, old, "127.48.0.2")
	page := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<a href="%s/deep">there</a>`, moved.URL)
		time.AfterFunc(2*time.Second, func() { close(judged) })
	}))
	on(t, page, "127.48.0.1")

	w := &town{t: t, dir: t.TempDir()}
	at := address(t, "127.48.0.11")
	w.types("cluster", "init", "--dir", w.node(1), "--listen", at, "--roles", "coordinator")
	w.run(1, at)
	token := w.node(2) + ".token"
	w.types("cluster", "token", "--dir", w.node(1), "--role", "worker", "--out", token)
	w.types("join", "https://"+at, "--dir", w.node(2), "--token-file", token, "--no-start")
	w.run(2, address(t, "127.48.0.12"))
	w.types("crawl", "create", "moves", page.URL+"/", old.URL+"/", "--allow-net", "127.0.0.0/8", "--max-rate", "0", "--dir", w.node(1))
	w.until(40*time.Second, "the link to the seed's new place is followed", func() bool { return deep.Load() > 0 })
}

// on starts a server on an address.
func on(t *testing.T, s *httptest.Server, ip string) {
	t.Helper()
	l, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
}
