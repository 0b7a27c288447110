package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"salvor/cmd/salvor/internal/cli"
	"salvor/cmd/salvor/internal/server"
)

// stepClock is a clock whose wall can be set, as a person or NTP does; what
// passes on the monotonic one stays true.
type stepClock struct{ off atomic.Int64 } // s

// Now implements coordinator.Clock.
func (c *stepClock) Now() time.Time {
	t := time.Now()
	// Add would move both readings. With a monotonic one, the wall's seconds
	// stand in bits 30 to 62.
	wall := (*uint64)(unsafe.Pointer(&t))
	*wall += uint64(c.off.Load()) << 30
	return t
}

// After implements coordinator.Clock.
func (*stepClock) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

func TestStepClock(t *testing.T) {
	var c stepClock
	before, wall := c.Now(), time.Now().Unix()
	c.off.Store(-60)
	after := c.Now()
	if d := after.Sub(before); d < 0 || d > time.Second {
		t.Errorf("the monotonic clock moved by %s", d)
	}
	if d := after.Unix() - wall; d < -60 || d > -58 {
		t.Errorf("the wall moved by %d s", d)
	}
}

// town is a cluster of three in this process, whose clocks can be set.
type town struct {
	t      *testing.T
	dir    string
	clocks []*stepClock
}

func (w *town) types(args ...string) string {
	w.t.Helper()
	var out, errs bytes.Buffer
	p := cli.Program{Version: "test"}
	if code := p.Run(w.t.Context(), args, nil, strings.NewReader(""), &out, &errs); code != 0 {
		w.t.Fatalf("salvor %s: exit code %d\n%s", strings.Join(args, " "), code, errs.String())
	}
	return out.String()
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{t: t, dir: t.TempDir()}
	first := address(t, "127.47.0.1")
	w.types("cluster", "init", "--dir", w.node(1), "--listen", first)
	w.run(1, first)
	w.until(30*time.Second, "a leader", func() bool { return len(w.voters()) == 1 })
	for i := 2; i <= 3; i++ {
		token, at := filepath.Join(w.dir, fmt.Sprint(i, ".token")), address(t, fmt.Sprintf("127.47.0.%d", i))
		w.types("cluster", "token", "--dir", w.node(1), "--role", "coordinator,worker", "--out", token)
		w.types("join", "https://"+first, "--dir", w.node(i), "--listen", at, "--token-file", token, "--no-start")
		w.run(i, at)
	}
	w.until(30*time.Second, "three voters", func() bool {
		return strings.Contains(w.types("node", "list", "--dir", w.node(1)), "127.47.0.3") && len(w.voters()) == 3
	})
	return w
}

func (w *town) node(i int) string { return filepath.Join(w.dir, fmt.Sprint("n", i)) }

func address(t *testing.T, ip string) string {
	t.Helper()
	l, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// run runs a node until the test ends.
func (w *town) run(i int, at string) {
	w.t.Helper()
	c := server.Defaults()
	c.Dir, c.Listen = w.node(i), at
	clock, ready, done := new(stepClock), make(chan struct{}), make(chan error, 1)
	w.clocks = append(w.clocks, clock)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		done <- server.Run(ctx, c.Settled(), server.Options{Version: "test", Log: io.Discard, Clock: clock, Stop: make(chan struct{}), Ready: func(server.Started) { close(ready) }})
	}()
	w.t.Cleanup(func() {
		cancel()
		<-done
	})
	select {
	case <-ready:
	case err := <-done:
		done <- err
		w.t.Fatalf("node %d: %v", i, err)
	}
}

func (w *town) until(limit time.Duration, what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("after %s still not: %s", limit, what)
		}
	}
}

// voters are those that the leader of group 0 counts.
func (w *town) voters() []string { v, _ := w.lead(); return v }

