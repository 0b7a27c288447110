package coordinator

import (
	"slices"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// TestUnbegun: what a worker was granted counts as begun when it says so, and no
// more when its session is gone.
func TestUnbegun(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		r.discover("a.example", 0, 10)
		l := r.lease(api.Want{Hosts: 1, Items: 8})[0]
		want := func(n int64, why string) {
			t.Helper()
			hosts, err := r.Hosts(t.Context(), r.crawl.ID, 10)
			must(t, err)
			if len(hosts) != 1 || hosts[0].Unbegun != n {
				t.Errorf("%s: %+v, want %d not begun", why, hosts, n)
			}
		}
		n := int64(len(l.Items))
		want(n, "granted")
		_, err := r.Extend(t.Context(), r.call(), api.Holdings{Seen: l.ID, Leases: []api.Extension{{Lease: l.ID, Pace: salvor.Unlimited}}, Unstarted: []api.Slice{{Lease: l.ID, Items: 3}}})
		must(t, err)
		want(3, "three are left")
		time.Sleep(salvor.ExtendEvery)
		_, err = r.Extend(t.Context(), r.call(), api.Holdings{Seen: l.ID, Leases: []api.Extension{{Lease: l.ID}}})
		must(t, err)
		want(0, "all are begun")
	})
}

// TestUnbegunBands: what was granted first is begun first, and what was granted
// before this node led is taken to be like the first that it knows of.
func TestUnbegunBands(t *testing.T) {
	var u unbegun
	id := frontier.HostOf{Crawl: 1, Host: "a.example"}
	lease := func(bands ...salvor.Band) (l api.Lease) {
		l.Host = id.Host
		for _, b := range bands {
			l.Items = append(l.Items, salvor.Item{Crawl: id.Crawl, Host: id.Host, Band: b})
		}
		return l
	}
	want := func(want ...api.BandCount) {
		t.Helper()
		if got := u.of(id.Crawl)[id.Host]; !slices.Equal(got, want) {
			t.Errorf("%v is not begun, want %v", got, want)
		}
	}
	now := time.Now()
	told := func(s salvor.SessionID, n int64) { u.told(now, s, map[frontier.HostOf]int64{id: n}) }
	u.granted(now, 1, []api.Lease{lease(0x40, 0x40, 0x41)})
	u.granted(now, 1, []api.Lease{lease(0x50)})
	u.granted(now, 2, []api.Lease{lease(0x40, 0x50)})
	want(api.BandCount{Band: 0x40, Queued: 3}, api.BandCount{Band: 0x41, Queued: 1}, api.BandCount{Band: 0x50, Queued: 2})
	told(1, 2)
	want(api.BandCount{Band: 0x40, Queued: 1}, api.BandCount{Band: 0x41, Queued: 1}, api.BandCount{Band: 0x50, Queued: 2})
	told(2, 4)
	want(api.BandCount{Band: 0x40, Queued: 3}, api.BandCount{Band: 0x41, Queued: 1}, api.BandCount{Band: 0x50, Queued: 2})
	told(3, 1)
	told(1, 0)
	want(api.BandCount{Band: 0x40, Queued: 4}, api.BandCount{Band: 0x50, Queued: 1})
}
