package crawler

import (
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
)

// refuse has a host answer n of the starts under way with 429.
func refuse(t *testing.T, s *schedule, n int) {
	t.Helper()
	var under []task
	for range n {
		x, ok, wait := s.pick()
		if !ok {
			time.Sleep(wait)
			x, ok, _ = s.pick()
		}
		if !ok {
			t.Fatal("nothing may start")
		}
		under = append(under, x)
	}
	for _, x := range under {
		s.observe(x, verdict{throttled: true, status: 429}, 0)
		s.landed(x)
	}
}

// startsIn counts the starts of a.test within d.
func startsIn(t *testing.T, s *schedule, d time.Duration) int {
	return len(drainFor(t, s, d)["a.test"])
}

// TestBrake: a host that answered 429 is asked at half the pace at once, and at
// the granted one when the coordinator knew of it before it granted.
func TestBrake(t *testing.T) {
	for _, c := range []struct {
		name        string
		pace        float64
		news, again int // answers of 429 to what was under way, and to what started after
		want        int // starts in the 4 s after
	}{
		{"once", 10, 1, 0, 20},
		{"what was under way tells nothing new", 10, 4, 0, 20},
		{"what started since does", 10, 2, 1, 10},
		{"slow", 1, 1, 0, 2},
		{"unlimited", 0, 3, 0, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSchedule(6, nil)
				l := testLease(1, "a.test", c.pace, 1000)
				s.add([]api.Lease{l}, now())
				refuse(t, s, c.news)
				if c.again > 0 {
					refuse(t, s, c.again)
				}
				if n := startsIn(t, s, 4*time.Second); n < c.want-1 || n > c.want+1 {
					t.Errorf("%d starts in 4 s, want %d", n, c.want)
				}
				if !s.pressed() {
					t.Error("the coordinator is not told at once")
				}
			})
		})
	}
}

// TestBrakeIsReleased: an extend that was answered before the coordinator knew of
// the refusal says nothing about it.
func TestBrakeIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		l := testLease(1, "a.test", 10, 1000)
		s.add([]api.Lease{l}, now())
		answer := api.Renewal{Granted: []api.Extension{{Lease: 1, Pace: l.Pace}}}
		refuse(t, s, 1)
		s.renewed(answer, now())
		if n := startsIn(t, s, 2*time.Second); n > 11 {
			t.Errorf("%d starts in 2 s after an answer that knew nothing", n)
		}
		taken := time.Now()
		s.reports(1)
		time.Sleep(time.Millisecond)
		refuse(t, s, 1) // while the report is on its way
		s.told(taken)
		s.renewed(answer, now())
		if n := startsIn(t, s, 2*time.Second); n > 6 {
			t.Errorf("%d starts in 2 s, the second refusal is not reported", n)
		}
		s.reports(1)
		s.told(time.Now())
		s.renewed(answer, now())
		time.Sleep(time.Second)
		if n := startsIn(t, s, 2*time.Second); n < 19 {
			t.Errorf("%d starts in 2 s, 10/s are granted", n)
		}
	})
}

// TestConnections: so many exchanges at once over all hosts, whatever their
// paces; the number may change at any time.
func TestConnections(t *testing.T) {
	s := newSchedule(6, nil)
	s.setConnections(3)
	for i := range 4 {
		s.add([]api.Lease{testLease(i+1, string(rune('a'+i))+".test", 0, 10)}, now())
	}
	var under []task
	take := func() (n int) {
		for {
			x, ok, _ := s.pick()
			if !ok {
				return n
			}
			under = append(under, x)
			n++
		}
	}
	land := func(n int) {
		for _, x := range under[:n] {
			s.landed(x)
		}
		under = under[n:]
	}
	for i, step := range []struct{ landed, most, want int }{{0, 3, 3}, {1, 3, 1}, {0, 5, 2}, {1, 2, 0}, {2, 2, 0}, {1, 2, 1}} {
		land(step.landed)
		s.setConnections(step.most)
		if n := take(); n != step.want {
			t.Errorf("step %d: %d started, want %d", i, n, step.want)
		}
	}
}

// TestRest: what is not started goes back at once, and a late answer's too.
func TestRest(t *testing.T) {
	s := newSchedule(6, nil)
	s.freeze(true)
	s.add([]api.Lease{testLease(1, "a.test", 10, 100)}, now())
	s.clear()
	if h := s.holdings(); !s.spent() || len(h.Leases) != 0 || h.Seen != 1 {
		t.Errorf("still holds %+v", h)
	}
	if s.clear(); s.spent() {
		t.Error("asks for an extend where nothing was given back")
	}
}

// TestScopeIsFetched: who is refused for an old scope asks for the new one, once.
func TestScopeIsFetched(t *testing.T) {
	f := &fakeCoordinator{fail: refuseOld}
	version, asked := uint32(1), 0
	synctest.Test(t, func(t *testing.T) {
		s := newSender(1, func() uint32 { return version }, func(o api.Offer) api.Offer { return o }, f.discover)
		s.behind = func() { version, asked = 2, asked+1 }
		go s.run(t.Context())
		begin := time.Now()
		if err := wait(t, s.offer(offers(salvor.ClassPage, 1, "a"))); err != nil {
			t.Error(err)
		}
		if d := time.Since(begin); d > 200*time.Millisecond || asked != 1 {
			t.Errorf("it took %v, and was asked for %d times", d, asked)
		}
	})
	if f.offers() != 1 {
		t.Errorf("%d offers, want 1", f.offers())
	}
}
