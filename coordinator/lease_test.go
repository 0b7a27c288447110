package coordinator

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// In a synctest bubble the clock is the bubble's and jumps when all wait.
func inBubble(t *testing.T, f func(t *testing.T, r *rescue)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n, err := Start(t.Context(), Config{Dir: t.TempDir(), CacheBytes: 32 << 20})
		must(t, err)
		defer n.Close(context.Background())
		f(t, newRescue(t, n))
	})
}

func TestSilentSessionLosesItsLease(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		r.discover("a.example", 0, 5)
		l := r.lease(api.Want{Hosts: 1, Items: 5})[0]
		for range 10 {
			time.Sleep(salvor.ExtendEvery)
			_, err := r.Extend(t.Context(), r.call(), api.Holdings{Seen: l.ID, Leases: []api.Extension{{Lease: l.ID}}})
			must(t, err)
		}
		if r.totals().Leased != 5 {
			t.Fatal("an extended lease ended")
		}
		time.Sleep(salvor.LeaseTTL + leaseGrace - time.Second)
		if r.totals().Leased != 5 {
			t.Error("a lease ended before TTL + 2 s")
		}
		time.Sleep(2 * time.Second)
		if x := r.totals(); x.Leased != 0 || x.Queued != 5 {
			t.Errorf("after TTL + 3 s: %+v", x)
		}
	})
}

func TestInheritedLeaseIsDatedFromTheReign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		start := func() *Group {
			n, err := Start(t.Context(), Config{Dir: dir, CacheBytes: 32 << 20})
			must(t, err)
			return n
		}
		n := start()
		r := newRescue(t, n)
		r.discover("a.example", 0, 5)
		l := r.lease(api.Want{Hosts: 1, Items: 5})[0]
		must(t, n.Close(t.Context()))
		time.Sleep(time.Hour) // the new leader does not know how long it was away
		r.Group = start()
		defer r.Close(t.Context())
		time.Sleep(salvor.LeaseTTL + leaseGrace - time.Second)
		if r.totals().Leased != 5 {
			t.Error("an inherited lease ended before its time")
		}
		hosts, err := r.Hosts(t.Context(), r.crawl.ID, 0)
		must(t, err)
		if hosts[0].Booked != l.Pace {
			t.Errorf("%d of an inherited lease's pace %d are booked", hosts[0].Booked, l.Pace)
		}
		r.discover("a.example", 5, 10)
		if more := r.lease(api.Want{Hosts: 1, Items: 5}); len(more) != 0 {
			t.Errorf("its pace was granted again: %+v", more)
		}
		time.Sleep(2 * time.Second)
		if r.totals().Leased != 0 {
			t.Error("an inherited lease never ended")
		}
		if more := r.lease(api.Want{Hosts: 1, Items: 5}); len(more) != 1 {
			t.Error("nothing is granted after it")
		}
	})
}

func TestLeaseWaitsForWork(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		began := time.Now()
		if l := r.lease(api.Want{Hosts: 1, Items: 1, Wait: 7 * time.Second}); len(l) != 0 || time.Since(began) != 7*time.Second {
			t.Errorf("no work: %v after %s", l, time.Since(began))
		}
		time.AfterFunc(3*time.Second, func() { r.discover("a.example", 0, 1) })
		began = time.Now()
		c := r.call()
		l, err := r.Lease(t.Context(), c, api.Want{Hosts: 1, Items: 1, Wait: time.Minute})
		must(t, err)
		if d := time.Since(began); len(l) != 1 || d < 3*time.Second || d > 3100*time.Millisecond {
			t.Errorf("work after 3 s: %d leases after %s", len(l), d)
		}
	})
}

func TestRetryComesDue(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		r.discover("a.example", 0, 1)
		l := r.lease(api.Want{Hosts: 1, Items: 1})[0]
		e := api.Entry{Key: l.Items[0].Key, Host: l.Host, Lease: l.ID, Verb: api.VerbRetry, Reason: "timeout", Retry: time.Now().Add(30 * time.Second).UnixMilli()}
		must(t, r.Settle(t.Context(), r.call(), api.Settlement{Crawl: r.crawl.ID, Entries: []api.Entry{e}}))
		if x := r.totals(); x.Waiting != 1 {
			t.Fatalf("totals %+v", x)
		}
		began := time.Now()
		got := r.lease(api.Want{Hosts: 1, Items: 1, Wait: time.Minute})
		if d := time.Since(began); len(got) != 1 || d < 29*time.Second || d > 31*time.Second {
			t.Errorf("%d leases after %s", len(got), d)
		}
	})
}

