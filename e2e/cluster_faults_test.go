package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"salvor/e2e/rig"
)

// row is one line of the table of faults.
type row struct {
	fault  string
	groups int
	quiet  time.Duration // longest time without a request for a page
	after  time.Duration // from the fault to the beginning of that time
	note   string
}

var faults struct {
	sync.Mutex
	rows []*row
}

// fault does harm to a crawl under way and measures how long nothing is fetched
// within the time after it.
func (f *fleet) fault(name string, watch time.Duration, do func()) *row {
	f.t.Helper()
	if watch > 0 {
		f.underway()
	}
	at := time.Now()
	do()
	f.t.Logf("%s: done after %s", name, time.Since(at).Round(time.Millisecond))
	time.Sleep(time.Until(at.Add(watch)))
	n := f.web.Count()
	eventuallySay(f.t, 2*time.Minute, func() string { return "progress after: " + name }, func() bool {
		return f.web.Count() > n || f.web.Count() >= f.pages()
	})
	quiet, began := f.web.Silence(at, time.Now())
	r := &row{name, max(1, f.Groups), quiet, began.Sub(at), ""}
	f.t.Logf("%s: %s without progress, from %s after it on; %d pages asked for", name, r.quiet.Round(10*time.Millisecond), r.after.Round(10*time.Millisecond), f.web.Count())
	f.noted(r)
	return r
}

// noted puts a row into the table of this run.
func (f *fleet) noted(r *row) {
	faults.Lock()
	defer faults.Unlock()
	faults.rows = append(faults.rows, r)
}

// writeFaults logs the table of a run, and keeps it where that is in full size.
func writeFaults(t *testing.T) {
	t.Helper()
	faults.Lock()
	defer faults.Unlock()
	if len(faults.rows) == 0 {
		return
	}
	root, err := rig.Root()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-60s %6s %8s  %s\n", "fault", "groups", "quiet", "note")
	for _, r := range faults.rows {
		fmt.Fprintf(&b, "%-60s %6d %6.1f s  %s\n", r.fault, r.groups, r.quiet.Seconds(), r.note)
	}
	t.Logf("longest time without a request after each fault so far:\n%s", &b)
	if !*long {
		return
	}
	if err := os.MkdirAll(filepath.Join(root, "bench"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "bench", "cluster-faults.txt"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// atMostQuiet fails the test when a fault cost more time than promised.
func (f *fleet) atMostQuiet(r *row, most time.Duration) {
	f.t.Helper()
	if most = promised(most); r.quiet > most {
		f.t.Errorf("%s: %s without progress, want at most %s", r.fault, r.quiet, most)
	}
}
