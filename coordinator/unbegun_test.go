package coordinator

import (
	"testing"
	"time"

	"salvor"
	"salvor/api"
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