func TestThrottledHostRestsAndSlows(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		r.discover("a.example", 0, 50)
		l := r.lease(api.Want{Hosts: 1, Items: 10})[0]
		until := time.Now().Add(20 * time.Second)
		must(t, r.Feedback(t.Context(), []api.HostFeedback{{Crawl: r.crawl.ID, Host: l.Host, Requests: 4, Throttled: 1, RetryAfter: until.UnixMilli()}}))
		ren, err := r.Extend(t.Context(), r.call(), api.Holdings{Seen: l.ID, Leases: []api.Extension{{Lease: l.ID, Pace: l.Pace}}})
		must(t, err)
		if ren.Granted[0].Pace != 0 {
			t.Errorf("a blocked host goes on at %s/s", perSecond(ren.Granted[0].Pace))
		}
		_, err = r.Extend(t.Context(), r.call(), api.Holdings{Seen: l.ID})
		must(t, err)
		got := r.lease(api.Want{Hosts: 1, Items: 1, Wait: time.Minute})
		if len(got) != 1 || time.Now().Before(until) || time.Since(until) > time.Second || got[0].Pace != defaultStart/2 {
			t.Errorf("leased %+v, %s after the server's time", got, time.Since(until))
		}
		hosts, err := r.Hosts(t.Context(), r.crawl.ID, 0)
		must(t, err)
		if !strings.Contains(hosts[0].Note, "Retry-After") {
			t.Errorf("note %q", hosts[0].Note)
		}
	})
}

// A session may hold more leases than fit in one command.
func TestExtendOfManyLeases(t *testing.T) {
	r := newRescue(t, startNode(t, t.TempDir()))
	r.discover("a.example", 0, 1)
	kept := r.lease(api.Want{Hosts: 1, Items: 1})[0]
	r.discover("b.example", 0, 1)
	left := r.lease(api.Want{Hosts: 1, Items: 1})[0]
	h := api.Holdings{Seen: left.ID, Leases: []api.Extension{{Lease: kept.ID, Pace: kept.Pace}}}
	for i := range 20_000 {
		h.Leases = append(h.Leases, api.Extension{Lease: left.ID + salvor.LeaseID(1+i), Pace: salvor.Unlimited})
	}
	h.Seen += 20_000
	c := r.call()
	for range 2 {
		ren, err := r.Extend(t.Context(), c, h)
		must(t, err)
		if len(ren.Granted) != 1 || ren.Granted[0].Lease != kept.ID || len(ren.Lost) != 20_000 {
			t.Errorf("granted %v, %d lost", ren.Granted, len(ren.Lost))
		}
	}
	if x := r.totals(); x.Leased != 1 || x.Queued != 1 {
		t.Errorf("a lease that was not listed: %+v", x)
	}
}

// The pieces of an extend judge each lease once.
func TestExtendPieces(t *testing.T) {
	h := api.Holdings{Seen: 5000 << 16}
	for i := 5010; i > 0; i-- { // the last are newer than what was seen
		h.Leases = append(h.Leases, api.Extension{Lease: salvor.LeaseID(i) << 16})
	}
	pieces, err := extendPieces(1, h)
	must(t, err)
	var next salvor.LeaseID
	held := 0
	for _, p := range pieces {
		if p.From != next || p.Before > h.Seen+1 {
			t.Errorf("a piece from %d to %d, the one before ended at %d", p.From, p.Before, next)
		}
		next = p.Before
		held += len(p.Held)
	}
	if next != h.Seen+1 || held != len(h.Leases) || len(pieces) < 2 {
		t.Errorf("%d pieces up to %d with %d leases", len(pieces), next, held)
	}
}

// A lease lasts for about a minute at its pace: who asks first does not keep a
// slow host's queue from the others for hours.
func TestSlice(t *testing.T) {
	for _, c := range []struct {
		pace          salvor.Pace
		most          int
		queued        int64
		sharers, want int
	}{
		{salvor.PerSecond(0.03), 1000, 1e6, 1, leastItems},
		{salvor.PerSecond(0.5), 1000, 1e6, 1, 30},
		{salvor.PerSecond(2), 1000, 1e6, 1, 120},
		{salvor.PerSecond(20), 1000, 1e6, 1, 1000},
		{salvor.PerSecond(2), 5, 1e6, 1, 5},
		{salvor.PerSecond(0.03), 5, 1e6, 1, 5},
		{salvor.Unlimited - 1, 1000, 1e6, 1, 1000},
		{salvor.Unlimited, 1000, 1e6, 1, 1000},
		// What is left of a queue is shared.
		{salvor.Unlimited, 1000, 1e6, 4, 1000},
		{salvor.Unlimited, 1000, 4000, 4, 500},
		{salvor.Unlimited, 1000, 4000, 1, 1000},
		{salvor.Unlimited, 1000, 40, 4, 5},
		{salvor.Unlimited, 1000, 3, 4, leastShared},
		{salvor.Unlimited, 5, 40, 4, 5},
		{salvor.PerSecond(2), 1000, 4000, 4, 120},
		{salvor.PerSecond(2), 1000, 400, 4, 50},
	} {
		if got := slice(c.pace, leaseTime, c.most, c.queued, c.sharers); got != c.want {
			t.Errorf("%v/s with %d wanted of %d by %d: %d items, want %d", c.pace.PerSecond(), c.most, c.queued, c.sharers, got, c.want)
		}
	}
}

