package crawler

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"salvor"
	"salvor/api"
)

// TestLateStartsAreMadeUpFor: a worker that may start one request every 50 ms is
// late with most. The paces hold nonetheless, and in no 10 s is one start more than
// a pace allows.
func TestLateStartsAreMadeUpFor(t *testing.T) {
	for _, pace := range []float64{5.667, 3, 7.25, 0.99} {
		synctest.Test(t, func(t *testing.T) {
			s := newSchedule(6, nil)
			s.add([]api.Lease{testLease(1, "a.test", pace, 1000), testLease(2, "b.test", 13, 1000)}, now())
			go func() {
				for range 19 {
					time.Sleep(salvor.ExtendEvery)
					renewAs(s, "", "")
				}
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			out := make(chan task)
			go s.dispatch(ctx, out, nil, rate.NewLimiter(20, 1))
			begun, starts := time.Now(), map[string][]time.Duration{}
			for x := range out {
				if x.Host == "a.test" {
					starts[x.Host] = append(starts[x.Host], time.Since(begun))
				}
				s.landed(x)
			}
			least, most := int(40*pace)-1, int(10*pace)+1
			if pace > 7 { // of two that are due the worker starts one
				least = least * 96 / 100
			}
			if n := len(starts["a.test"]); n < least {
				t.Errorf("%d starts in 40 s at %v/s", n, pace)
			}
			if n := mostIn(starts, 10*time.Second); n > most {
				t.Errorf("%d starts in 10 s at %v/s", n, pace)
			}
		})
	}
}

// TestWorthMostFirst: where a worker cannot do all it may, the host whose pages are
// worth most gets all its pace, and the others what is left; none of them nothing.
func TestWorthMostFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		for i, host := range []string{"a.test", "b.test", "c.test", "d.test"} {
			l := testLease(i+1, host, 6, 500)
			for i := range l.Items {
				l.Items[i].Band = salvor.BandPage
				if host == "c.test" {
					l.Items[i].Band = salvor.BandPage - 1
				}
			}
			s.add([]api.Lease{l}, now())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		out, n := make(chan task), map[string]int{}
		go s.dispatch(ctx, out, nil, rate.NewLimiter(12, 1))
		for x := range out {
			n[x.Host]++
			s.landed(x)
		}
		for host, count := range n {
			if least := 15; count < least || host == "c.test" && count < 53 {
				t.Errorf("%s had %d starts", host, count)
			}
		}
		if len(n) != 4 {
			t.Errorf("hosts that had a start: %v", n)
		}
	})
}

// TestBriefLeases: a lease that is used up before the next extend is extended sooner; not
// while nothing of it may start.
func TestBriefLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		if s.brief() {
			t.Error("without a lease")
		}
		s.add([]api.Lease{testLease(1, "slow.test", 1, 8)}, now())
		if s.brief() {
			t.Error("of 8 items at 1/s")
		}
		s.add([]api.Lease{testLease(2, "quick.test", 25, 4)}, now())
		if !s.brief() {
			t.Error("of 4 items at 25/s nothing is said")
		}
		for name, set := range map[string]func(bool){"paused": s.freeze, "without room": s.stall} {
			if set(true); s.brief() {
				t.Errorf("while it is %s", name)
			}
			set(false)
		}
		h := s.hosts["quick.test"]
		s.block(h.purse, time.Now().Add(5*time.Second))
		if s.brief() {
			t.Error("while the server wants silence")
		}
	})
}
