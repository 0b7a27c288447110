package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// shelf is a site of one long front page, and the order in which it was asked.
type shelf struct {
	front string
	url   string

	mu    sync.Mutex
	asked []request
}

type request struct {
	path string
	at   time.Time
}

// newShelf serves many pages below /t1/ and, linked behind them, few below /t0/.
func newShelf(t *testing.T, ip string, many, few int) *shelf {
	t.Helper()
	var b strings.Builder
	for i := range many {
		fmt.Fprintf(&b, "<a href=/t1/%d>x</a>\n", i)
	}
	for i := range few {
		fmt.Fprintf(&b, "<a href=/t0/%d>x</a>\n", i)
	}
	l, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{front: b.String(), url: "http://" + l.Addr().String()}
	srv := &http.Server{Handler: s}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return s
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, request{r.URL.Path, time.Now()})
	s.mu.Unlock()
	switch {
	case r.URL.Path == "/robots.txt":
		http.NotFound(w, r)
	case r.URL.Path == "/":
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(s.front))
	default:
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<p>page %s", r.URL.Path)
	}
}

// since are the requests after a moment.
func (s *shelf) since(at time.Time) (out []request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.asked {
		if r.at.After(at) {
			out = append(out, r)
		}
	}
	return out
}

// valuesShown is what tests read of salvor crawl value show --json.
type valuesShown struct {
	Ranked bool `json:"ranked"`
	Tiers  []struct {
		Value  float64  `json:"value"`
		Queued int64    `json:"queued"`
		Rules  []string `json:"rules"`
	} `json:"tiers"`
}

func (p *person) values(crawl string) (v valuesShown) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(p.types("crawl", "value", "show", crawl, "--json")), &v); err != nil {
		p.t.Fatal(err)
	}
	return v
}

// above is what is queued that is worth more than a value.
func (v *valuesShown) above(value float64) (n int64) {
	for _, t := range v.Tiers {
		if t.Value > value {
			n += t.Queued
		}
	}
	return n
}

// TestValueLive: what is said to be worth most while a crawl runs is what is
// fetched next, within a few seconds, though thousands of pages were queued
// before it.
func TestValueLive(t *testing.T) {
	parallel(t)
	web := newShelf(t, "127.63.0.1", 5000, 2000)
	p := newPerson(t, nil)
	p.runs("server", "--listen", p.port("127.63.1.1"))
	p.well()
	p.types("crawl", "create", "shelf", web.url+"/", "--max-rate", "20", "--allow-net", "127.63.0.0/24")
	eventuallySay(t, time.Minute, func() string { return "7,000 pages are known and some are fetched" }, func() bool {
		var c struct{ Known, Saved int64 }
		return json.Unmarshal([]byte(p.types("crawl", "show", "shelf", "--json")), &c) == nil && c.Known > 7000 && c.Saved > 60
	})
	set := time.Now()
	for _, r := range web.since(time.Time{}) {
		if strings.HasPrefix(r.path, "/t0/") {
			t.Fatalf("%s was fetched before anybody said that it is worth more", r.path)
		}
	}
	p.types("crawl", "value", "set", "shelf", "--rule", "/t0/ 10")
	first := time.Time{}
	eventuallySay(t, 20*time.Second, func() string { return "a page below /t0/ is fetched" }, func() bool {
		for _, r := range web.since(set) {
			if strings.HasPrefix(r.path, "/t0/") {
				first = r.at
				return true
			}
		}
		return false
	})
	t.Logf("the first page below /t0/ was fetched %s after the rule was given", first.Sub(set).Round(10*time.Millisecond))
	if d := first.Sub(set); d > 8*time.Second {
		t.Errorf("the first page below /t0/ was fetched after %s", d)
	}
	eventuallySay(t, time.Minute, func() string { return "a hundred requests more" }, func() bool { return len(web.since(first)) > 100 })
	others := 0
	for _, r := range web.since(first)[:100] {
		if !strings.HasPrefix(r.path, "/t0/") {
			others++
		}
	}
	if others > 20 {
		t.Errorf("of the next hundred requests %d are of other pages", others)
	}
	out := p.types("crawl", "value", "explain", "shelf", web.url+"/t0/1999")
	if !strings.Contains(out, "by rule 1: /t0/ 10") || strings.Contains(out, "still queued in") {
		t.Errorf("explain says\n%s", out)
	}
	host, _, _ := net.SplitHostPort(strings.TrimPrefix(web.url, "http://"))
	eventuallySay(t, 20*time.Second, func() string { return "the plan counts by the rule" }, func() bool {
		pr := p.runs("plan", "explain", host)
		_, err := pr.Wait(t.Context())
		return err == nil && strings.Contains(pr.Stdout(), "of 10 each, by /t0/ 10")
	})
}

// TestValueKilled: a node that is killed while it moves what is queued goes on
// with that when it is back.
func TestValueKilled(t *testing.T) {
	parallel(t)
	n := size(40_000, 400_000)
	p := newPerson(t, nil)
	listen := p.port("127.63.2.1")
	server := p.runs("server", "--listen", listen)
	p.well()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "http://127.63.0.9/t%d/%d\n", i%2, i)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "seeds.txt"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	p.types("crawl", "create", "many", "--paused", "--scope", "any", "--max-hops", "1", "--seeds", "seeds.txt", "--value-rule", "/none/ 2")
	if v := p.values("many"); !v.Ranked || v.above(5) > 0 {
		t.Fatalf("before: %+v", v)
	}
	rules := [2]string{"/t0/ 10", "/t1/ 10"}
	amid, rule := false, ""
	for try := 0; !amid && try < 8; try++ {
		rule = rules[try%2]
		p.types("crawl", "value", "set", "many", "--rule", rule)
		v := p.values("many")
		for !v.Ranked && v.above(5) == 0 {
			v = p.values("many")
		}
		if err := server.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-server.Done()
		server = p.runs("server", "--listen", listen)
		amid = !v.Ranked
		t.Logf("killed when %d of %d were moved; all: %v", v.above(5), n/2, v.Ranked)
		p.well()
	}
	if !amid {
		t.Skip("this machine moves them faster than a test can look")
	}
	v := valuesShown{}
	eventuallySay(t, time.Minute, func() string { return fmt.Sprintf("all is in its place: %+v", v) }, func() bool {
		v = p.values("many")
		return v.Ranked
	})
	if got := v.above(5); got != int64(n/2) {
		t.Errorf("%d are worth most, want %d: %+v", got, n/2, v)
	}
	for i := range 2 {
		url := fmt.Sprintf("http://127.63.0.9/t%d/%d", i, n/2+i)
		if out := p.types("crawl", "value", "explain", "many", url); strings.Contains(out, "still queued in") || !strings.Contains(out, "is     queued") {
			t.Errorf("%s", out)
		}
	}
}