// TestLeaseLastsAsTheCourseSays: of a host that ends soon nobody holds much.
func TestLeaseLastsAsTheCourseSays(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		r.discover("a.example", 0, 500)
		r.discover("b.example", 0, 500)
		must(t, r.Steer(api.Course{Made: 1, Hosts: []api.Heading{{Crawl: r.crawl.ID, Host: "a.example", Lasts: 5000}, {Crawl: r.crawl.ID, Host: "b.example"}}}))
		got := map[string]int{}
		for _, l := range r.lease(api.Want{Hosts: 2, Items: 400}) {
			got[l.Host] = len(l.Items)
		}
		if a, b := got["a.example"], got["b.example"]; a == 0 || b != 12*a {
			t.Errorf("leases of %d and %d items, for 5 s and a minute", a, b)
		}
	})
}

// TestSlowHostIsShared: and it goes on without a pause, by the lease that is
// asked for when the last item of one starts.
func TestSlowHostIsShared(t *testing.T) {
	r := newRescue(t, startNode(t, t.TempDir()))
	r.discover("a.example", 0, 500)
	must(t, r.SetCeiling(t.Context(), r.crawl.ID, "a.example", 500))
	var h api.Holdings
	for range 3 {
		l := r.lease(api.Want{Hosts: 1, Items: 1000})
		if len(l) != 1 || len(l[0].Items) != 30 {
			t.Fatalf("%d leases, %d items at %v/s", len(l), len(l[0].Items), l[0].Pace.PerSecond())
		}
		h.Seen, h.Leases = l[0].ID, append(h.Leases, api.Extension{Lease: l[0].ID})
		_, err := r.Extend(t.Context(), r.call(), h)
		must(t, err)
	}
	must(t, r.SetCeiling(t.Context(), r.crawl.ID, "a.example", salvor.Unlimited))
	must(t, r.Feedback(t.Context(), []api.HostFeedback{{Crawl: r.crawl.ID, Host: "a.example", Requests: 1}}))
	if l := r.lease(api.Want{Hosts: 1, Items: 1000}); len(l) != 1 || len(l[0].Items) != 410 {
		t.Errorf("without limit: %d items at %v/s", len(l[0].Items), l[0].Pace.PerSecond())
	}
}

// A call that is repeated after a restart gets its first answer, though the
// state has moved on (protocol 4).
func TestRepeatsOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	r := newRescue(t, startNode(t, dir))
	r.admit("a.example")
	calls := []api.Call{r.call(), r.call(), r.call(), r.call(), r.call()}
	d := api.Discovery{Crawl: r.crawl.ID, Scope: 1, Items: r.offers("a.example", 0, 40)}
	var held api.Holdings
	var s api.Settlement
	ask := func() (all []any) {
		t.Helper()
		results, err := r.Discover(t.Context(), calls[0], d)
		must(t, err)
		leases, err := r.Lease(t.Context(), calls[1], api.Want{Hosts: 1, Items: 10})
		must(t, err)
		if held.Seen == 0 {
			held = api.Holdings{Seen: leases[0].ID, Leases: []api.Extension{{Lease: leases[0].ID, Pace: 700}}}
			s = api.Settlement{Crawl: r.crawl.ID, Entries: []api.Entry{saved(leases[0], 0, 1)}}
		}
		renewal, err := r.Extend(t.Context(), calls[2], held)
		must(t, err)
		must(t, r.Settle(t.Context(), calls[3], s))
		segment, err := r.OpenSegment(t.Context(), calls[4], "one")
		must(t, err)
		return append(all, results, leases[0].ID, renewal, segment)
	}
	first := ask()
	must(t, r.change1(t.Context(), &frontier.SetBudget{Crawl: r.crawl.ID, Host: "a.example", Rate: new(salvor.Pace)}))
	before := r.totals()
	r.Group = restart(t, r.Group, dir)
	if diff := cmp.Diff(first, ask()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, r.totals(), cmpopts.IgnoreFields(api.Totals{}, "Clock")); diff != "" {
		t.Errorf("a repeated call changed something: %s", diff)
	}
}

// TestSettleOfAnEndedSession: what it reports is not taken. It may rest on links
// that a state accepted of which this one is an older copy.
func TestSettleOfAnEndedSession(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		r.discover("a.example", 0, 2)
		l := r.lease(api.Want{Hosts: 1, Items: 2})[0]
		c := r.call()
		must(t, r.EndSessions(t.Context()))
		s := api.Settlement{Crawl: r.crawl.ID, Entries: []api.Entry{{Key: l.Items[0].Key, Host: l.Host, Lease: l.ID, Outcome: salvor.Saved, Place: salvor.Place{Segment: 1, Length: 10}}}}
		if err := r.Settle(t.Context(), c, s); salvor.ClassOf(err) != salvor.NotFound {
			t.Errorf("%v, want that the session has ended", err)
		}
		if x := r.totals(); x.Queued != 2 || x.Outcomes[salvor.Saved] != 1 {
			t.Errorf("%+v, want both queued again, and robots.txt saved", x)
		}
	})
}
