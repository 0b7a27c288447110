package crawler

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"salvor"
	"salvor/api"
)

func testLease(id int, host string, pace float64, items int) api.Lease {
	l := api.Lease{ID: salvor.LeaseID(id), Crawl: 1, Host: host, Pace: salvor.PerSecond(pace), TTL: salvor.LeaseTTL}
	if pace == 0 {
		l.Pace = salvor.Unlimited
	}
	for i := range items {
		it := salvor.Item{Host: host, Origin: "http://" + host, URL: fmt.Sprintf("http://%s/%d/%d", host, id, i)}
		it.Key = salvor.ItemKey(salvor.HashKey{}, "", it.URL, nil)
		l.Items = append(l.Items, it)
	}
	return l
}

// drainFor dispatches for d, landing and settling each task at once, and
// returns the moments of the starts by host.
func drainFor(t *testing.T, s *schedule, d time.Duration) map[string][]time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	out, begin := make(chan task), time.Now()
	go s.dispatch(ctx, out, nil, nil)
	starts := map[string][]time.Duration{}
	for x := range out {
		starts[x.Host] = append(starts[x.Host], time.Since(begin))
		s.landed(x)
		s.settled([]task{x})
	}
	return starts
}

func TestThrottleBoundsAllCrawls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := rate.NewLimiter(20, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		out := make(chan task)
		var ended sync.WaitGroup
		for i := range 2 { // two crawls of a node
			s := newSchedule(6, nil)
			s.add([]api.Lease{testLease(1, fmt.Sprintf("host%d.test", i), 1000, 1000)}, now())
			mine := make(chan task)
			go s.dispatch(ctx, mine, nil, all)
			ended.Go(func() {
				for x := range mine {
					out <- x
					s.landed(x)
				}
			})
		}
		go func() { ended.Wait(); close(out) }()
		n := 0
		for range out {
			n++
		}
		if n < 195 || n > 203 {
			t.Errorf("%d starts in 10 s, the node may make 20 a second", n)
		}
	})
}

// What comes without a pace goes first, at the pace the host has.
func TestLeaseWithoutPaceGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		s.add([]api.Lease{testLease(1, "a.test", 2, 100)}, now())
		more := testLease(2, "a.test", 1, 4)
		more.Pace = 0
		s.add([]api.Lease{more}, now())
		ctx, cancel := context.WithTimeout(t.Context(), 2900*time.Millisecond)
		defer cancel()
		out := make(chan task)
		go s.dispatch(ctx, out, nil, nil)
		var from []salvor.LeaseID
		for x := range out {
			from = append(from, x.lease.ID)
			s.landed(x)
		}
		if want := []salvor.LeaseID{2, 2, 2, 2, 1, 1}; !slices.Equal(from, want) {
			t.Errorf("started of leases %v, want %v", from, want)
		}
	})
}

func TestStartsKeepThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		s.add([]api.Lease{testLease(1, "slow.test", 2, 100), testLease(2, "quick.test", 10, 100)}, now())
		starts := drainFor(t, s, 5*time.Second)
		for host, want := range map[string]int{"slow.test": 10, "quick.test": 50} {
			if n := len(starts[host]); n < want-1 || n > want+1 {
				t.Errorf("%s: %d starts in 5 s, want %d", host, n, want)
			}
		}
		for i := 1; i < len(starts["slow.test"]); i++ {
			if gap := starts["slow.test"][i] - starts["slow.test"][i-1]; gap < 500*time.Millisecond {
				t.Errorf("starts %d and %d are %v apart, the pace allows 500ms", i-1, i, gap)
			}
		}
	})
}

func TestPaceHoldsAcrossLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		var last time.Time
		for id := range 5 {
			s.add([]api.Lease{testLease(id+1, "a.test", 2, 1)}, now())
			for _, at := range drainFor(t, s, 600*time.Millisecond)["a.test"] {
				start := time.Now().Add(at - 600*time.Millisecond)
				if gap := start.Sub(last); gap < 500*time.Millisecond {
					t.Errorf("lease %d: started %v after the lease before", id+1, gap)
				}
				last = start
			}
		}
	})
}

func TestNothingStartsUnderAnOldLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		s.add([]api.Lease{testLease(1, "a.test", 1, 100)}, now())
		if n := len(drainFor(t, s, 30*time.Second)["a.test"]); n != 10 {
			t.Errorf("%d starts under a lease of 10 s at 1/s, want 10", n)
		}
		if h := s.holdings(); len(h.Leases) != 0 {
			t.Errorf("an expired lease is still listed: %+v", h)
		}
	})
}

func TestExtendCutsThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		s.add([]api.Lease{testLease(1, "a.test", 10, 1000)}, now())
		drainFor(t, s, 2*time.Second)
		s.renewed(api.Renewal{Granted: []api.Extension{{Lease: 1, Pace: salvor.PerSecond(1)}}}, now())
		if n := len(drainFor(t, s, 5*time.Second)["a.test"]); n > 6 {
			t.Errorf("%d starts in 5 s after the lease was cut to 1/s", n)
		}
	})
}

// TestExtendRaisesThePace: what was granted a crumb does not sit out the crumb's
// time when it gets more, and no two starts come closer than the new pace allows.
func TestExtendRaisesThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		s.add([]api.Lease{testLease(1, "a.test", .01, 1000)}, now())
		if n := len(drainFor(t, s, 100*time.Millisecond)["a.test"]); n != 1 {
			t.Fatalf("%d starts, want the first", n)
		}
		s.renewed(api.Renewal{Granted: []api.Extension{{Lease: 1, Pace: salvor.PerSecond(2)}}}, now())
		starts := drainFor(t, s, 4700*time.Millisecond)["a.test"]
		if len(starts) != 9 || starts[0] != 400*time.Millisecond {
			t.Errorf("starts at %v after the lease was raised to 2/s 100 ms after a start, want 9, the first at 400 ms", starts)
		}
	})
}

func TestPerOriginLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(3, nil)
		s.add([]api.Lease{testLease(1, "a.test", 0, 10)}, now())
		var flying []task
		for {
			x, ok, _ := s.pick()
			if !ok {
				break
			}
			flying = append(flying, x)
		}
		if len(flying) != 3 {
			t.Fatalf("%d exchanges with one origin at once, want 3", len(flying))
		}
		s.landed(flying[0])
		if _, ok, _ := s.pick(); !ok {
			t.Error("a free slot was not used")
		}
	})
}

func TestHoldingsNameTheNewestLeaseSeen(t *testing.T) {
	s := newSchedule(6, nil)
	s.add([]api.Lease{testLease(7, "a.test", 0, 1), testLease(9, "b.test", 0, 1)}, now())
	x, _, _ := s.pick()
	s.landed(x)
	s.settled([]task{x})
	h := s.holdings()
	if h.Seen != 9 || len(h.Leases) != 1 {
		t.Errorf("holdings %+v, want newest 9 and the one lease with an open item", h)
	}
}

func TestStruckItemsAreNotFetched(t *testing.T) {
	s := newSchedule(6, nil)
	l := testLease(1, "a.test", 0, 3)
	s.add([]api.Lease{l}, now())
	s.renewed(api.Renewal{Granted: []api.Extension{{Lease: 1, Pace: salvor.Unlimited}}, Struck: []salvor.Key{l.Items[1].Key}}, now())
	for {
		x, ok, _ := s.pick()
		if !ok {
			break
		}
		if x.Key == l.Items[1].Key {
			t.Error("an item that somebody else settled was started")
		}
	}
}

// TestRecalledItemsAreHandedBack: those that would start last, and no more than
// are left; the lease goes on until they are handed back, and ends with them.
func TestRecalledItemsAreHandedBack(t *testing.T) {
	s := newSchedule(6, nil)
	s.add([]api.Lease{testLease(1, "a.test", 0, 5), testLease(2, "a.test", 0, 2)}, now())
	first, _, _ := s.pick()
	h := s.holdings()
	slices.SortFunc(h.Unstarted, func(a, b api.Slice) int { return cmp.Compare(a.Lease, b.Lease) })
	if want := []api.Slice{{Lease: 1, Items: 4}, {Lease: 2, Items: 2}}; !slices.Equal(h.Unstarted, want) {
		t.Errorf("unstarted %+v, want %+v", h.Unstarted, want)
	}
	back := s.renewed(api.Renewal{Recalled: []api.Slice{{Lease: 1, Items: 2}, {Lease: 2, Items: 9}, {Lease: 3, Items: 1}}}, now())
	if len(back) != 4 {
		t.Fatalf("%d items recalled, want two of lease 1 and both of lease 2", len(back))
	}
	if n := len(s.holdings().Leases); n != 2 {
		t.Errorf("%d leases listed before they are handed back, want 2", n)
	}
	s.settled(back)
	if h := s.holdings(); len(h.Leases) != 1 || h.Leases[0].Lease != 1 || h.Unstarted[0].Items != 2 {
		t.Errorf("afterwards it holds %+v, want lease 1 with two items to start", h)
	}
	for range 2 {
		x, ok, _ := s.pick()
		if !ok || x.lease.ID != 1 || slices.ContainsFunc(back, func(b task) bool { return b.Key == x.Key }) || x.Key == first.Key {
			t.Errorf("started %+v, %t", x.Item, ok)
		}
	}
	if !s.idle() {
		t.Error("it has something to start still")
	}
}

func TestBlockedHostWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		s.add([]api.Lease{testLease(1, "a.test", 100, 50)}, now())
		x, _, _ := s.pick()
		s.observe(x, verdict{throttled: true, retryAfter: time.Now().Add(3 * time.Second).UnixMilli()}, 0)
		s.landed(x)
		if n := len(drainFor(t, s, 2900*time.Millisecond)["a.test"]); n != 0 {
			t.Errorf("%d starts while the host had asked for silence", n)
		}
	})
}

// clocks moves each of a machine's two clocks by itself.
type clocks struct {
	at         instant
	mono, wall time.Duration
}

func (c *clocks) now() instant {
	return instant{c.at.mono.Add(c.mono), c.at.wall.Add(c.wall)}
}

// TestLeaseEndsByEitherClock: nothing starts once the clock that moved more
// says that the lease's time is over, counted from when its request was sent.
func TestLeaseEndsByEitherClock(t *testing.T) {
	for _, c := range []struct {
		name       string
		mono, wall time.Duration // since the request was sent
		starts     bool
	}{
		{"just granted", 0, 0, true},
		{"nearly over", 9999 * time.Millisecond, 9999 * time.Millisecond, true},
		{"over", 10 * time.Second, 10 * time.Second, false},
		{"slept: only the wall clock moved", 3 * time.Second, time.Hour, false},
		{"wall clock set forward a little", 8 * time.Second, 10 * time.Second, false},
		{"wall clock set back", 10 * time.Second, -time.Hour, false},
		{"wall clock set back in time", 9 * time.Second, -time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := &clocks{at: now()}
			s := newSchedule(6, nil)
			s.now = clock.now
			sent := s.now()
			clock.mono, clock.wall = time.Second, time.Second // the answer took a second
			s.add([]api.Lease{testLease(1, "a.test", 0, 2)}, sent)
			first, ok, _ := s.pick()
			if !ok || !s.live(first) {
				t.Fatal("a fresh lease allows nothing")
			}
			clock.mono, clock.wall = c.mono, c.wall
			if s.live(first) != c.starts {
				t.Errorf("an item on its way to its start: live is %v", !c.starts)
			}
			if _, ok, _ := s.pick(); ok != c.starts {
				t.Errorf("the next item: started is %v", ok)
			}
		})
	}
}

// TestExtendCountsFromItsSending: an extend that was long on its way is as old
// as its request.
func TestExtendCountsFromItsSending(t *testing.T) {
	clock := &clocks{at: now()}
	s := newSchedule(6, nil)
	s.now = clock.now
	s.add([]api.Lease{testLease(1, "a.test", 0, 3)}, s.now())
	clock.mono, clock.wall = 4*time.Second, 4*time.Second
	sent := s.now()
	clock.mono, clock.wall = 9*time.Second, 9*time.Second
	s.renewed(api.Renewal{Granted: []api.Extension{{Lease: 1, Pace: salvor.Unlimited}}}, sent)
	for after, want := range map[time.Duration]bool{13 * time.Second: true, 14 * time.Second: false} {
		clock.mono, clock.wall = after, 0
		if l := s.leases[1]; s.expired(l) == want {
			t.Errorf("%v after the grant, extended at 4 s: expired is %v", after, want)
		}
	}
}

// TestCapturedItemsStayHeld: items that are captured and wait for their report
// are listed, without pace, for however long that takes; then no more.
func TestCapturedItemsStayHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		s.add([]api.Lease{testLease(1, "a.test", 0, 3)}, now())
		var captured []task
		for x, ok, _ := s.pick(); ok; x, ok, _ = s.pick() {
			s.landed(x)
			captured = append(captured, x)
		}
		for range 100 {
			time.Sleep(salvor.ExtendEvery)
			h := s.holdings()
			if len(h.Leases) != 1 || h.Leases[0] != (api.Extension{Lease: 1}) {
				t.Fatalf("listed as %+v", h.Leases)
			}
			s.renewed(api.Renewal{Granted: h.Leases}, now())
			if _, ok, _ := s.pick(); ok {
				t.Fatal("a held item was started again")
			}
		}
		s.settled(captured)
		if h := s.holdings(); len(captured) != 3 || len(h.Leases) != 0 {
			t.Errorf("%d captured, then listed: %+v", len(captured), h.Leases)
		}
	})
}