// lead is who votes in group 0, and the number of the node that leads it.
func (w *town) lead() (voters []string, number int) {
	w.t.Helper()
	var out bytes.Buffer
	cli.Program{Version: "test"}.Run(w.t.Context(), []string{"status", "--json", "--dir", w.node(1)}, nil, strings.NewReader(""), &out, io.Discard)
	var s struct {
		Nodes []struct {
			Node struct {
				Address string `json:"address"`
			} `json:"node"`
			Groups []struct {
				State  string   `json:"state"`
				Voters []string `json:"voters"`
			} `json:"groups"`
		} `json:"nodes"`
	}
	if json.Unmarshal(out.Bytes(), &s) != nil {
		return nil, 0
	}
	for _, n := range s.Nodes {
		if len(n.Groups) == 1 && n.Groups[0].State == "leader" {
			fmt.Sscanf(n.Node.Address, "127.47.0.%d", &number)
			voters = n.Groups[0].Voters
		}
	}
	return voters, number
}

// visits counts how often each page was asked for.
type visits struct {
	*httptest.Server
	mu    sync.Mutex
	pages map[string]int
	last  time.Time
	quiet time.Duration // the longest time without a visit
}

// newVisits serves so many pages, each of which takes a while and links to some
// of the others.
func newVisits(t *testing.T, pages int, takes time.Duration) *visits {
	t.Helper()
	v := &visits{pages: map[string]int{}}
	v.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var n int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &n); err != nil || n >= pages {
			http.NotFound(rw, r)
			return
		}
		v.note(r.URL.Path)
		time.Sleep(takes)
		rw.Header().Set("Content-Type", "text/html")
		for i := range 4 {
			if next := 4*n + 1 + i; next < pages {
				fmt.Fprintf(rw, `<a href="/%d">x</a>`, next)
			}
		}
		fmt.Fprintf(rw, "page %d", n)
	}))
	t.Cleanup(v.Close)
	return v
}

func (v *visits) note(path string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pages[path]++
	if now := time.Now(); v.last.IsZero() {
		v.last = now
	} else {
		v.quiet, v.last = max(v.quiet, now.Sub(v.last)), now
	}
}

func (v *visits) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.pages)
}

// TestClockSteps: wall clocks that jump by a minute, one way or the other, of
// the leader or of others, while a crawl runs: no page is lost or fetched twice,
// and nothing stands still.
func TestClockSteps(t *testing.T) {
	const pages = 150
	v := newVisits(t, pages, 200*time.Millisecond)
	w := newTown(t)
	w.types("crawl", "create", "--dir", w.node(1), "--allow-net", "127.0.0.0/8", "--max-rate", "0", "--per-origin", "2", "one", v.URL+"/0")
	for i, seconds := range []int64{60, -60, 120, 0} {
		w.until(time.Minute, "progress", func() bool { return v.count() >= (i+1)*pages/6 })
		_, leader := w.lead()
		if leader == 0 {
			t.Fatal("nobody leads")
		}
		w.clocks[leader-1].off.Store(seconds)
		w.clocks[leader%3].off.Store(-seconds)
	}
	var s struct {
		State    string `json:"state"`
		Saved    int    `json:"saved"`
		Known    int    `json:"known"`
		Captures int    `json:"captures"`
	}
	w.until(time.Minute, "the crawl finished", func() bool {
		out := w.types("crawl", "show", "--json", "--dir", w.node(1), "one")
		return json.Unmarshal([]byte(out), &s) == nil && s.State == "finished"
	})
	if s.Saved != pages || s.Known != pages+1 || s.Captures != pages+1 {
		t.Errorf("%+v, the site has %d pages and a robots.txt", s, pages)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for p, n := range maps.All(v.pages) {
		if n != 1 {
			t.Errorf("%s was fetched %d times", p, n)
		}
	}
	if v.quiet > 5*time.Second {
		t.Errorf("nothing was fetched for %s", v.quiet)
	}
	t.Logf("the longest time without a fetch: %s", v.quiet.Round(10*time.Millisecond))
}
