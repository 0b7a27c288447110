package frontier

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

var million = flag.Int("urls", 0, "thousands of known URLs in TestMemory; 10000 is the full form")

// bench is a machine on the disk, fed as the log would: encoded entries of 100
// offers.
type bench struct {
	testing.TB
	m       *Machine
	dir     string
	index   uint64
	request uint64
}

func newBench(tb testing.TB, cache int64) *bench {
	dir := tb.TempDir()
	m, err := Open(dir, Options{CacheBytes: cache})
	if err != nil {
		tb.Fatal(err)
	}
	b := &bench{TB: tb, m: m, dir: dir}
	b.do(&CreateCrawl{api.Crawl{ID: 1, Name: "bench", State: salvor.CrawlRunning, Start: salvor.Unlimited}})
	b.do(&Register{Worker: "w", Session: 1})
	b.do(noRobots())
	return b
}

func (b *bench) close() {
	if err := b.m.Close(); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) encode(c Command) Entry {
	b.index++
	b.request++
	return Entry{Index: b.index, Data: Encode(Envelope{Session: 1, Request: b.request, Now: int64(b.index), Command: c})}
}

func (b *bench) do(cs ...Command) []Outcome {
	entries := make([]Entry, len(cs))
	for i, c := range cs {
		entries[i] = b.encode(c)
	}
	return b.apply(entries)
}

func (b *bench) apply(entries []Entry) []Outcome {
	out := b.m.ApplyBatch(entries)
	for i := range out {
		if out[i].Err != nil {
			b.Fatal(out[i].Err)
		}
	}
	return out
}

// offer is the i-th URL of a site of 20 hosts; keys are spread like hashes.
func offer(i int) api.Offer {
	host := fmt.Sprintf("www%d.platform.example", i%20)
	origin := "https://" + host
	return api.Offer{Item: salvor.Item{
		Key: benchKey(i), Host: host, Origin: origin,
		URL:   fmt.Sprintf("%s/forum/topic/%x/view?page=%d", origin, benchKey(i), i%9),
		Via:   fmt.Sprintf("%s/forum/board/%d", origin, i/40),
		Class: salvor.ClassPage, Band: salvor.BandPage, Hop: salvor.Hop{Links: 3, Path: "LLL"},
	}}
}

// noRobots makes the robots.txt of the hosts known and excluded: no gate.
func noRobots() *Discover {
	d := &Discover{api.Discovery{Crawl: 1}}
	for i := range 20 {
		o := offer(i)
		o.URL = o.Origin + robotsPath
		o.Key = salvor.ItemKey(salvor.HashKey{}, "", o.URL, nil)
		o.Class, o.Band, o.Hop, o.Excluded = salvor.ClassRobots, salvor.BandRobots, salvor.Hop{}, "none"
		d.Discovery.Items = append(d.Discovery.Items, o)
	}
	return d
}

func benchKey(i int) (k salvor.Key) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(i))
	return salvor.ItemKey(salvor.HashKey{1}, "", string(b[:]), nil)
}

func discovery(from, n int) *Discover {
	d := &Discover{api.Discovery{Crawl: 1}}
	for i := range n {
		d.Discovery.Items = append(d.Discovery.Items, offer(from+i))
	}
	return d
}

// entries encodes n offers in entries of 100, 16 entries a batch.
func (b *bench) batches(from, n int) (list [][]Entry) {
	for i := 0; i < n; i += 1600 {
		var batch []Entry
		for j := i; j < min(i+1600, n); j += 100 {
			batch = append(batch, b.encode(discovery(from+j, min(100, n-j))))
		}
		list = append(list, batch)
	}
	return list
}

func (b *bench) fill(n int) {
	for i := 0; i < n; i += 160_000 {
		for _, batch := range b.batches(i, min(160_000, n-i)) {
			b.apply(batch)
		}
	}
}

// cpu reports what the process used, flushes and compactions included: on a
// shared machine the wall clock says little.
func cpu(b *testing.B) func() {
	b.ReportAllocs()
	b.ResetTimer()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	start := used()
	return func() { b.ReportMetric(float64((used()-start).Microseconds())/float64(b.N), "cpu-us/op") }
}

// BenchmarkNew offers URLs nobody knows; one operation is one offer.
func BenchmarkNew(b *testing.B) {
	x := newBench(b, 0)
	defer x.close()
	batches := x.batches(0, b.N)
	defer cpu(b)()
	for _, batch := range batches {
		x.apply(batch)
	}
}

// BenchmarkKnown offers URLs among 2 million that are known.
func BenchmarkKnown(b *testing.B) {
	x := newBench(b, 0)
	defer x.close()
	known := 2_000_000
	x.fill(known)
	var batches [][]Entry
	for i := 0; i < b.N; i += 100_000 {
		batches = append(batches, x.batches((i*7919)%(known-100_000), min(100_000, b.N-i))...)
	}
	defer cpu(b)()
	for _, batch := range batches {
		x.apply(batch)
	}
}

