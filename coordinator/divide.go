package coordinator

import (
	"slices"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// divide lowers what a session asks for at an extend to its share, where others
// wait for the same host, and says what it is to give back of its items.
func (g *Group) divide(c api.Call, h *api.Holdings) (recalled []api.Slice, err error) {
	m, done, err := g.replica.state.lend()
	if err != nil {
		return nil, err
	}
	defer done()
	g.demand.told(g.clock.Now(), c.Session, c.Request)
	v := division{g: g, c: c, course: g.heading(), left: map[string]salvor.Pace{}, unstarted: map[salvor.LeaseID]int{}, unbegun: map[frontier.HostOf]int64{}}
	for _, s := range h.Unstarted {
		v.unstarted[s.Lease] = s.Items
	}
	held := h.Leases
	m.Rooms(g.now(), c.Session, held, func(i int, r frontier.LeaseRoom) {
		if want := v.lease(held[i], r); want != held[i].Pace {
			if &h.Leases[0] == &held[0] {
				h.Leases = slices.Clone(held) // the caller's stay as they are
			}
			h.Leases[i].Pace = want
		}
	})
	g.demand.cut(c.Session, v.cuts)
	g.unbegun.told(g.clock.Now(), c.Session, v.unbegun)
	return v.recalled, nil
}

// division is one extend being divided.
type division struct {
	g         *Group
	c         api.Call
	course    *course
	left      map[string]salvor.Pace // by purse, not taken by this extend yet
	unstarted map[salvor.LeaseID]int
	unbegun   map[frontier.HostOf]int64
	cuts      []cut
	recalled  []api.Slice
}

// lease is the pace to ask for one lease.
func (v *division) lease(x api.Extension, r frontier.LeaseRoom) salvor.Pace {
	d, now := &v.g.demand, v.g.clock.Now()
	idle := 0
	if n := v.unstarted[x.Lease]; n > 0 {
		v.unbegun[frontier.HostOf{Crawl: r.Crawl, Host: r.Host}] += int64(n)
	}
	if n := v.unstarted[x.Lease]; n > 0 && r.Ready {
		rate := d.begins(now, api.Slice{Lease: x.Lease, Items: n})
		if idle = d.starving(now, r.Crawl, v.c.Session); idle > 0 {
			if n = recall(n, rate, idle); n > 0 {
				v.recalled = append(v.recalled, api.Slice{Lease: x.Lease, Items: n})
			}
		}
	}
	most := v.course.pace(now, frontier.HostOf{Crawl: r.Crawl, Host: r.Host})
	if x.Pace == 0 || min(r.Budget, most) >= salvor.Unlimited {
		return x.Pace
	}
	return v.pace(x, r, idle, most)
}

// pace is a lease's share of a budget. What it gains was free, and is known to
// be; what it loses is free once its holder knows. most is what the planner gives
// the host.
func (v *division) pace(x api.Extension, r frontier.LeaseRoom, idle int, most salvor.Pace) salvor.Pace {
	d, now := &v.g.demand, v.g.clock.Now()
	sharers := r.Leases + idle + d.waiting(now, r.Purse, v.c.Session)
	if r.Pace == 0 {
		sharers++
	}
	want := x.Pace
	if sharers > 1 {
		want = min(want, share(r.Budget, sharers))
	}
	if most < r.Budget { // of a course there is no least part: all leases together have it
		want = min(want, max(most/salvor.Pace(max(sharers, 1)), 1))
	}
	if r.Budget >= salvor.Unlimited {
		return want // nothing of it is booked
	}
	left, ok := v.left[r.Purse]
	if !ok {
		left = r.Free - min(r.Free, d.reserved(now, r.Purse))
	}
	if want > r.Pace {
		gain := min(want-r.Pace, left)
		v.left[r.Purse] = left - gain
		return r.Pace + gain
	}
	if want < r.Pace && want < x.Pace {
		v.cuts = append(v.cuts, cut{purse: r.Purse, pace: r.Pace - want, request: v.c.Request, until: now.Add(salvor.LeaseTTL + leaseGrace)})
	}
	return want
}
