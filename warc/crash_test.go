package warc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"salvor"
	"salvor/warc/cdx"
)

// crashRun writes, syncs, settles and seals until its file system dies, and
// says what it was promised by then.
type crashRun struct {
	written map[string][]byte // URL -> block, of every Write that returned
	synced  map[string]bool
	settled map[string]bool
	tried   map[string]bool // Settled was called, whatever it said
}

var largeBody = sync.OnceValue(func() string { return words(rand.New(rand.NewPCG(3, 3)), 40_000) })

func (r *crashRun) run(ctx context.Context, p *Pool, rng *rand.Rand, from, n int) {
	var open []string
	receipts := map[string]Receipt{}
	for i := from; i < from+n; i++ {
		url := fmt.Sprintf("http://example.com/%d", i)
		body := words(rng, 200+rng.IntN(3000))
		if i%7 == 3 {
			body = largeBody() // streams
		}
		e := page(url, body)
		e.Journal.Bytes = int64(len(body))
		rc, err := p.Write(ctx, e)
		if err != nil {
			return
		}
		receipts[url], r.written[url] = rc, e.Response.(bytesBlock)
		open = append(open, url)
		if i%3 == 2 {
			if p.Sync(ctx) != nil {
				return
			}
			for _, u := range open {
				r.synced[u] = true
			}
			half := open[:len(open)/2]
			open = open[len(half):]
			var rs []Receipt
			for _, u := range half {
				rs, r.tried[u] = append(rs, receipts[u]), true
			}
			if p.Settled(ctx, rs) != nil {
				return
			}
			for _, u := range half {
				r.settled[u] = true
			}
		}
		if i%5 == 4 && p.Seal(ctx) != nil {
			return
		}
	}
}

// TestCrashAnywhere stops a pool at each of its file operations in turn, by
// kill or by power cut, opens it again, and checks protocol 6: what was synced
// is there, at its offset, with its journal entry unless settled; what is
// stored verifies; index lines range-read to whole records.
func TestCrashAnywhere(t *testing.T) {
	total := crashOps(t)
	if total < 80 {
		t.Fatalf("only %d operations to crash at", total)
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	for _, power := range []bool{false, true} {
		for at := 1; at <= total; at += step {
			crashOnce(t, at, power)
			if t.Failed() {
				t.Fatalf("crash at operation %d of %d, power cut %v", at, total, power)
			}
		}
	}
}

const crashExchanges = 12

func crashOps(t *testing.T) int {
	fs := newFaultFS()
	c := testConfig(t, t.TempDir())
	c.FS, c.small = fs, 10_000
	p, _ := mustOpen(t, c)
	r := newCrashRun()
	r.run(t.Context(), p, rand.New(rand.NewPCG(7, 7)), 0, crashExchanges)
	if len(r.written) != crashExchanges {
		t.Fatalf("without a crash %d of %d were written", len(r.written), crashExchanges)
	}
	p.Close(t.Context())
	return fs.ops
}

func newCrashRun() *crashRun {
	return &crashRun{map[string][]byte{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
}

func crashOnce(t *testing.T, at int, power bool) {
	dir := t.TempDir()
	fs := newFaultFS()
	fs.crashAt = at
	c := testConfig(t, dir)
	c.FS, c.OnError, c.small = fs, func(error) {}, 10_000
	ids := map[string]salvor.SegmentID{}
	c.OpenSegment = func(_ context.Context, name string) (salvor.SegmentID, error) {
		if ids[name] == 0 {
			ids[name] = salvor.SegmentID(len(ids) + 1)
		}
		return ids[name], nil
	}
	r := newCrashRun()
	if p, _, err := Open(t.Context(), c); err == nil {
		r.run(t.Context(), p, rand.New(rand.NewPCG(7, 7)), 0, crashExchanges)
		p.halt()
		p.closeFiles()
	}
	rng := rand.New(rand.NewPCG(uint64(at), 1))
	if power {
		if err := fs.powerCut(rng); err != nil {
			t.Fatal(err)
		}
	}
	c.FS, c.OnError = newFaultFS(), func(err error) { t.Log(err) }
	p, rec, err := Open(t.Context(), c)
	if err != nil {
		t.Error(err)
		return
	}
	defer p.Close(context.Background())
	checkRecovered(t, r, rec, power)
	// the crawl goes on, and everything ends up stored and settled
	more := newCrashRun()
	more.run(t.Context(), p, rng, 1000, 4)
	mustSeal(t, p)
	checkStored(t, dir, r, more)
	var rs []Receipt
	for i := range rec.Entries {
		rs = append(rs, rec.Entries[i].Receipt())
	}
	if err := p.Settled(t.Context(), rs); err != nil {
		t.Error(err)
	}
}

func checkRecovered(t *testing.T, r *crashRun, rec Recovery, power bool) {
	t.Helper()
	back := map[string]bool{}
	for i := range rec.Entries {
		e := &rec.Entries[i]
		back[e.URL] = true
		if r.settled[e.URL] && !power {
			t.Errorf("%s came back though it was settled", e.URL)
		}
		if want, ok := r.written[e.URL]; ok && string(readBlock(t, e)) != string(want) {
			t.Errorf("%s came back with another block", e.URL)
		}
		m, err := e.Metadata(t.Context())
		if err != nil || m == nil || len(m.Outlinks) != 2 || m.Outlinks[0] != (Outlink{"http://example.com/next", 'L', "a/@href"}) {
			t.Errorf("%s: metadata %+v, %v", e.URL, m, err)
		}
	}
	for url := range r.written {
		durable := r.synced[url] || !power // a killed process loses nothing it wrote
		if durable && !r.tried[url] && !back[url] {
			t.Errorf("%s was written, not settled, and did not come back", url)
		}
	}
}

// checkStored looks at the Store as a stranger would: with the files only.
func checkStored(t *testing.T, dir string, runs ...*crashRun) {
	t.Helper()
	found := map[string]int{}
	for _, path := range stored(t, dir) {
		rep, err := Verify(t.Context(), path)
		if err != nil || !rep.OK() {
			t.Errorf("%s: %v %v", path, err, rep.Problems)
		}
		eachLine(t, path, func(l cdx.Line, rec *Record, block []byte) {
			found[l.URL]++
			for _, r := range runs {
				if want, ok := r.written[l.URL]; ok && string(block) != string(want) {
					t.Errorf("%s: index leads to another block", l.URL)
				}
			}
		})
	}
	for _, r := range runs {
		for url := range r.synced {
			if found[url] != 1 {
				t.Errorf("%s was synced and is in the Store %d times", url, found[url])
			}
		}
	}
}

// eachLine range-reads what every line of a segment's index points at.
func eachLine(t *testing.T, path string, f func(cdx.Line, *Record, []byte)) {
	t.Helper()
	for _, l := range indexOf(t, path) {
		rec, block := memberAt(t, path, l.Offset, l.Length)
		if got := rec.Get("WARC-Target-URI"); got != l.URL {
			t.Errorf("%s: line of %s points at a record of %s", path, l.URL, got)
		}
		f(l, rec, block)
	}
}
