package warc

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/nlnwa/gowarc"
)

// benchPage is a page of 22 KB with 50 links, as in the synthetic site.
func benchPage(i int) *Exchange {
	e := page(fmt.Sprintf("http://example.com/page/%d", i), words(rand.New(rand.NewPCG(1, uint64(i))), 22<<10))
	e.Metadata.Outlinks = nil
	for n := range 50 {
		e.Metadata.Outlinks = append(e.Metadata.Outlinks, Outlink{URL: fmt.Sprintf("http://example.com/page/%d", i*50+n), Hop: 'L', Context: "a/@href"})
	}
	return e
}

func benchPages() []*Exchange {
	es := make([]*Exchange, 64)
	for i := range es {
		es[i] = benchPage(i)
	}
	return es
}

// reportCPU says how much processor time an operation took, which a busy
// machine does not lengthen as it does the wall time.
func reportCPU(b *testing.B, since time.Duration, n int) {
	b.ReportMetric(float64((cpuTime()-since).Microseconds())/float64(n), "cpu-us/op")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkExchange is one exchange of request, response and metadata, from
// Write to the page cache.
func BenchmarkExchange(b *testing.B) {
	es := benchPages()
	for _, level := range []int{1, 2, 3} {
		b.Run(fmt.Sprintf("level=%d", level), func(b *testing.B) {
			c := testConfig(b, b.TempDir())
			c.Level = level
			p, _ := mustOpen(b, c)
			b.ReportAllocs()
			n, start := 0, cpuTime()
			for b.Loop() {
				mustWrite(b, p, es[n%len(es)])
				n++
			}
			reportCPU(b, start, n)
			b.ReportMetric(float64(p.open[0].good.Load())/float64(n), "bytes/exchange")
		})
	}
}

// BenchmarkGowarc is the same exchange through gowarc's builders and
// marshaler, gzip level 1, validation on, without a file.
func BenchmarkGowarc(b *testing.B) {
	es := benchPages()
	gz, _ := gzip.NewWriterLevel(io.Discard, 1)
	var out counter
	out.w = io.Discard
	b.ReportAllocs()
	n, start := 0, cpuTime()
	for b.Loop() {
		e := es[n%len(es)]
		n++
		block := e.Response.(bytesBlock)
		gowarcRecord(b, gz, &out, gowarc.Response, e.URL, "application/http;msgtype=response", block)
		gowarcRecord(b, gz, &out, gowarc.Request, e.URL, "application/http;msgtype=request", e.Request)
		gowarcRecord(b, gz, &out, gowarc.Metadata, e.URL, "application/warc-fields", e.Metadata.appendFields(nil))
	}
	reportCPU(b, start, n)
	b.ReportMetric(float64(out.n)/float64(n), "bytes/exchange")
}

var benchLock sync.Mutex

func gowarcRecord(b *testing.B, gz *gzip.Writer, out *counter, t gowarc.RecordType, url, ct string, block []byte) {
	benchLock.Lock()
	rb := gowarc.NewRecordBuilder(t, gowarc.WithStrictValidation(), gowarc.WithDefaultDigestAlgorithm("sha1"))
	benchLock.Unlock()
	rb.AddWarcHeader(gowarc.WarcDate, "2026-11-24T01:02:03.456Z")
	rb.AddWarcHeader(gowarc.WarcTargetURI, url)
	rb.AddWarcHeader(gowarc.WarcIPAddress, "127.0.0.5")
	rb.AddWarcHeader(gowarc.ContentType, ct)
	if _, err := rb.Write(block); err != nil {
		b.Fatal(err)
	}
	rec, v, err := rb.Build()
	if err != nil || !v.Valid() {
		b.Fatal(err, v)
	}
	gz.Reset(out)
	if _, _, err := gowarc.NewMarshaler().Marshal(gz, rec, 0); err != nil {
		b.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		b.Fatal(err)
	}
	rec.Close()
}

// BenchmarkSync is one exchange made durable alone: what group commit shares.
func BenchmarkSync(b *testing.B) {
	es := benchPages()
	p, _ := mustOpen(b, testConfig(b, b.TempDir()))
	n := 0
	for b.Loop() {
		mustWrite(b, p, es[n%len(es)])
		n++
		if err := p.Sync(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
