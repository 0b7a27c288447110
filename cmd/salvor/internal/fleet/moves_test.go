package fleet

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/outfit"
)

// at serves the site at another address of this machine.
func (w *world) at(ip string, h http.HandlerFunc) string {
	w.t.Helper()
	l, err := net.Listen("tcp", ip+":0")
	if err != nil {
		w.t.Skipf("%s is no address of this machine: %v", ip, err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	s.Start()
	w.t.Cleanup(s.Close)
	return s.URL
}

// TestSeedsMove: seeds of several hosts redirect to others, at the same time on
// two nodes. All targets become seeds with the scope around them, each once, and
// whatever version a node judged by, no link is lost.
func TestSeedsMove(t *testing.T) {
	t.Parallel()
	const hosts, each = 10, 8
	w := newWorld(t, 1)
	var seeds []string
	for i := range hosts {
		target := w.at(fmt.Sprintf("127.0.1.%d", i+1), func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/html")
			if r.URL.Path == "/robots.txt" {
				http.NotFound(rw, r)
				return
			}
			for j := range each {
				fmt.Fprintf(rw, `<a href="/%d">x</a>`, j)
			}
		})
		seeds = append(seeds, w.at(fmt.Sprintf("127.0.2.%d", i+1), func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/robots.txt" {
				http.NotFound(rw, r)
				return
			}
			http.Redirect(rw, r, target+"/", http.StatusFound)
		})+"/")
	}
	var one sync.Mutex
	conflicts := 0
	w.seam.set(nil)
	w.seam.cas = func(c api.Crawl, set func(api.Crawl) error) error {
		one.Lock()
		defer one.Unlock()
		now, err := w.node.Crawl(t.Context(), c.ID)
		if err != nil {
			return err
		}
		if conflicts == 0 || now.Version+1 != c.Version || now.Scope >= c.Scope {
			conflicts++
			return salvor.Errorf(salvor.Conflict, "somebody was faster")
		}
		return set(c)
	}
	id := w.crawl("one", func(s *job.Settings) { s.Connections = 1 }, seeds...)
	a, b := w.run(w.config("ant")), w.run(w.config("bee"))
	w.finish(id)
	a.gone()
	b.gone()
	a.stop()
	b.stop()
	c, err := w.node.Crawl(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	x, err := outfit.SpecOf(c)
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Moves) != hosts || c.Scope != 1+hosts || conflicts == 0 {
		t.Errorf("%d moves, scope version %d, %d conflicts", len(x.Moves), c.Scope, conflicts)
	}
	for _, m := range x.Moves {
		if m.Scope < 2 || m.Scope > c.Scope || !m.Widens {
			t.Errorf("%+v", m)
		}
	}
	n := w.totals(id)
	if got := n.Outcomes[salvor.Saved] + n.Outcomes[salvor.Revisit]; got < hosts*(each+2) || n.Outcomes[salvor.Failed] != 0 {
		t.Errorf("%d are saved, want %d at least: %+v", got, hosts*(each+2), n)
	}
	if w.stored(id, "one"); n.Dups != 0 {
		t.Errorf("%+v", n)
	}
}

// TestTooManyMoves: where the settings have no room for another move, its target
// is saved, and it is told that what lies around it is not.
func TestTooManyMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	target := w.at("127.0.1.1", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprint(rw, `<a href="/outside">x</a>`)
	})
	w.mux.HandleFunc("/moved", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, target+"/home", http.StatusFound)
	})
	id := w.crawl("one", func(s *job.Settings) {
		b, err := outfit.Spec{Settings: *s, Seeds: []string{w.web.URL + "/moved"}}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		s.ExcludeFrom = []string{strings.Repeat("x", outfit.MaxSpec-len(b)-100)}
	}, w.web.URL+"/moved")
	r := w.run(w.config("ant"))
	w.finish(id)
	r.gone()
	r.stop()
	if texts := w.told("seed_outside"); len(texts) != 1 || !strings.Contains(texts[0], target) {
		t.Errorf("told %q", texts)
	}
	k, err := w.node.Lookup(t.Context(), id, "127.0.1.1", salvor.ItemKey(w.hashKey(id), "", target+"/home", nil))
	if err != nil || k.Outcome != salvor.Saved {
		t.Errorf("the target: %+v, %v", k, err)
	}
	if n := w.totals(id).Accepted; n != 4 { // with two robots.txt
		t.Errorf("%d are known", n)
	}
}

func (w *world) hashKey(id salvor.CrawlID) salvor.HashKey {
	w.t.Helper()
	c, err := w.node.Crawl(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return c.HashKey
}
