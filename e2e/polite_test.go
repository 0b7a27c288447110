package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// visitors is a server that notes who was there when.
type visitors struct {
	*httptest.Server
	mu      sync.Mutex
	here    int
	most    int // at a time
	arrived []time.Time
}

// newVisitors serves endless pages, each of which takes a while and links to the
// next fifty; answer may take a request instead.
func newVisitors(t *testing.T, takes time.Duration, answer func(n int, w http.ResponseWriter) bool) *visitors {
	v := &visitors{}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" {
			http.NotFound(w, r)
			return
		}
		n := v.enter()
		defer v.leave()
		time.Sleep(takes)
		if answer != nil && answer(n, w) {
			return
		}
		w.Header().Set("Content-Type", "text/html")
		for i := range 50 {
			fmt.Fprintf(w, `<a href="/%d/%d">x</a>`, n, i)
		}
	}))
	t.Cleanup(v.Close)
	return v
}

func (v *visitors) enter() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.here++
	v.most = max(v.most, v.here)
	v.arrived = append(v.arrived, time.Now())
	return len(v.arrived)
}

func (v *visitors) leave() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.here--
}

// between is who arrived in a time.
func (v *visitors) between(from, to time.Time) (out []time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, at := range v.arrived {
		if !at.Before(from) && at.Before(to) {
			out = append(out, at)
		}
	}
	return out
}

// jitter is how much closer together two requests may come to a server on a busy
// machine than they were sent.
const jitter = 100 * time.Millisecond

// atMost fails the test if any window of at least some length saw more arrivals
// than a rate allows, and more on top.
func atMost(t *testing.T, arrived []time.Time, rate float64, least time.Duration, more int) {
	t.Helper()
	for i := range arrived {
		for j := i + 1; j < len(arrived); j++ {
			d := arrived[j].Sub(arrived[i])
			if allowed := rate*max(d+jitter, least).Seconds() + float64(more); float64(j-i+1) > allowed {
				t.Errorf("%d requests in %v, at %.2f/s %.1f are allowed", j-i+1, d, rate, allowed)
				return
			}
		}
	}
}

// TestPerOrigin: never more exchanges are under way with an origin than allowed,
// and as many as that are.
func TestPerOrigin(t *testing.T) {
	v := newVisitors(t, 20*time.Millisecond, nil)
	c := newCrawl(t, buildRace, "--per-origin", "3", "--connections", "20")
	c.save(time.Minute, exitLimit, "--limit-urls", "200", v.URL+"/")
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.most != 3 || len(v.arrived) != 199 { // and a robots.txt
		t.Errorf("%d requests, at most %d at a time, want 199 and 3", len(v.arrived), v.most)
	}
}

// TestControlRate: a lower rate in control/ holds 4 s after it was written, and
// a limit of exchanges does as well.
func TestControlRate(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 15 s")
	}
	v := newVisitors(t, 50*time.Millisecond, nil)
	c := newCrawl(t, buildRace, "--per-origin", "4")
	p := c.start(v.URL + "/")
	eventually(t, 20*time.Second, "100 requests", func() bool { return p.Ended() || len(v.between(time.Time{}, time.Now())) > 100 })
	c.control("per-origin", "2\n")
	c.control("rate", "3\n")
	holds := time.Now().Add(4 * time.Second)
	time.Sleep(time.Until(holds))
	v.mu.Lock()
	v.most = v.here
	v.mu.Unlock()
	time.Sleep(6 * time.Second)
	late := v.between(holds, time.Now())
	atMost(t, late, 3, time.Second, 1)
	if len(late) < 6 {
		t.Errorf("%d requests in 6 s at 3/s", len(late))
	}
	v.mu.Lock()
	if v.most > 2 {
		t.Errorf("%d exchanges at a time after the limit fell to 2", v.most)
	}
	v.mu.Unlock()
	c.control("stop", "")
	c.wait(p, 30*time.Second, exitInterrupted)
	if errs := readIf(c.dir + "/control/errors"); strings.TrimSpace(errs) != "" {
		t.Errorf("control/errors: %s", errs)
	}
}

// readIf is a file's text, or "" where there is none.
func readIf(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(b)
}
