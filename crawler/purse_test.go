package crawler

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
)

// mergedLease is a lease of a host that is merged in "cdn".
func mergedLease(id int, host string, pace float64, items int) api.Lease {
	l := testLease(id, host, pace, items)
	l.Group = "cdn"
	return l
}

// renewAs extends all that is held, as it was granted, in a group or in none;
// but one host is not merged.
func renewAs(s *schedule, group, but string) {
	var r api.Renewal
	for _, x := range s.holdings().Leases {
		r.Granted = append(r.Granted, api.Extension{Lease: x.Lease, Pace: s.leases[x.Lease].Pace})
		if group != "" && s.leases[x.Lease].Host != but {
			r.Merged = append(r.Merged, api.Member{Lease: x.Lease, Group: group})
		}
	}
	s.renewed(r, now())
}

// mostIn is how many of the starts of all hosts fell into any window.
func mostIn(starts map[string][]time.Duration, window time.Duration) (most int) {
	var all []time.Duration
	for _, list := range starts {
		all = append(all, list...)
	}
	slices.Sort(all)
	for i := range all {
		n, _ := slices.BinarySearch(all[i:], all[i]+window)
		most = max(most, n)
	}
	return most
}

// TestMergedHostsShareOneClock: however many leases a session holds of merged
// hosts, it starts no more in any time than their paces sum up to, and one.
func TestMergedHostsShareOneClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		s.add([]api.Lease{
			mergedLease(1, "a.test", 2, 500), mergedLease(2, "a.test", 1, 500), mergedLease(3, "b.test", 3, 500),
			mergedLease(4, "c.test", 3, 500), mergedLease(5, "c.test", 1, 500), testLease(6, "d.test", 2, 500),
		}, now())
		go func() {
			for range 20 {
				time.Sleep(salvor.ExtendEvery)
				renewAs(s, "cdn", "d.test")
			}
		}()
		starts := drainFor(t, s, 40*time.Second)
		if n := len(starts["d.test"]); n < 79 || n > 81 {
			t.Errorf("%d starts in 40 s at 2/s of a host that is not merged", n)
		}
		delete(starts, "d.test")
		if n := mostIn(starts, 10*time.Second); n > 101 || n < 100 {
			t.Errorf("%d starts in 10 s of 10/s: %d, %d and %d in all", n, len(starts["a.test"]), len(starts["b.test"]), len(starts["c.test"]))
		}
		for _, host := range []string{"a.test", "b.test", "c.test"} {
			if n := len(starts[host]); n < 100 {
				t.Errorf("%s had %d turns of 400", host, n)
			}
		}
	})
}

// TestMergedMeanwhile: a lease is of the group that the last extend named, and
// brings along what holds for its host.
func TestMergedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		s.add([]api.Lease{testLease(1, "a.test", 1, 500), testLease(2, "b.test", 1, 500)}, now())
		x, _, _ := s.pick()
		s.slow(x, 2*time.Second)
		s.landed(x)
		renewAs(s, "cdn", "")
		if n := mostIn(drainFor(t, s, 9*time.Second), time.Hour); n != 4 {
			t.Errorf("%d starts in 9 s, one of the two asked for 2 s between them", n)
		}
		if len(s.groups) != 1 || len(s.ready) != 1 {
			t.Errorf("%d groups, %d ready", len(s.groups), len(s.ready))
		}
		renewAs(s, "", "")
		starts := drainFor(t, s, 8*time.Second)
		if a, b := len(starts["a.test"]), len(starts["b.test"]); a != 4 || b != 4 {
			t.Errorf("%d and %d starts in 8 s after they were split", a, b)
		}
		if len(s.groups) != 0 || len(s.ready) != 2 {
			t.Errorf("%d groups, %d ready", len(s.groups), len(s.ready))
		}
	})
}

// TestMergedHostsObeyAsOne: what one host says holds for the others.
func TestMergedHostsObeyAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		s.add([]api.Lease{mergedLease(1, "a.test", 5, 1), mergedLease(2, "b.test", 10, 500)}, now())
		x, _, _ := s.pick()
		if x.Host != "a.test" {
			t.Fatal("the other way round")
		}
		s.observe(x, verdict{throttled: true, retryAfter: time.Now().Add(3 * time.Second).UnixMilli()}, 0)
		s.landed(x)
		s.settled([]task{x})
		if n := mostIn(drainFor(t, s, 2900*time.Millisecond), time.Hour); n != 0 {
			t.Errorf("%d starts while the server had asked for silence", n)
		}
		renewAs(s, "cdn", "")
		if n := mostIn(drainFor(t, s, 4*time.Second), time.Hour); n < 19 || n > 20 {
			t.Errorf("%d starts in 4 s at half of 10/s", n)
		}
		// The host that said so has no lease any more, and is gone when it was told.
		taken := time.Now()
		if fs := s.reports(1); !slices.ContainsFunc(fs, func(f api.HostFeedback) bool { return f.Host == "a.test" && f.Throttled == 1 }) {
			t.Errorf("reported: %+v", fs)
		}
		s.told(taken)
		renewAs(s, "cdn", "")
		if n := mostIn(drainFor(t, s, 4*time.Second), time.Hour); n < 39 {
			t.Errorf("%d starts in 4 s, 10/s are granted", n)
		}
		s.reports(1)
		if len(s.hosts) != 1 {
			t.Errorf("%d hosts are kept", len(s.hosts))
		}
	})
}