// grantOf leases n items of each of 20 hosts.
func (b *bench) grantOf(n int) []api.Lease {
	g := &Grant{Session: 1}
	for h := range 20 {
		g.Hosts = append(g.Hosts, GrantHost{Crawl: 1, Host: fmt.Sprintf("www%d.platform.example", h), Items: n, Pace: 1000})
	}
	return b.do(g)[0].Result.([]api.Lease)
}

// BenchmarkPop leases items, 20 a lease.
func BenchmarkPop(b *testing.B) {
	x := newBench(b, 0)
	defer x.close()
	x.fill(b.N + 400)
	defer cpu(b)()
	for n := 0; n < b.N; {
		got := 0
		for _, l := range x.grantOf(20) {
			got += len(l.Items)
		}
		if got == 0 {
			b.Fatal("nothing left")
		}
		n += got
	}
}

func settlement(leases []api.Lease) *Settle {
	s := &Settle{api.Settlement{Crawl: 1}}
	for _, l := range leases {
		for _, it := range l.Items {
			s.Settlement.Entries = append(s.Settlement.Entries, api.Entry{
				Key: it.Key, Host: l.Host, Lease: l.ID, Outcome: salvor.Saved, Status: 200, Bytes: 22_000, Type: "text/html",
				Place: salvor.Place{Segment: 3, Offset: int64(it.Key[0])<<20 + 1, Length: 5000}, At: 1_700_000_000_000, Digest: salvor.SHA1(append(it.Key[:], 1, 2, 3, 4)),
			})
		}
	}
	return s
}

// BenchmarkSettle settles what was leased, 400 an entry.
func BenchmarkSettle(b *testing.B) {
	x := newBench(b, 0)
	defer x.close()
	x.fill(b.N + 400)
	var all [][]api.Lease
	for n := 0; n < b.N; {
		leases := x.grantOf(20)
		for _, l := range leases {
			n += len(l.Items)
		}
		all = append(all, leases)
	}
	var entries []Entry
	for _, leases := range all {
		entries = append(entries, x.encode(settlement(leases)))
	}
	defer cpu(b)()
	for _, e := range entries {
		x.apply([]Entry{e})
	}
}

// BenchmarkPage is the whole share of one crawled page: its slot in a grant,
// ten offers of which one is new, its outcome.
func BenchmarkPage(b *testing.B) {
	x := newBench(b, 0)
	defer x.close()
	known := 200_000
	x.fill(known)
	var rounds [][]Entry
	for n := 0; n < b.N; n += 400 {
		var round []Entry
		for i := range 40 {
			d := discovery((n+i)*31%(known-100), 90)
			d.Discovery.Items = append(d.Discovery.Items, discovery(known+n+i*10, 10).Discovery.Items...)
			round = append(round, x.encode(d))
		}
		rounds = append(rounds, round)
	}
	defer cpu(b)()
	for _, round := range rounds {
		leases := x.grantOf(20)
		for i := range round {
			x.index++
			round[i].Index = x.index
		}
		x.apply(append(round, x.encode(settlement(leases))))
	}
}

// TestMemory: what a node keeps resident does not grow with what it knows.
// The short form fills 200,000 URLs and looks at the block cache; -urls 10000
// is the full form and holds ten million under a gigabyte.
func TestMemory(t *testing.T) {
	thousands := *million
	if thousands == 0 {
		thousands = 200 / slower
	}
	x := newBench(t, 0)
	defer x.close()
	start := time.Now()
	x.fill(thousands * 1000)
	took := time.Since(start)
	// What was known is offered again from the disk: a few URLs fit a memtable.
	for range 2 {
		if err := x.m.Flush(); err != nil {
			t.Fatal(err)
		}
		x.apply(x.batches(0, 1600)[0])
		x.apply(x.batches(thousands*500, 1600)[0])
	}
	rss, heap := resident(t)
	metrics := x.m.db.Metrics()
	t.Logf("%d URLs in %v: resident %d MB (heap %d MB), on disk %d MB, block cache %d MB with %d hits and %d misses",
		thousands*1000, took.Round(time.Millisecond), rss>>20, heap>>20, metrics.DiskSpaceUsage()>>20,
		metrics.BlockCache.Size>>20, metrics.BlockCache.Hits, metrics.BlockCache.Misses)
	x.close()
	start = time.Now()
	m, err := Open(x.dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	x.m = m
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("opening took %v", took)
	} else {
		t.Logf("opened again in %v", took)
	}
	if rss > 1<<30 {
		t.Errorf("%d MB are resident", rss>>20)
	}
	if metrics.BlockCache.Hits == 0 {
		t.Error("the block cache is never hit: memtables leave it no room")
	}
}

func resident(t *testing.T) (rss, heap uint64) {
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc here")
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Sscan(rest, &rss)
		}
	}
	return rss << 10, ms.HeapInuse
}
