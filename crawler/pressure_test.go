package crawler

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
)

// TestStruckHostLeavesTheQueue: what somebody else settled while its host waits
// for its turn is not picked.
func TestStruckHostLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		l := testLease(1, "a.test", 100, 1)
		s.add([]api.Lease{l}, now())
		time.Sleep(20 * time.Millisecond)
		s.renewed(api.Renewal{Granted: []api.Extension{{Lease: 1, Pace: l.Pace}}, Struck: []salvor.Key{l.Items[0].Key}}, now())
		if x, ok, _ := s.pick(); ok {
			t.Errorf("picked %s", x.URL)
		}
	})
}

// TestBlockedHostsTakeNoPlaces: hosts that may not be asked for an hour keep
// nobody from getting work, and their leases go back.
func TestBlockedHostsTakeNoPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		for i := range 4 {
			s.add([]api.Lease{testLease(i+1, string(rune('a'+i))+".test", 2, 10)}, now())
		}
		if hosts, _ := s.want(4, leaseItems); hosts != 0 {
			t.Errorf("wants %d hosts beside 4 that are busy", hosts)
		}
		for _, h := range s.hosts {
			h.purse.blocked = time.Now().Add(time.Hour)
		}
		if hosts, not := s.want(4, leaseItems); hosts != 4 || len(not) != 4 {
			t.Errorf("wants %d hosts, and not %v", hosts, not)
		}
		if h := s.holdings(); len(h.Leases) != 0 {
			t.Errorf("still holds %+v", h)
		}
	})
}

// TestCrawlDelayHoldsAtOnce: it need not come back from the coordinator first.
func TestCrawlDelayHoldsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		s.add([]api.Lease{testLease(1, "a.test", 10, 100)}, now())
		x, _, _ := s.pick()
		s.slow(x, 2*time.Second)
		s.landed(x)
		if n := len(drainFor(t, s, 9*time.Second)["a.test"]); n != 4 {
			t.Errorf("%d starts in 9 s, want 4", n)
		}
	})
}

// TestScopeOnItsWay: a batch that is refused for an old scope before the worker
// has the new one waits for it.
func TestScopeOnItsWay(t *testing.T) {
	var version atomic.Uint32
	version.Store(1)
	f := &fakeCoordinator{fail: refuseOld}
	sendingUnder(t, f, &version, func(o api.Offer) api.Offer { return o }, func(s *sender) {
		ps := s.offer(offers(salvor.ClassPage, 1, "a"))
		time.Sleep(5 * time.Second)
		version.Store(2)
		if err := wait(t, ps); err != nil {
			t.Error(err)
		}
	})
	if f.offers() != 1 {
		t.Errorf("%d offers, want 1", f.offers())
	}
}

// TestRobotsGoWithTheirPages: a robots.txt under way in one batch is in the
// batch of the next page, too.
func TestRobotsGoWithTheirPages(t *testing.T) {
	f := &fakeCoordinator{slow: time.Second}
	sending(t, f, func(s *sender) {
		first := s.offer(offers(salvor.ClassRobots, 0, "robots.txt"))
		time.Sleep(100 * time.Millisecond) // on its way
		wait(t, s.offer(append(offers(salvor.ClassRobots, 0, "robots.txt"), offers(salvor.ClassPage, 1, "page")...)))
		wait(t, first)
	})
	if len(f.got) != 2 || len(f.got[1].Items) != 2 || f.got[1].Items[0].Class != salvor.ClassRobots {
		t.Errorf("sent %+v", f.got)
	}
}

func TestClip(t *testing.T) {
	for in, want := range map[string]int{"": 0, "text/html": 9, strings.Repeat("x", 300): api.MaxText, strings.Repeat("ü", 150): api.MaxText} {
		if got := clip(in); len(got) != want {
			t.Errorf("%.20s... of %d bytes became %d, want %d", in, len(in), len(got), want)
		}
	}
}
