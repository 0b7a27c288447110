package e2e

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"salvor/e2e/rig"
	"salvor/e2e/site"
)

// TestKill: a crawl that is killed again and again at random moments, and
// resumed each time, ends with every page in a WARC file exactly once and
// every "saved" pointing at bytes that verify.
func TestKill(t *testing.T) {
	s := site.Site{Pages: size(2000, 20000)}
	kills := size(3, 10)
	web := synthetic(t, s)
	// Slow enough that each kill finds a crawl under way.
	c := newCrawl(t, buildRace, "--limit-rate", fmt.Sprint(size(3, 8), "MB"))
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed of the random moments: %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	made := 0
	for i := range kills {
		// The same command and --resume must do the same.
		var p *rig.Process
		if i%2 == 0 || made == 0 {
			p = c.start(web.URL + "/")
		} else {
			p = c.exec("save", "--resume="+c.dir)
		}
		if !killSometime(t, p, web, r, s.Pages/(2*kills)) {
			t.Logf("run %d came to its end before it was killed", i)
			break
		}
		made++
	}
	if made < (kills+1)/2 {
		t.Errorf("only %d of %d kills happened: the crawl was too fast to be tested", made, kills)
	}
	c.save(10*time.Minute, exitDone, web.URL+"/")
	a := c.sound()
	holds(t, a, s, web.URL)
	rep := c.report()
	if n := int64(s.Pages); rep.Totals.Saved < n || rep.Totals.Saved > n+1 || rep.Totals.Open != 0 {
		t.Errorf("report.json after %d kills: %+v", made, rep.Totals)
	}
	t.Logf("%d kills, %d requests for %d pages, %d segments", made, web.Requests().Count(), s.Pages, len(a.Segments))
}

// killSometime sends SIGKILL: every third time within a second of the start,
// when state is opened and segments are mended, else after up to most
// requests more.
func killSometime(t *testing.T, p *rig.Process, web *rig.Nginx, r *rand.Rand, most int) bool {
	t.Helper()
	requests := web.Requests()
	if r.IntN(3) == 0 {
		pause(p, time.Duration(r.Int64N(int64(time.Second))))
	} else {
		until := requests.Count() + 1 + r.IntN(most)
		eventually(t, 2*time.Minute, "some progress", func() bool { return p.Ended() || requests.Count() >= until })
		pause(p, time.Duration(r.Int64N(int64(150*time.Millisecond))))
	}
	if p.Ended() {
		return false
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	return true
}

// pause sleeps, but not longer than the process lives.
func pause(p *rig.Process, d time.Duration) {
	select {
	case <-p.Done():
	case <-time.After(d):
	}
}
