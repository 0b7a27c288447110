package coordinator

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
)

func TestGroupClock(t *testing.T) {
	var g groupClock
	at := time.UnixMilli(1_000_000)
	if ms := g.now(at); ms != 1_000_000 {
		t.Errorf("a new clock says %d", ms)
	}
	g.raise(at, 5_000_000)
	if ms := g.now(at.Add(time.Second)); ms != 5_001_000 {
		t.Errorf("a second after it was raised it says %d", ms)
	}
	g.raise(at, 10)
	if ms := g.now(at.Add(2 * time.Second)); ms != 5_002_000 {
		t.Errorf("it went back to %d", ms)
	}
}

// fastClock is a wall clock that is ahead.
type fastClock struct{ systemClock }

func (fastClock) Now() time.Time { return time.Now().Add(24 * time.Hour) }

// A wall clock that was a day ahead and was set right delays nothing and lets
// nothing go early.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		n, err := Start(t.Context(), Config{Dir: dir, CacheBytes: 32 << 20, Clock: fastClock{}})
		must(t, err)
		r := newRescue(t, n)
		r.discover("a.example", 0, 5)
		l := r.lease(api.Want{Hosts: 1, Items: 5})[0]
		must(t, n.Close(t.Context()))
		r.Group, err = Start(t.Context(), Config{Dir: dir, CacheBytes: 32 << 20})
		must(t, err)
		defer r.Close(context.Background())

		until := time.Now().Add(time.Minute)
		must(t, r.Feedback(t.Context(), []api.HostFeedback{{Crawl: r.crawl.ID, Host: l.Host, Requests: 1, Throttled: 1, RetryAfter: until.UnixMilli()}}))
		ren, err := r.Extend(t.Context(), r.call(), api.Holdings{Seen: l.ID, Leases: []api.Extension{{Lease: l.ID, Pace: salvor.Unlimited}}})
		must(t, err)
		if p := ren.Granted[0].Pace; p != 0 {
			t.Errorf("a blocked host goes on at %v", p)
		}
		hosts, err := r.Hosts(t.Context(), r.crawl.ID, 0)
		must(t, err)
		if d := hosts[0].Blocked - until.UnixMilli(); d < -10 || d > 10 {
			t.Errorf("the end of the block is shown %d ms off", d)
		}
		e := saved(l, 0, 1)
		e.Verb, e.Outcome, e.Place, e.Retry = api.VerbRetry, 0, salvor.Place{}, until.UnixMilli()
		must(t, r.Settle(t.Context(), r.call(), api.Settlement{Crawl: r.crawl.ID, Entries: []api.Entry{e}}))
		if x := r.totals(); x.Waiting != 1 {
			t.Errorf("a retry in a minute is queued at once: %+v", x)
		}
		_, err = r.Extend(t.Context(), r.call(), api.Holdings{Seen: l.ID})
		must(t, err)
		if got := r.lease(api.Want{Hosts: 1, Items: 5, Wait: 50 * time.Second}); len(got) != 0 {
			t.Errorf("leased while blocked: %+v", got)
		}
		got := r.lease(api.Want{Hosts: 1, Items: 5, Wait: time.Hour})
		if late := time.Since(until); len(got) != 1 || late < 0 || late > 3*time.Second {
			t.Errorf("%d leases %s after the block", len(got), late)
		}
		if x := r.totals(); x.Waiting != 0 {
			t.Errorf("the retry still waits: %+v", x)
		}
	})
}
