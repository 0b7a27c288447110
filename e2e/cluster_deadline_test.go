package e2e

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestClusterDeadline: a date that is recorded while a crawl runs takes the
// workers to where it is within five seconds, and one that is moved takes them
// elsewhere as soon.
func TestClusterDeadline(t *testing.T) {
	f := newFleet(t, shape{nodes: 3, hands: 1, hosts: 2, pages: 9000, args: []string{"--node-rate", "8"}})
	f.crawl("one")
	f.reach(200) // until then the planner learns what the workers can do
	hosts := make([]string, 2)
	for i, u := range f.web.URLs {
		x, err := url.Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		hosts[i] = x.Hostname()
	}
	record := func(host, at string) time.Time {
		t.Helper()
		f.types("site", "deadline", "set", host, at, "--confidence", "1", "--note", "a test")
		return time.Now()
	}
	look := func(what string, at time.Time, host string) {
		t.Helper()
		pauseFor(t, 12*time.Second)
		n := map[string]int{}
		for _, h := range f.web.Hits() {
			if h.At.After(at.Add(5*time.Second)) && h.At.Before(at.Add(12*time.Second)) {
				name, _, _ := strings.Cut(h.Host, ":")
				n[name]++
			}
		}
		t.Logf("%s: 5 to 12 s after it %v requests", what, n)
		if n[host] == 0 || n[host] < 4*(n[hosts[0]]+n[hosts[1]]-n[host]) {
			t.Errorf("%s: %d requests of %s, of %v", what, n[host], host, n)
		}
	}
	look("the first dies in two minutes", record(hosts[0], "2m"), hosts[0])
	record(hosts[0], "100d")
	look("the second dies in a minute instead", record(hosts[1], "1m"), hosts[1])
	dir := filepath.Join(t.TempDir(), "report")
	out, err := f.Do(t.Context(), "crawl", "report", "one", "--out", dir, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var r struct{ Headline string }
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Headline == "" {
		t.Errorf("the report says %q, %v", r.Headline, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "report.html")); err != nil || !strings.Contains(string(b), hosts[0]) {
		t.Errorf("report.html does not name %s: %v", hosts[0], err)
	}
	if out, err = f.Do(t.Context(), "audit", hosts[1]); err != nil || !strings.Contains(out, "deadline.set") {
		t.Errorf("the audit log does not have the deadline: %s, %v", out, err)
	}
}
