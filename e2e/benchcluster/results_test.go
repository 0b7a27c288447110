package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"salvor/api"
)

func TestParseStat(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"7 (salvor) S 1 7 7 0 -1 4194560 90 0 0 0 150 25 0 0 20 0 9 0 100":      1750 * time.Millisecond,
		"7 (a ) b (c) S 1 7 7 0 -1 4194560 90 0 0 0 1 2 900 900 20 0 9 0 100\n": 30 * time.Millisecond,
	} {
		if got, err := parseStat(text); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "7 (salvor) S 1 7", "7 (salvor) S 1 7 7 0 -1 4194560 90 0 0 0 x 25"} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

// TestReadsItself: what this process burns shows in a reading.
func TestReadsItself(t *testing.T) {
	me := []part{{"me", []int{os.Getpid()}}}
	before, err := read(me)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		after, err := read(me)
		if err != nil {
			t.Fatal(err)
		}
		if wall, cpu, _ := after.since(before); cpu["me"] >= 0.05 {
			if wall <= 0 {
				t.Errorf("%v s of CPU in %v s", cpu["me"], wall)
			}
			return
		}
	}
	t.Error("this process took no CPU time")
}

const page = `# HELP salvor_ready 1 when the node is ready.
salvor_ready 1
salvor_group_leader{group="0"} 1
salvor_group_leader{group="1"} %d
salvor_group_log_bytes{group="0"} %d
salvor_group_log_bytes{group="1"} 7e+06
salvor_group_applied_index{group="0"} %d
salvor_group_applied_index{group="1"} 5
`

func TestSamples(t *testing.T) {
	s := parseSamples(fmt.Sprintf(page, 0, 3, 10))
	if s.sum("salvor_ready") != 1 || s.sum("salvor_group_applied_index") != 15 || s.sum("salvor_group") != 0 || s.leads() {
		t.Errorf("%v", s)
	}
	if !parseSamples(fmt.Sprintf(page, 1, 3, 10)).leads() {
		t.Error("who leads all groups does not lead")
	}
}

// TestLogMeter: the log grows, and falls at a snapshot.
func TestLogMeter(t *testing.T) {
	bytes := []int{100, 500, 50, 80}
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, page, 1, bytes[n], 10*n)
		n++
	}))
	defer srv.Close()
	m, err := startLogMeter(t.Context(), strings.TrimPrefix(srv.URL, "http://"))
	for range bytes[1:] {
		if err == nil {
			err = m.look(t.Context())
		}
	}
	if err != nil || m.bytes != 400+50+30 || m.entries() != 30 {
		t.Errorf("%v bytes in %v entries, %v", m.bytes, m.entries(), err)
	}
}

func TestTable(t *testing.T) {
	run := func(links, fresh int, leader float64) SimRun {
		return SimRun{Voters: 1, Groups: 1, Workers: 4, Links: links, Fresh: fresh, Pages: 1000, Wall: 2, CPU: map[string]float64{"leader": leader, "followers": 0.01}}
	}
	paced := run(4, 1, 0.3)
	paced.Rate = 25
	r := &Results{
		Simulations: []SimRun{run(4, 1, 0.05), run(12, 1, 0.09), run(4, 4, 0.08), paced},
		Crawls:      []CrawlRun{{What: "salvor save", Pages: 1000, Wall: 1, CPU: map[string]float64{"workers": 0.577}}},
		Recoveries:  []Recovery{{URLs: 1000, Killed: Start{Wall: 1.25}}},
	}
	got := r.Table()
	for _, want := range []string{
		"a known link, 1 voters: 5.0 us at the leader, 5.0 at all voters", "a new link instead of a known one, 1 voters: 10.0 us more",
		" 50 ", " 60 ", "577", "1.25", "4 of 25/s", "500",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("table has no %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "nothing to do") || strings.Count(got, "a known link") != 1 {
		t.Errorf("the table tells of what was not measured:\n%s", got)
	}
	var back Results
	if err := json.Unmarshal(r.JSON(), &back); err != nil || len(back.Simulations) != 4 {
		t.Errorf("JSON reads back as %+v, %v", back, err)
	}
}

// TestLinks: known links are known, new ones are nobody's yet.
func TestLinks(t *testing.T) {
	w := &web{crawl: api.Crawl{ID: 7}, hosts: 3}
	known := map[string]bool{}
	for _, o := range w.fresh(500) {
		known[o.URL] = true
	}
	if len(known) != 500 {
		t.Fatalf("%d of 500 fresh pages", len(known))
	}
	fresh := 0
	links := w.links(10, 4, 1)
	for _, o := range links {
		if !known[o.URL] {
			fresh++
		}
		if o.Crawl != 7 || !strings.HasPrefix(o.URL, "https://"+o.Host+"/") {
			t.Errorf("%+v", o)
		}
	}
	if len(links) != 40 || fresh != 10 {
		t.Errorf("%d links, %d of them new", len(links), fresh)
	}
}

// TestWorkerDoesAllPages, each once, in batches of the size that is wanted.
func TestWorkerDoesAllPages(t *testing.T) {
	for _, rate := range []float64{0, -1, 5000} {
		c := &counter{web: &web{crawl: api.Crawl{ID: 1}, hosts: 2}}
		c.web.fresh(100)
		l := &load{links: 4, fresh: 1, rate: rate, lease: 70}
		l.left.Store(300)
		if err := (&worker{c: c, web: c.web, load: l, name: "w"}).run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if c.offers != 1200 || c.settled != 301 { // and one robots.txt
			t.Errorf("rate %v: %d links and %d pages for 300 pages", rate, c.offers, c.settled)
		}
		if rate < 0 && c.discovers != 300 || rate == 0 && c.discovers != 5 {
			t.Errorf("rate %v: %d calls for 300 pages", rate, c.discovers)
		}
	}
}
