package rescue

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/control"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
)

// quiet takes progress and keeps the notices.
type quiet struct{ t *testing.T }

func (quiet) Update(progress.Snapshot) {}
func (q quiet) Notice(n progress.Notice) {
	q.t.Log("notice:", n.Code, n.Text)
}

// testSite serves n pages that link to the next ones, and counts requests.
func testSite(t *testing.T, n int) (url string, hits *atomic.Int64) {
	t.Helper()
	hits = new(atomic.Int64)
	mux := http.NewServeMux()
	mux.HandleFunc("/robots.txt", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "User-agent: *\nDisallow: /private/\n")
	})
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) { page(w, 0, n) })
	mux.HandleFunc("/p/{i}", func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		var i int
		fmt.Sscan(r.PathValue("i"), &i)
		page(w, i, n)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL + "/", hits
}

func page(w http.ResponseWriter, i, n int) {
	w.Header().Set("Content-Type", "text/html")
	var b strings.Builder
	fmt.Fprintf(&b, "<html><title>page %d</title><body>", i)
	for j := 1; j <= 10; j++ {
		fmt.Fprintf(&b, `<a href="/p/%d">x</a> `, (i*10+j)%n)
	}
	fmt.Fprintf(&b, `<a href="/private/%d">no</a><a href="http://elsewhere.test/">out</a></body></html>`, i%3)
	w.Header().Set("Content-Length", fmt.Sprint(b.Len()))
	fmt.Fprint(w, b.String())
}

func testJob(t *testing.T, dir, seed string) job.Job {
	t.Helper()
	d, fresh, err := archive.OpenOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if err := d.SaveSettings("test", job.Settings{}); err != nil {
		t.Fatal(err)
	}
	return job.Job{
		Dir: d, Round: 1, Resumed: !fresh, Seeds: []job.Seed{{URL: seed, Source: "command line"}},
		Settings: job.Settings{
			Name: "test", UserAgent: "salvor-test", RobotsAgent: "salvor", Scope: "host", MaxHops: job.NoLimit,
			PageRequisites: true, Robots: "obey", MaxRate: 0, MaxRateGiven: true, Connections: 16, PerOrigin: 6, Tries: 2,
			AllowNet: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, WARCMaxSize: 1 << 30, WARCPrefix: "test", WARCOutlinks: true,
		},
		Control: make(chan control.Change), Drain: make(chan struct{}), Progress: quiet{t}, Logger: slog.New(slog.DiscardHandler), Version: "test",
	}
}

func TestEngineSavesASite(t *testing.T) {
	url, hits := testSite(t, 200)
	dir := filepath.Join(t.TempDir(), "archive")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	j := testJob(t, dir, url)
	res, err := Engine{}.Run(ctx, j)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(res)
	t.Logf("%s", got)
	if res.Reason != job.Done || hits.Load() != 200 {
		t.Errorf("ended %q after %d requests of 200 pages", res.Reason, hits.Load())
	}
	if f := res.Final; f.Saved+f.Revisits != 202 || f.Excluded != 3 {
		t.Errorf("saved %d, revisits %d, excluded %d; want 202 with seed and robots.txt, and 3 by robots", f.Saved, f.Revisits, f.Excluded)
	}
	j.Dir.Close()

	again, err := Engine{}.Run(ctx, testJob(t, dir, url))
	if err != nil || hits.Load() != 200 || again.Reason != job.Done {
		t.Errorf("second run: %v, %d requests, %q; want none more", err, hits.Load(), again.Reason)
	}
}
