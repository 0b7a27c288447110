package coordinator

import (
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// A session that was killed had items of a paced host. Another has enough of
// that host for a minute: it gets them all the same, within the lease time and
// 5 s, and they come beside what it has, at the pace it has.
func TestReturnedItemsAreOutAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		must(t, r.SetCeiling(t.Context(), r.crawl.ID, "", salvor.PerSecond(2)))
		r.discover("a.example", 0, 5000)
		other, err := r.Register(t.Context(), "other")
		must(t, err)
		alive := r.lease(api.Want{Hosts: 1, Items: 1000})[0]
		held := []api.Extension{{Lease: alive.ID, Pace: salvor.Unlimited}}
		seen := alive.ID
		var lost []api.Lease
		extend := func() {
			_, err := r.Extend(t.Context(), r.call(), api.Holdings{Seen: seen, Leases: held})
			must(t, err)
		}
		for n := uint64(1); len(lost) == 0; n++ { // it waits for its share of the pace
			lost, err = r.Lease(t.Context(), api.Call{Session: other, Request: n}, api.Want{Hosts: 1, Items: 1000})
			must(t, err)
			extend()
		}
		missing := map[salvor.Key]bool{}
		for _, it := range lost[0].Items {
			missing[it.Key] = true
		}
		for at := time.Now(); len(missing) > 0; {
			if since := time.Since(at); since > salvor.LeaseTTL+5*time.Second {
				t.Fatalf("%d of %d items are not out again after %v", len(missing), len(lost[0].Items), since)
			}
			time.Sleep(time.Second)
			extend()
			for _, l := range r.lease(api.Want{Hosts: 64, Items: 1000, Not: []string{"a.example"}}) {
				if l.Pace != 0 {
					t.Errorf("a second lease has pace %d beside the first", l.Pace)
				}
				for _, it := range l.Items {
					if !missing[it.Key] {
						t.Errorf("%s was not out before", it.URL)
					}
					delete(missing, it.Key)
				}
				held, seen = append(held, api.Extension{Lease: l.ID, Pace: salvor.Unlimited}), max(seen, l.ID)
			}
		}
		hosts, err := r.Hosts(t.Context(), r.crawl.ID, 0)
		must(t, err)
		if hosts[0].Booked > salvor.PerSecond(2) {
			t.Errorf("%d are booked of 2000", hosts[0].Booked)
		}
	})
}
