package route

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"salvor"
	"salvor/api"
)

// leased gives a session one lease of each group that is named.
func leased(t *testing.T, gs []*group, r *Router, s salvor.SessionID, request uint64, from ...int) map[int]salvor.LeaseID {
	t.Helper()
	for _, g := range from {
		gs[g].put(hostOfGroup(g, len(gs), 0))
	}
	leases, err := r.Lease(t.Context(), api.Call{Session: s, Request: request}, api.Want{Hosts: len(gs), Items: 1})
	if err != nil || len(leases) != len(from) {
		t.Fatalf("%v %v", leases, err)
	}
	out := map[int]salvor.LeaseID{}
	for _, l := range leases {
		g, _ := inner(l.ID)
		out[g] = l.ID
	}
	return out
}

func holding(seen salvor.LeaseID, ids ...salvor.LeaseID) api.Holdings {
	h := api.Holdings{Seen: seen}
	for _, id := range ids {
		h.Leases = append(h.Leases, api.Extension{Lease: id, Pace: 1})
		h.Unstarted = append(h.Unstarted, api.Slice{Lease: id, Items: 8})
	}
	return h
}

const latest = ^salvor.LeaseID(0) // everything was seen

// told counts the extends of each group since it was asked last.
func told(gs []*group) (out []int) {
	for _, g := range gs {
		g.mu.Lock()
		out = append(out, len(g.extends))
		g.extends = nil
		g.mu.Unlock()
	}
	return out
}

// TestExtendTells each group what concerns it: what is held, once more when
// nothing is, and after that from time to time.
func TestExtendTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs, r := newGroups(t, 3)
		s := registered(t, r)
		ids := leased(t, gs, r, s, 1, 0, 1)
		request := uint64(1)
		extend := func(h api.Holdings) api.Renewal {
			t.Helper()
			request++
			out, err := r.Extend(t.Context(), api.Call{Session: s, Request: request}, h)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		for i, step := range []struct {
			held []salvor.LeaseID
			wait time.Duration
			told []int
		}{
			{[]salvor.LeaseID{ids[0], ids[1]}, 0, []int{1, 1, 1}}, // the first is to all
			{[]salvor.LeaseID{ids[0], ids[1]}, 0, []int{1, 1, 0}},
			{[]salvor.LeaseID{ids[0]}, 0, []int{1, 1, 0}}, // one more: none is held of group 1
			{[]salvor.LeaseID{ids[0]}, 0, []int{1, 0, 0}},
			{[]salvor.LeaseID{ids[0]}, tellEvery, []int{1, 1, 1}},
			{nil, 0, []int{1, 0, 0}},
			{nil, 0, []int{0, 0, 0}},
		} {
			time.Sleep(step.wait)
			got := extend(holding(latest, step.held...))
			want := api.Renewal{}
			for _, id := range step.held {
				want.Granted = append(want.Granted, api.Extension{Lease: id, Pace: 1})
				want.Merged = append(want.Merged, api.Member{Lease: id, Group: "cdn"})
				want.Recalled = append(want.Recalled, api.Slice{Lease: id, Items: 4})
			}
			if d := cmp.Diff(want, got, cmpopts.IgnoreFields(want, "Struck"), cmpopts.EquateEmpty()); d != "" {
				t.Errorf("step %d: %s", i, d)
			}
			if d := cmp.Diff(step.told, told(gs)); d != "" {
				t.Errorf("step %d: extends of the groups: %s", i, d)
			}
		}
		if n := gs[0].left() + gs[1].left(); n != 2 || len(gs[0].leases)+len(gs[1].leases) != 0 {
			t.Error("what was not listed did not return to its queue")
		}
		clear(gs[0].queue)
		clear(gs[1].queue)
		leased(t, gs, r, s, 100, 2)
		if extend(holding(latest)); told(gs)[2] != 1 {
			t.Error("a group was not told that its new lease is not held")
		}
	})
}

