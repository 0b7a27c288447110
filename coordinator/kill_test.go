package coordinator

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// killDir tells the test binary to be the child that is killed.
const killDir = "SALVOR_TEST_KILL_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(fillDir); dir != "" {
		if err := fillUntilKilled(dir, os.Getenv("SALVOR_TEST_FILL_URLS")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	if dir := os.Getenv(killDir); dir != "" {
		if err := offerUntilKilled(dir, os.Getenv("SALVOR_TEST_KILL_FROM")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

const killWriters = 8

// offerUntilKilled discovers one item after the other and says which were
// acknowledged, until somebody kills it.
func offerUntilKilled(dir, from string) error {
	first, err := strconv.Atoi(from)
	if err != nil {
		return err
	}
	ctx := context.Background()
	// Small limits, so that kills meet snapshots and new log segments.
	n, err := Start(ctx, Config{Dir: dir, CacheBytes: 32 << 20, SnapshotBytes: 64 << 10})
	if err != nil {
		return err
	}
	c, err := n.CreateCrawl(ctx, api.Crawl{Name: "killed", State: salvor.CrawlRunning})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	var all sync.WaitGroup
	for w := range killWriters {
		all.Go(func() {
			for i := first + w; ; i += killWriters {
				o := killOffer(c, i)
				if _, err := n.Discover(ctx, api.Call{}, api.Discovery{Crawl: c.ID, Items: []api.Offer{o}}); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Println(i) // one write: not torn by the kill
			}
		})
	}
	all.Wait()
	return nil
}

func killOffer(c api.Crawl, i int) api.Offer {
	origin := fmt.Sprintf("https://host-%d.example", i%7)
	url := fmt.Sprintf("%s/%d", origin, i)
	return api.Offer{Item: salvor.Item{
		Key: salvor.ItemKey(c.HashKey, "GET", url, nil), Crawl: c.ID, Host: fmt.Sprintf("host-%d.example", i%7), Origin: origin, URL: url, Band: salvor.BandPage,
	}}
}

// TestNothingAcknowledgedIsLost kills a node as SIGKILL does, again and again.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "node")
	acked := map[int]bool{}
	rounds := 6
	if testing.Short() {
		rounds = 3
	}
	next := 0
	for round := range rounds {
		for _, i := range killOnce(t, dir, next, time.Duration(60+round*90)*time.Millisecond) {
			acked[i] = true
			next = max(next, i+killWriters)
		}
	}
	if len(acked) < 10*rounds {
		t.Fatalf("only %d offers were acknowledged in %d rounds", len(acked), rounds)
	}
	n := startNode(t, dir)
	c, err := n.CreateCrawl(t.Context(), api.Crawl{Name: "killed"})
	must(t, err)
	lost := 0
	for i := range acked {
		o := killOffer(c, i)
		if k, err := n.Lookup(t.Context(), c.ID, o.Host, o.Key); err != nil || k.URL != o.URL {
			lost++
			t.Logf("offer %d: %v", i, err)
		}
	}
	x, err := n.Totals(t.Context(), c.ID)
	must(t, err)
	if lost > 0 || x.Accepted < int64(len(acked)) || x.Accepted != x.Queued {
		t.Errorf("%d of %d acknowledged offers are lost; totals %+v", lost, len(acked), x)
	}
	t.Logf("%d offers acknowledged, %d accepted, %d kills", len(acked), x.Accepted, rounds)
}

// killOnce runs a child for a while after it is ready and kills it. It returns
// what was acknowledged.
func killOnce(t *testing.T, dir string, from int, after time.Duration) (acked []int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killDir+"="+dir, fmt.Sprintf("SALVOR_TEST_KILL_FROM=%d", from))
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var once sync.Once
	in := bufio.NewReader(out)
	for {
		line, err := in.ReadString('\n')
		if err != nil { // a line without its end was not written whole
			break
		}
		once.Do(func() { time.AfterFunc(after, func() { cmd.Process.Kill() }) })
		if i, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
			acked = append(acked, i)
		}
	}
	_, _ = io.Copy(io.Discard, in)
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child was not killed but ended: %s", complaint.String())
	}
	return acked
}
