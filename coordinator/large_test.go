package coordinator

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

var thousands = flag.Int("urls", 0, "thousands of known URLs in TestStartsSoon; 10000 is the full form")

// fillDir tells the test binary to be the child that fills a directory.
const fillDir = "SALVOR_TEST_FILL_DIR"

// fillUntilKilled discovers so many URLs, says so, and waits to be killed.
func fillUntilKilled(dir, urls string) error {
	total, err := strconv.Atoi(urls)
	if err != nil {
		return err
	}
	ctx := context.Background()
	n, err := Start(ctx, Config{Dir: dir})
	if err != nil {
		return err
	}
	c, err := n.CreateCrawl(ctx, api.Crawl{Name: "large", State: salvor.CrawlRunning})
	if err != nil {
		return err
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range killWriters {
		all.Go(func() {
			for {
				from := int(next.Add(fillBatch)) - fillBatch
				if from >= total {
					return
				}
				d := api.Discovery{Crawl: c.ID}
				for i := from; i < min(from+fillBatch, total); i++ {
					d.Items = append(d.Items, killOffer(c, i))
				}
				if _, err := n.Discover(ctx, api.Call{}, d); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
			}
		})
	}
	all.Wait()
	fmt.Println("filled")
	select {}
}

const fillBatch = 500

// TestStartsSoon: a directory is ready soon after SIGKILL and sooner after a
// clean stop, however much it knows. The full form (-args -urls 10000) holds
// the times: 5 s and half a second; on a busy machine the short one could not.
func TestStartsSoon(t *testing.T) {
	dir, urls := filepath.Join(t.TempDir(), "node"), 20_000
	if *thousands > 0 {
		urls = *thousands * 1000
	}
	fillAndKill(t, dir, urls)
	for _, c := range []struct {
		after string
		most  time.Duration
	}{{"SIGKILL", 5 * time.Second}, {"a clean stop", 500 * time.Millisecond}} {
		start := time.Now()
		n, err := Start(t.Context(), Config{Dir: dir})
		must(t, err)
		took := time.Since(start)
		t.Logf("%d URLs: ready %v after %s", urls, took.Round(time.Millisecond), c.after)
		if *thousands > 0 && took > c.most {
			t.Errorf("ready %v after %s, want %v", took, c.after, c.most)
		}
		all, err := n.Crawls(t.Context())
		must(t, err)
		if x, err := n.Totals(t.Context(), all[0].ID); err != nil || x.Accepted != int64(urls+7) { // of 7 hosts
			t.Errorf("%d URLs accepted of %d, %v", x.Accepted, urls, err)
		}
		must(t, n.Close(t.Context()))
	}
}

func fillAndKill(t *testing.T, dir string, urls int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fillDir+"="+dir, fmt.Sprintf("SALVOR_TEST_FILL_URLS=%d", urls))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	start := time.Now()
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	if err != nil || strings.TrimSpace(line) != "filled" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	for l := range strings.Lines(string(status)) {
		if strings.HasPrefix(l, "VmHWM:") {
			t.Logf("%d URLs discovered in %v; most resident:%s", urls, time.Since(start).Round(time.Second), strings.TrimSpace(l[len("VmHWM:"):]))
		}
	}
}
