package crawler

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/crawler/crawllog"
	"salvor/warc"
)

// whole checks that a finished crawl of the site has everything, once.
func (w *world) whole() {
	w.t.Helper()
	captures := w.captures()
	logged := w.logged()
	for _, path := range siteURLs() {
		it, ok := w.front.known(w.key(path))
		switch got := captures[path]; {
		case !ok || !it.settled || !it.entry.Outcome.HasCapture():
			w.t.Errorf("%s is lost: known %v, settled as %v", path, ok, it.entry.Outcome)
		case len(got) != 1:
			w.t.Errorf("%s is in the archive %d times: %v", path, len(got), got)
		case got[0] != it.entry.Place:
			w.t.Errorf("%s is at %v, its outcome cites %v", path, got[0], it.entry.Place)
		}
		if logged[path] != 1 {
			w.t.Errorf("%s has %d lines in crawl.log", path, logged[path])
		}
	}
	if it, ok := w.front.known(w.key("/gone")); !ok || it.entry.Outcome != salvor.Gone {
		w.t.Errorf("/gone is %v", it.entry.Outcome)
	}
	if w.front.dups != 0 {
		w.t.Errorf("%d captures were reported as other captures of the same URL", w.front.dups)
	}
	for name, id := range w.front.segments {
		_, err := os.Stat(filepath.Join(w.dir, "archive", warc.Key(name)))
		if s := w.front.stored[id]; s.State != api.SegmentStored && err == nil {
			w.t.Errorf("%s is in the Store, the table says %v", name, s.State)
		}
	}
	if left := w.files(); len(left) != 0 {
		w.t.Errorf("left in the spool: %v", left)
	}
}

// captures are the places of all captures in the Store, by path.
func (w *world) captures() map[string][]salvor.Place {
	out := map[string][]salvor.Place{}
	for name, id := range w.front.segments {
		f, err := os.Open(filepath.Join(w.dir, "archive", warc.Key(name)))
		if errors.Is(err, os.ErrNotExist) {
			continue // numbered, and then nothing was written to it
		}
		if err != nil {
			w.t.Fatal(err)
		}
		defer f.Close()
		r := warc.NewReader(f, 0, func(off int64, _, text string) { w.t.Errorf("%s at %d: %s", name, off, text) })
		for last := (*salvor.Place)(nil); ; {
			rec, err := r.Next()
			if last != nil && (err == nil || err == io.EOF) {
				end := int64(0)
				if err == nil {
					end = rec.Offset
				}
				last.Length = end - last.Offset
				last = nil
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				w.t.Fatalf("%s: %v", name, err)
			}
			if kind := rec.Get("WARC-Type"); kind == "response" || kind == "revisit" {
				path := strings.TrimPrefix(rec.Get("WARC-Target-URI"), w.web.URL)
				out[path] = append(out[path], salvor.Place{Segment: id, Offset: rec.Offset})
				last = &out[path][len(out[path])-1]
			}
		}
	}
	return out
}

// logged counts the lines of crawl.log that tell of an answer, by path.
func (w *world) logged() map[string]int {
	text, err := os.ReadFile(filepath.Join(w.dir, "crawl.log"))
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]int{}
	for line := range strings.Lines(string(text)) {
		e, err := crawllog.Parse(line)
		if err != nil {
			w.t.Errorf("%q: %v", line, err)
		}
		out[strings.TrimPrefix(e.URL, w.web.URL)]++
	}
	return out
}

// TestWorldIsWhole: without a crash, each step happens that the crashes below
// fall on.
func TestWorldIsWhole(t *testing.T) {
	w := newWorld(t, site())
	if err := w.life("", 0); err != nil {
		t.Fatal(err)
	}
	w.whole()
	for _, name := range crashPoints {
		if w.counts[name] == 0 {
			t.Errorf("%q never happened in %v", name, w.trail)
		}
	}
}

// crashPoints are the steps of a capture's way to its end, in their order.
var crashPoints = []string{
	"OpenSegment", "OpenSegment answer", "create segment", "create journal",
	"write segment", "write journal", // a record, its entry
	"Discover", "Discover answer",
	"sync segment", "sync journal",
	"Settle", "Settle answer", // then the entry is marked: "write journal"
	"rename segment", "Sealed", "Sealed answer",
	"put segment", "put segment answer", "put cdxj", "put cdxj answer",
	"Stored", "Stored answer", "remove segment", "remove journal",
}

// TestCrashPoints: a process that dies before any step of protocol 6 leaves
// what the next run makes whole: nothing is lost, nothing is there twice, and
// what was recorded whole is not fetched again.
func TestCrashPoints(t *testing.T) {
	nths := []int{1, 2, 3, 5}
	if testing.Short() {
		nths = nths[:2]
	}
	for _, name := range crashPoints {
		for _, nth := range nths {
			t.Run(fmt.Sprintf("%s/%d", name, nth), func(t *testing.T) {
				t.Parallel()
				crashAt(t, newWorld(t, site()), name, nth)
			})
		}
	}
}