// TestBrakeOfAGroupHalfTold: while one host's refusal could not be told, the
// brake holds for all.
func TestBrakeOfAGroupHalfTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		s.add([]api.Lease{mergedLease(1, "a.test", 5, 500), mergedLease(2, "b.test", 5, 500)}, now())
		refuse(t, s, 2)
		tell := func(lost string) {
			taken := time.Now()
			fs := s.reports(1)
			s.untold(slices.DeleteFunc(fs, func(f api.HostFeedback) bool { return f.Host != lost }))
			s.told(taken)
			renewAs(s, "cdn", "")
		}
		tell("b.test")
		if n := mostIn(drainFor(t, s, 4*time.Second), time.Hour); n > 20 {
			t.Errorf("%d starts in 4 s of 10/s, halved", n)
		}
		tell("")
		if n := mostIn(drainFor(t, s, 4*time.Second), time.Hour); n < 37 {
			t.Errorf("%d starts in 4 s of 10/s", n)
		}
	})
}

// TestALapsedLeaseGivesNoPace: a part of the cluster may be away, and then the
// pace of its leases is somebody else's when their time is over.
func TestALapsedLeaseGivesNoPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		s.add([]api.Lease{mergedLease(1, "a.test", 9, 500), mergedLease(2, "b.test", 1, 500)}, now())
		begin := time.Now()
		for range 5 {
			drainFor(t, s, 2*time.Second)
			s.renewed(api.Renewal{
				Granted: []api.Extension{{Lease: 2, Pace: salvor.PerSecond(1)}},
				Merged:  []api.Member{{Lease: 2, Group: "cdn"}},
			}, now())
		}
		starts := drainFor(t, s, 9*time.Second)
		if a, b := len(starts["a.test"]), len(starts["b.test"]); a != 0 || b > 10 {
			t.Errorf("%d and %d starts in 9 s, from %v on only 1/s of the other", a, b, time.Since(begin))
		}
	})
}

// TestManyMergedHosts: hosts of one server that come and go leave nothing, and
// keep a session from asking for others no more than one host does.
func TestManyMergedHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		for id := range 60 {
			s.add([]api.Lease{mergedLease(id+1, fmt.Sprintf("h%d.test", id), 0.1, 5)}, now())
		}
		if hosts, not := s.want(4, leaseItems); hosts != 3 || len(not) != 60 {
			t.Errorf("wants %d hosts beside one busy server, not %d", hosts, len(not))
		}
		var last time.Duration
		for _, list := range drainFor(t, s, 9*time.Second) {
			last = max(last, list[len(list)-1])
		}
		if last < 8*time.Second {
			t.Errorf("nothing started after %v", last)
		}
		s.clear()
		s.reports(1)
		if len(s.hosts) > 1 {
			t.Errorf("%d hosts are kept", len(s.hosts))
		}
		time.Sleep(time.Second)
		s.reports(1)
		if len(s.hosts)+len(s.groups)+len(s.ready) != 0 {
			t.Errorf("%d hosts, %d groups, %d ready", len(s.hosts), len(s.groups), len(s.ready))
		}
	})
}

// TestFurtherRequestsTakeTurns: a redirect of a robots.txt is a request of its
// own among the others of the group.
func TestFurtherRequestsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		s.add([]api.Lease{mergedLease(1, "a.test", 1, 1), mergedLease(2, "b.test", 1, 500)}, now())
		x, _, _ := s.pick()
		for i, want := range []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond} {
			if d, ok := s.reserve(x); d != want || !ok {
				t.Errorf("the further request %d after %v, want %v", i, d, want)
			}
		}
		if n := len(drainFor(t, s, 5*time.Second)["b.test"]); n != 3 {
			t.Errorf("%d starts of the other in the 5 s", n)
		}
		s.block(x.host.purse, time.Now().Add(time.Minute))
		if _, ok := s.reserve(x); ok {
			t.Error("a further request while the server wants none")
		}
	})
}
