package index_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"salvor/warc/cdx"
	"salvor/warc/cdx/index"
)

// captures is how many the index holds in the benchmarks: 50 million are what
// docs/performance.md tells of.
var captures = flag.Int("captures", 1_000_000, "captures in the index of the benchmarks")

const perSegment = 50_000

func segmentOf(n int) []byte {
	var b bytes.Buffer
	for i := range perSegment {
		k := (n*perSegment + i) * 7919 % (1 << 30)
		l := line(fmt.Sprintf("com,example)/forum/topic/%010d", k), "20261124010203", fmt.Sprintf("http://example.com/forum/topic/%010d", k), fmt.Sprintf("seg-%05d.warc.gz", n), int64(i)*1000)
		l.ID = fmt.Sprintf("urn:uuid:%08x-e6b3-4d27-967d-34780c58ba39", k)
		b.Write(l.Append(nil))
	}
	return b.Bytes()
}

func BenchmarkAdd(b *testing.B) {
	x := open(b, b.TempDir())
	defer x.Close()
	text := segmentOf(0)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := x.Add(b.Context(), fmt.Sprint(n), bytes.NewReader(text)); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(n*perSegment)/b.Elapsed().Seconds(), "lines/s")
}

func filled(b *testing.B) *index.Index {
	x := open(b, b.TempDir())
	for n := range *captures / perSegment {
		if _, _, err := x.Add(b.Context(), fmt.Sprint(n), bytes.NewReader(segmentOf(n))); err != nil {
			b.Fatal(err)
		}
	}
	return x
}

func BenchmarkLookup(b *testing.B) {
	x := filled(b)
	defer x.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	for b.Loop() {
		key := cdx.SURT(fmt.Sprintf("http://example.com/forum/topic/%010d", rng.IntN(*captures)*7919%(1<<30)))
		n := 0
		if err := x.Scan(b.Context(), index.Span{From: []byte(key + " "), To: []byte(key + "!")}, func(*index.Entry) bool { n++; return true }); err != nil || n == 0 {
			b.Fatal(key, n, err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	x := filled(b)
	defer x.Close()
	var buf []byte
	n := 0
	for b.Loop() {
		if err := x.Scan(b.Context(), index.Span{From: []byte("com,example)/"), To: []byte("com,example)0")}, func(e *index.Entry) bool {
			buf = e.Append(buf[:0])
			n++
			return true
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "lines/s")
}