// TestCrashPointsElsewhere: the same where the Store is on another machine,
// and nothing settles that is not in it.
func TestCrashPointsElsewhere(t *testing.T) {
	nths := []int{1, 3}
	if testing.Short() {
		nths = nths[:1]
	}
	for _, name := range append([]string{"put journal", "put journal answer"}, crashPoints...) {
		for _, nth := range nths {
			t.Run(fmt.Sprintf("%s/%d", name, nth), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, site())
				w.elsewhere = true
				crashAt(t, w, name, nth)
			})
		}
	}
}

func crashAt(t *testing.T, w *world, name string, nth int) {
	err := w.life(name, nth)
	if !errors.Is(err, errKilled) {
		if err != nil {
			t.Fatal(err)
		}
		w.whole() // it happens less often than nth times
		return
	}
	w.revive()
}

// revive runs on until everything is whole.
func (w *world) revive() {
	w.t.Helper()
	if err := w.life("", 0); err != nil {
		w.t.Fatalf("the next run: %v", err)
	}
	w.whole()
}

// TestCrashWhileRecovering: the run after a crash may die as well.
func TestCrashWhileRecovering(t *testing.T) {
	for _, name := range []string{
		"truncate segment", "truncate journal", "sync segment", "Discover", "Discover answer", "Settle", "Settle answer",
		"write journal", "put segment", "put cdxj", "Stored", "Stored answer", "remove segment", "remove journal",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, site())
			// All of the first pages are recorded, none is reported.
			if err := w.life("Settle", 3); !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			for range 3 {
				if err := w.life(name, 1); err != nil && !errors.Is(err, errKilled) {
					t.Fatal(err)
				}
			}
			w.revive()
		})
	}
}

// settledYet names what has an outcome with a capture.
func (w *world) settledYet(paths ...string) (out []string) {
	for _, p := range paths {
		if it, ok := w.front.known(w.key(p)); ok && it.settled && it.entry.Outcome.HasCapture() {
			out = append(out, p)
		}
	}
	return out
}

// TestSettledOnlyAfter: while bytes are not durable, or a batch of links is not
// acknowledged, no page that waits for it is settled (protocol 5).
func TestSettledOnlyAfter(t *testing.T) {
	for _, name := range []string{"Discover", "Discover answer", "sync segment", "sync journal"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan struct{}, 1)
			pages := site()
			start := pages["/"]
			pages["/"] = func(rw http.ResponseWriter, r *http.Request) {
				start(rw, r)
				select {
				case asked <- struct{}{}:
				default:
				}
			}
			w := newWorld(t, pages)
			gate := make(chan struct{})
			w.hold = map[string]chan struct{}{name: gate}
			ended := make(chan error, 1)
			go func() { ended <- w.life("", 0) }()
			<-asked
			select {
			case <-w.held:
			case err := <-ended:
				t.Fatalf("the run ended before %q happened: %v", name, err)
			}
			// Long enough for a worker that does not wait: it reports every 40 ms.
			time.Sleep(6 * commitEvery)
			if got := w.settledYet("/"); len(got) != 0 {
				t.Errorf("settled while %q had not happened: %v", name, got)
			}
			w.mu.Lock()
			w.hold = nil
			w.mu.Unlock()
			close(gate)
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			w.whole()
		})
	}
}

// TestNeverSettledAfterFailure: where durability or acknowledgement fail for
// good, the run ends, nothing that depended on them is settled, and the next
// run has it all.
func TestNeverSettledAfterFailure(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
	}{
		{"Discover", salvor.Errorf(salvor.Internal, "state is broken")},
		{"sync segment", errors.New("input/output error")},
		{"sync journal", errors.New("input/output error")},
		{"Settle", salvor.Errorf(salvor.Internal, "state is broken")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, site())
			w.fail = func(name string) error {
				if name == c.name {
					return c.err
				}
				return nil
			}
			if err := w.life("", 0); err == nil {
				t.Error("the run ended well")
			}
			if got := w.settledYet(siteURLs()...); len(got) != 0 {
				t.Errorf("settled: %v", got)
			}
			w.fail = nil
			w.revive()
		})
	}
}

// TestUnknownOutcomes: calls whose answers are lost are repeated, and count once.
func TestUnknownOutcomes(t *testing.T) {
	w := newWorld(t, site())
	lost := map[string]bool{}
	w.fail = func(name string) error {
		if strings.HasSuffix(name, " answer") && !strings.HasPrefix(name, "put ") && !lost[name] {
			lost[name] = true
			return salvor.Errorf(salvor.Unavailable, "leadership was lost")
		}
		return nil
	}
	if err := w.life("", 0); err != nil {
		t.Fatal(err)
	}
	w.whole()
}
