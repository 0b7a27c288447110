package coordinator

import (
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// hostsOf are the hosts of leases, in their order.
func hostsOf(leases []api.Lease) (names []string) {
	for _, l := range leases {
		names = append(names, l.Host)
	}
	return names
}

func TestCourseOrdersHosts(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		for _, h := range []string{"a.example", "b.example", "c.example", "d.example"} {
			r.discover(h, 0, 50)
		}
		must(t, r.Steer(api.Course{Made: 1, Hosts: []api.Heading{{Crawl: r.crawl.ID, Host: "c.example"}, {Crawl: r.crawl.ID, Host: "nobody.example"}, {Crawl: r.crawl.ID, Host: "a.example"}}}))
		got := hostsOf(r.lease(api.Want{Hosts: 2, Items: 5}))
		if len(got) != 2 || got[0] != "c.example" || got[1] != "a.example" {
			t.Errorf("leased %v, want c and a first", got)
		}
		if got := hostsOf(r.lease(api.Want{Hosts: 9, Items: 5, Not: got})); len(got) != 2 {
			t.Errorf("the others got %v", got)
		}
	})
}

func TestCourseCapsPaces(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		must(t, r.SetCeiling(t.Context(), r.crawl.ID, "", salvor.Unlimited))
		r.discover("a.example", 0, 500)
		r.discover("b.example", 0, 500)
		for _, h := range []string{"a.example", "b.example"} { // the ceiling is gone: so is the rate, once somebody reports
			must(t, r.Feedback(t.Context(), []api.HostFeedback{{Crawl: r.crawl.ID, Host: h, Requests: 1}}))
		}
		must(t, r.Steer(api.Course{Made: 1, Rest: 500, Hosts: []api.Heading{{Crawl: r.crawl.ID, Host: "a.example", Pace: 8_000}}}))
		leases := map[string]api.Lease{}
		var held []api.Extension
		var seen salvor.LeaseID
		for _, l := range r.lease(api.Want{Hosts: 2, Items: 100}) {
			leases[l.Host] = l
			held, seen = append(held, api.Extension{Lease: l.ID, Pace: salvor.Unlimited}), max(seen, l.ID)
		}
		if a, b := leases["a.example"].Pace, leases["b.example"].Pace; a != 8_000 || b != 500 {
			t.Fatalf("paces %d and %d, want 8000 and 500", a, b)
		}
		extend := func() map[salvor.LeaseID]salvor.Pace {
			got, err := r.Extend(t.Context(), r.call(), api.Holdings{Seen: seen, Leases: held})
			must(t, err)
			paces := map[salvor.LeaseID]salvor.Pace{}
			for _, x := range got.Granted {
				paces[x.Lease] = x.Pace
			}
			return paces
		}
		must(t, r.Steer(api.Course{Made: 2, Rest: 500, Hosts: []api.Heading{{Crawl: r.crawl.ID, Host: "b.example", Pace: 6_000}}}))
		must(t, r.Steer(api.Course{Made: 1, Rest: 1})) // older: of no account
		got := extend()
		if a, b := got[leases["a.example"].ID], got[leases["b.example"].ID]; a != 500 || b != 6_000 {
			t.Errorf("after a new course: %d and %d, want 500 and 6000", a, b)
		}
		for range 2 * paceKept / salvor.ExtendEvery {
			time.Sleep(salvor.ExtendEvery)
			got = extend()
		}
		if a := got[leases["a.example"].ID]; a < salvor.Unlimited {
			t.Errorf("%d of a course that nobody renews: capacity lies idle", a)
		}
	})
}

// TestCourseOfManyLeases: all leases of a host together get what the course says,
// however many they are.
func TestCourseOfManyLeases(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		must(t, r.SetCeiling(t.Context(), r.crawl.ID, "", salvor.Unlimited))
		r.discover("a.example", 0, 500)
		must(t, r.Feedback(t.Context(), []api.HostFeedback{{Crawl: r.crawl.ID, Host: "a.example", Requests: 1}}))
		var h api.Holdings
		for range 20 {
			l := r.lease(api.Want{Hosts: 1, Items: 10})[0]
			h.Leases, h.Seen = append(h.Leases, api.Extension{Lease: l.ID, Pace: salvor.Unlimited}), l.ID
		}
		must(t, r.Steer(api.Course{Made: 1, Hosts: []api.Heading{{Crawl: r.crawl.ID, Host: "a.example", Pace: 4_000}}}))
		got, err := r.Extend(t.Context(), r.call(), h)
		must(t, err)
		var sum salvor.Pace
		for _, x := range got.Granted {
			sum += x.Pace
		}
		if sum > 4_000 || sum < 3_900 {
			t.Errorf("%d leases have %d together, the course says 4000", len(got.Granted), sum)
		}
	})
}

func TestCourseLiftsNoBudget(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		must(t, r.SetCeiling(t.Context(), r.crawl.ID, "", salvor.PerSecond(2)))
		r.discover("a.example", 0, 500)
		must(t, r.Steer(api.Course{Made: 1, Hosts: []api.Heading{{Crawl: r.crawl.ID, Host: "a.example", Pace: 80_000}}}))
		if l := r.lease(api.Want{Hosts: 1, Items: 100})[0]; l.Pace > salvor.PerSecond(2) {
			t.Errorf("pace %d above the ceiling", l.Pace)
		}
	})
}
