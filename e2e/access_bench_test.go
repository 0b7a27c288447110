package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"salvor/e2e/rig"
	"salvor/warc/cdx"
)

// benchLines is how many captures the index has in BenchmarkCDX: pywb answers with at
// most 100,000.
const benchLines = 90_000

// indexOnly is an archive with an index alone: nothing is read of its records.
func indexOnly(b *testing.B) (dir, cdxj string) {
	b.Helper()
	dir = filepath.Join(b.TempDir(), "bench")
	if err := os.MkdirAll(filepath.Join(dir, "warc"), 0o755); err != nil {
		b.Fatal(err)
	}
	name := "bench-20261124010203456-00001-n.warc.gz"
	lines := make([]cdx.Line, benchLines)
	for i := range lines {
		url := fmt.Sprintf("http://example.com/forum/topic/%06d", i)
		lines[i] = cdx.Line{Key: cdx.SURT(url), Timestamp: "20261124010203", URL: url, Mime: "text/html", Status: "200", Digest: "VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE5", Length: 4000, Offset: int64(i) * 4000, Filename: name}
	}
	var text bytes.Buffer
	if err := cdx.Write(&text, lines); err != nil {
		b.Fatal(err)
	}
	cdxj = filepath.Join(dir, "warc", "bench-20261124010203456-00001-n.cdxj")
	if err := os.WriteFile(cdxj, text.Bytes(), 0o644); err != nil {
		b.Fatal(err)
	}
	return dir, cdxj
}

func fetched(b *testing.B, c *http.Client, url string) []byte {
	b.Helper()
	resp, err := c.Get(url)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatalf("%s: %d %v", url, resp.StatusCode, err)
	}
	return text
}

// BenchmarkCDX asks our CDX server and pywb's, over the same CDXJ file and in turn, for
// one capture of an address, and for a prefix with all of them. It reports how many
// times as fast ours is.
func BenchmarkCDX(b *testing.B) {
	py, err := rig.FindCheckers()
	if err != nil {
		b.Skip(err)
	}
	bin, err := buildPlain()
	if err != nil {
		b.Fatal(err)
	}
	dir, cdxj := indexOnly(b)
	addr, err := rig.FreePort("127.0.0.1")
	if err != nil {
		b.Fatal(err)
	}
	p, err := rig.Start("", nil, bin, "serve", "--listen", addr, dir)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = p.Signal(syscall.SIGKILL)
		<-p.Done()
	}()
	if err := rig.WaitListening(addr, 30*time.Second); err != nil {
		b.Fatal(err)
	}
	w, err := py.ReplayFile(b.TempDir(), cdxj)
	if err != nil {
		b.Fatal(err)
	}
	defer w.Stop()
	ours, theirs := "http://"+addr+"/bench/cdx", w.URL+"/cdx"
	c := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	rng := rand.New(rand.NewPCG(1, 2))
	var took [4]time.Duration
	n := 0
	for b.Loop() {
		n++
		for range 50 {
			q := fmt.Sprintf("?url=http://example.com/forum/topic/%06d", rng.IntN(benchLines))
			for i, server := range []string{ours, theirs} {
				began := time.Now()
				if got := fetched(b, c, server+q); bytes.Count(got, []byte("\n")) != 1 {
					b.Fatalf("%s%s: %s", server, q, got)
				}
				took[i] += time.Since(began)
			}
		}
		for i, server := range []string{ours, theirs} {
			began := time.Now()
			if got := fetched(b, c, server+"?url=http://example.com/forum/&matchType=prefix"); bytes.Count(got, []byte("\n")) != benchLines {
				b.Fatalf("%s: %d lines", server, bytes.Count(got, []byte("\n")))
			}
			took[2+i] += time.Since(began)
		}
	}
	b.ReportMetric(float64(took[0].Microseconds())/float64(50*n), "us/lookup")
	b.ReportMetric(float64(took[1])/float64(took[0]), "x-pywb-lookup")
	b.ReportMetric(float64(benchLines*n)/took[2].Seconds(), "lines/s")
	b.ReportMetric(float64(took[3])/float64(took[2]), "x-pywb-lines")
}
