package coordinator

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

func TestLeaseClock(t *testing.T) {
	var l leaseClock
	at := func(s int) time.Time { return benchEpoch.Add(time.Duration(s) * time.Second) }
	l.begin()
	lease := func(id salvor.LeaseID, renewal uint64) frontier.LeaseInfo {
		return frontier.LeaseInfo{ID: id, Renewal: renewal}
	}
	for _, step := range []struct {
		at     int
		leases []frontier.LeaseInfo
		want   int
	}{
		{0, []frontier.LeaseInfo{lease(1, 10), lease(2, 11)}, 0},
		{6, []frontier.LeaseInfo{lease(1, 20), lease(2, 11)}, 0},
		{11, []frontier.LeaseInfo{lease(1, 20), lease(2, 11)}, 0},
		{12, []frontier.LeaseInfo{lease(1, 20), lease(2, 11)}, 1}, // 2 was not renewed
		{17, []frontier.LeaseInfo{lease(1, 20)}, 0},
		{18, []frontier.LeaseInfo{lease(1, 20)}, 1},
		{19, []frontier.LeaseInfo{lease(1, 21)}, 0}, // renewed before the command came
		{40, nil, 0},
		{41, []frontier.LeaseInfo{lease(1, 21)}, 0}, // forgotten, so dated anew
	} {
		got := l.overdue(at(step.at), step.leases)
		if len(got) != step.want {
			t.Errorf("at %d s: %v, want %d", step.at, got, step.want)
		}
	}
}

// starts are when requests to one host began, as the host sees it.
type starts struct {
	mu sync.Mutex
	at []time.Duration
}

func (s *starts) add(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, d)
}

// most is the largest number of starts in any window between from and to.
func (s *starts) most(from, to, window time.Duration) (most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, a := range s.at {
		n := 0
		for _, b := range s.at[i:] {
			if a >= from && b < to && b-a < window {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// polite is a worker that keeps to its leases and nothing else: it starts a
// request whenever the pace allows, and extends every 2 s.
func polite(ctx context.Context, t *testing.T, r *rescue, name string, want salvor.Pace, began time.Time, s *starts) {
	session, err := r.Register(ctx, name)
	if err != nil {
		t.Error(err)
		return
	}
	var h api.Holdings
	var next, extend time.Time
	for ctx.Err() == nil {
		if now := time.Now(); !now.Before(extend) {
			extend = now.Add(salvor.ExtendEvery)
			for i := range h.Leases {
				h.Leases[i].Pace = want
			}
			ren, err := r.Extend(ctx, api.Call{Session: session}, h)
			if err != nil {
				return
			}
			h.Leases = ren.Granted
		}
		if len(h.Leases) == 0 {
			l, err := r.Lease(ctx, api.Call{Session: session}, api.Want{Hosts: 1, Items: 2000, Wait: time.Second})
			if err != nil || len(l) == 0 {
				continue
			}
			h = api.Holdings{Seen: l[0].ID, Leases: []api.Extension{{Lease: l[0].ID, Pace: l[0].Pace}}}
		}
		if p := h.Leases[0].Pace; p > 0 && !time.Now().Before(next) {
			s.add(time.Since(began))
			next = time.Now().Add(p.Interval())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestBudgetHoldsAtTheServer counts at the server what two workers start: never
// more than the budget allows, and after a 429 the new limit from 2 s on
// (protocol 4).
func TestBudgetHoldsAtTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := Start(t.Context(), Config{Dir: filepath.Join(t.TempDir(), "n"), CacheBytes: 32 << 20})
		must(t, err)
		defer n.Close(context.Background())
		r := newRescue(t, n)
		r.discover("a.example", 0, 4000)
		must(t, r.SetCeiling(t.Context(), r.crawl.ID, "a.example", 8000))
		rate := salvor.Pace(8000)
		must(t, r.change1(t.Context(), &frontier.SetBudget{Crawl: r.crawl.ID, Host: "a.example", Rate: &rate}))

		ctx, cancel := context.WithCancel(t.Context())
		var s starts
		var all sync.WaitGroup
		began := time.Now()
		all.Go(func() { polite(ctx, t, r, "one", 5000, began, &s) })
		all.Go(func() { polite(ctx, t, r, "two", salvor.Unlimited, began, &s) })
		time.Sleep(30 * time.Second)
		if hosts, err := r.Hosts(t.Context(), r.crawl.ID, 0); err != nil || hosts[0].Booked != rate {
			t.Errorf("%d of %d are booked, %v", hosts[0].Booked, rate, err)
		}
		// A 429 that asks for a second of rest: from now on 4/s.
		must(t, r.Feedback(t.Context(), []api.HostFeedback{{Crawl: r.crawl.ID, Host: "a.example", Requests: 16, Throttled: 1, RetryAfter: time.Now().Add(time.Second).UnixMilli()}}))
		time.Sleep(30 * time.Second)
		cancel()
		all.Wait()

		const window = 10 * time.Second
		if got := s.most(0, 30*time.Second, window); got > 8*10+2 || got < 60 {
			t.Errorf("%d starts in 10 s at a budget of 8/s", got)
		}
		if got := s.most(32*time.Second, 60*time.Second, window); got > 4*10+2 || got < 30 {
			t.Errorf("%d starts in 10 s at a budget of 4/s", got)
		}
	})
}