// TestSeen: a lease that is on its way to the session is not judged, and one
// of another group says nothing of it.
func TestSeen(t *testing.T) {
	gs, r := newGroups(t, 2)
	s := registered(t, r)
	gs[1].index = 1 << 30
	old := leased(t, gs, r, s, 1, 0, 1)
	if old[0] >= old[1] {
		t.Fatal("group 1's number is the greater one")
	}
	fresh := leased(t, gs, r, s, 2, 1)
	h := holding(old[1], old[0], old[1]) // before the answer came
	if _, err := r.Extend(t.Context(), api.Call{Session: s, Request: 3}, h); err != nil {
		t.Fatal(err)
	}
	if len(gs[1].leases) != 2 {
		t.Error("the lease on its way was taken back")
	}
	h = holding(fresh[1], old[0], fresh[1])
	if _, err := r.Extend(t.Context(), api.Call{Session: s, Request: 4}, h); err != nil {
		t.Fatal(err)
	}
	if len(gs[1].leases) != 1 || len(gs[0].leases) != 1 {
		t.Error("not just the one that was given up was taken back")
	}
	last := leased(t, gs, r, s, 5, 0, 1)
	for i, h := range []api.Holdings{holding(max(old[0], fresh[1])), holding(max(last[0], last[1]))} {
		if _, err := r.Extend(t.Context(), api.Call{Session: s, Request: 6 + uint64(i)}, h); err != nil {
			t.Fatal(err)
		}
		if n := len(gs[0].leases) + len(gs[1].leases); n != 2*(1-i) {
			t.Errorf("%d leases are out after %d extends that list none", n, 1+i)
		}
	}
}

// TestExtendWithoutAGroup: the others' leases go on, those of the silent group
// are neither granted nor lost; with nobody else's it is an error, but not for
// ever.
func TestExtendWithoutAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs, r := newGroups(t, 3)
		s := registered(t, r)
		ids := leased(t, gs, r, s, 1, 0, 1)
		real := r.groups[1]
		r.groups[1] = hung{}
		call := api.Call{Session: s, Request: 5}
		start := time.Now()
		got, err := r.Extend(t.Context(), call, holding(latest, ids[0], ids[1]))
		if err != nil || len(got.Granted) != 1 || got.Granted[0].Lease != ids[0] || len(got.Lost) != 0 {
			t.Errorf("%+v %v", got, err)
		}
		if took := time.Since(start); took > extendTime {
			t.Errorf("it took %v", took)
		}
		call.Request++ // group 0 hears that it has nothing left, and answers
		if _, err := r.Extend(t.Context(), call, holding(latest, ids[1])); err != nil {
			t.Error(err)
		}
		failed := 0
		for ; time.Since(start) < time.Minute; failed++ {
			call.Request++
			if _, err = r.Extend(t.Context(), call, holding(latest, ids[1])); err == nil {
				break
			}
			if salvor.ClassOf(err) != salvor.Unavailable {
				t.Error(err)
			}
		}
		if took := time.Since(start); failed == 0 || err != nil || took < salvor.LeaseTTL || took > salvor.LeaseTTL+3*extendTime {
			t.Errorf("it was an error %d times, for %v: %v", failed, took, err)
		}
		for _, held := range [][]salvor.LeaseID{{ids[0]}, nil} { // and not group 1's
			call.Request++
			if _, err := r.Extend(t.Context(), call, holding(latest, held...)); err != nil {
				t.Errorf("nothing is held of the silent group: %v", err)
			}
		}
		r.groups[1] = real
		call.Request++
		if got, err = r.Extend(t.Context(), call, holding(latest, ids[1])); err != nil || len(got.Granted) != 1 {
			t.Errorf("%+v %v", got, err)
		}
		foreign := outer(9, 1<<20)
		call.Request++
		if got, err = r.Extend(t.Context(), call, holding(latest, foreign)); err != nil || len(got.Lost) != 1 || got.Lost[0] != foreign {
			t.Errorf("a lease of no group: %+v %v", got, err)
		}
	})
}
