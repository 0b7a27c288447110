package route

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
)

// put queues an item of a host.
func (g *group) put(host string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.index++
	g.queue[host] = append(g.queue[host], salvor.Item{Host: host, Key: salvor.Key{byte(g.number), byte(g.index)}})
	g.ring()
}

func registered(t *testing.T, r *Router) salvor.SessionID {
	t.Helper()
	s, err := r.Register(t.Context(), "w")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func hosts(leases []api.Lease) (out []string) {
	for _, l := range leases {
		out = append(out, l.Host)
	}
	slices.Sort(out)
	return out
}

// TestShares: nobody is given more than wanted while there is enough at once,
// and no group is left out for good.
func TestShares(t *testing.T) {
	const n = 4
	for want := 1; want < 10; want++ {
		gs, r := newGroups(t, n)
		s := registered(t, r)
		for g := range gs {
			for i := range 40 {
				gs[g].put(hostOfGroup(g, n, i))
			}
		}
		from := map[int]int{}
		for i := range uint64(n) {
			leases, err := r.Lease(t.Context(), api.Call{Session: s, Request: i + 1}, api.Want{Hosts: want, Items: 1, Wait: time.Second})
			if err != nil || len(leases) != want {
				t.Errorf("%d of %d: %v", len(leases), want, err)
			}
			for _, l := range leases {
				g, _ := inner(l.ID)
				from[g]++
			}
		}
		for g := range n {
			if from[g] != want {
				t.Errorf("%d hosts wanted %d times: %d of group %d", want, n, from[g], g)
			}
		}
	}
}

// TestWithoutWaiting: all groups are asked, even for fewer hosts than there
// are groups.
func TestWithoutWaiting(t *testing.T) {
	const n = 4
	for at := range n {
		gs, r := newGroups(t, n)
		s := registered(t, r)
		gs[at].put(hostOfGroup(at, n, 0))
		leases, err := r.Lease(t.Context(), api.Call{Session: s, Request: 1}, api.Want{Hosts: 1, Items: 1})
		if err != nil || len(leases) != 1 {
			t.Errorf("group %d: %v %v", at, leases, err)
		}
	}
}

// TestWaiting: the first group that finds work ends the waiting, at that very
// moment, and what another granted then is not missed.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 4
		gs, r := newGroups(t, n)
		s := registered(t, r)
		for _, g := range gs {
			g.mute = true
		}
		start := time.Now()
		leases, err := r.Lease(t.Context(), api.Call{Session: s, Request: 1}, api.Want{Hosts: 2, Items: 5, Wait: time.Second})
		if took := time.Since(start); len(leases) != 0 || err != nil || took != time.Second {
			t.Errorf("no work: %v %v after %v", leases, err, took)
		}
		a, b := hostOfGroup(1, n, 0), hostOfGroup(3, n, 0)
		time.AfterFunc(300*time.Millisecond, func() { gs[1].put(a); gs[3].put(b) })
		start = time.Now()
		leases, err = r.Lease(t.Context(), api.Call{Session: s, Request: 2}, api.Want{Hosts: 2, Items: 5, Wait: time.Second})
		if took := time.Since(start); err != nil || took != 300*time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
		if got, want := hosts(leases), hosts([]api.Lease{{Host: a}, {Host: b}}); !slices.Equal(got, want) {
			t.Errorf("leases of %v, want %v", got, want)
		}
	})
}

// TestBrokenOff: a caller that gave up gets, by repeating the call, what was
// granted meanwhile.
func TestBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3
		gs, r := newGroups(t, n)
		s := registered(t, r)
		gs[2].mute = true
		ctx, cancel := context.WithCancel(t.Context())
		host := hostOfGroup(2, n, 0)
		time.AfterFunc(100*time.Millisecond, func() { cancel(); gs[2].put(host) })
		call, want := api.Call{Session: s, Request: 9}, api.Want{Hosts: 1, Items: 5, Wait: time.Second}
		leases, err := r.Lease(ctx, call, want)
		if salvor.ClassOf(err) != salvor.Interrupted {
			t.Fatal(leases, err)
		}
		want.Wait = 0
		if leases, err = r.Lease(t.Context(), call, want); err != nil || len(leases) != 1 || leases[0].Host != host {
			t.Error(leases, err)
		}
	})
}

// hung is a group that answers nothing until its caller gives up.
type hung struct{ api.Group }

func (hung) err(ctx context.Context) error {
	<-ctx.Done()
	return salvor.Errorf(salvor.Interrupted, "%w", ctx.Err())
}
func (h hung) Lease(ctx context.Context, _ api.Call, _ api.Want) ([]api.Lease, error) {
	return nil, h.err(ctx)
}
func (h hung) Extend(ctx context.Context, _ api.Call, _ api.Holdings) (api.Renewal, error) {
	return api.Renewal{}, h.err(ctx)
}
func (h hung) AdoptCrawl(ctx context.Context, _ api.Crawl) error { return h.err(ctx) }

// TestHungGroup: the others' work is given in time.
func TestHungGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3
		gs, r := newGroups(t, n)
		s := registered(t, r)
		r.groups[1] = hung{}
		host := hostOfGroup(2, n, 0)
		for i, work := range []bool{false, true} {
			if work {
				gs[2].put(host)
			}
			start := time.Now()
			leases, err := r.Lease(t.Context(), api.Call{Session: s, Request: uint64(1 + i)}, api.Want{Hosts: n, Items: 5, Wait: time.Second})
			took := time.Since(start)
			if err != nil || len(leases) == 1 != work || took > 2*time.Second+answerTime {
				t.Errorf("work %v: %v, %v after %v", work, leases, err, took)
			}
		}
		r.groups[0], r.groups[2] = hung{}, hung{}
		start := time.Now()
		_, err := r.Lease(t.Context(), api.Call{Session: s, Request: 3}, api.Want{Hosts: n, Items: 5, Wait: time.Second})
		if took := time.Since(start); salvor.ClassOf(err) != salvor.Unavailable || took > 2*time.Second+answerTime {
			t.Errorf("all are hung: %v after %v", err, took)
		}
	})
}

// TestUnknownSession: what no repetition mends is said.
func TestUnknownSession(t *testing.T) {
	_, r := newGroups(t, 3)
	if _, err := r.Lease(t.Context(), api.Call{Session: 5, Request: 1}, api.Want{Hosts: 3, Items: 1, Wait: time.Hour}); salvor.ClassOf(err) != salvor.NotFound {
		t.Error(err)
	}
	if _, err := r.Extend(t.Context(), api.Call{Session: 5, Request: 2}, api.Holdings{}); salvor.ClassOf(err) != salvor.NotFound {
		t.Error(err)
	}
}

func TestLeaseNumbers(t *testing.T) {
	for _, id := range []salvor.LeaseID{1 << 16, 1<<40 | 255, 1<<63 | 7} {
		for g := range api.MaxGroups {
			if back, own := inner(outer(g, id)); back != g || own != id {
				t.Errorf("%x of group %d came back as %x of %d", id, g, own, back)
			}
		}
		if outer(0, id) != id {
			t.Errorf("%x is changed for group 0", id)
		}
	}
}
