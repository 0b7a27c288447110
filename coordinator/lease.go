package coordinator

import (
	"cmp"
	"context"
	"slices"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

const (
	// mostHosts keeps the names of a grant within an entry.
	mostHosts = 256
	// leastWait spares a session that waits beside a busy one a look at every
	// batch.
	leastWait = 20 * time.Millisecond
	// mostWait is the backstop of the wake-ups: a host may become free by
	// time alone, by a wall clock that was set, say.
	mostWait = 2 * time.Second
)

// Lease implements api.Coordinator. It is woken by what is applied and by the
// end of a host's block; it does not poll.
func (g *Group) Lease(ctx context.Context, c api.Call, w api.Want) ([]api.Lease, error) {
	if w.Hosts <= 0 || w.Items <= 0 {
		return nil, salvor.Errorf(salvor.Invalid, "coordinator: a lease of %d hosts with %d items", w.Hosts, w.Items)
	}
	w.Hosts = min(w.Hosts, mostHosts)
	end := g.clock.Now().Add(w.Wait)
	for {
		rung := g.wake.next()
		r, err := g.leader(ctx)
		if err != nil {
			return nil, err
		}
		leases, err := g.grant(ctx, c, w)
		left := end.Sub(g.clock.Now())
		if err != nil || len(leases) > 0 || left <= 0 {
			return leases, err
		}
		waitEither(ctx, g.clock, r.budgets.nextEnd(g.now(), min(left, mostWait)), rung)
		if !wait(ctx, g.clock, min(end.Sub(g.clock.Now()), leastWait)) {
			return nil, ctxError(ctx.Err())
		}
	}
}

// grant picks hosts and proposes leases of them. One at a time: two that pick
// from the same state would pick the same hosts.
func (g *Group) grant(ctx context.Context, c api.Call, w api.Want) ([]api.Lease, error) {
	select {
	case g.grants <- struct{}{}:
		defer func() { <-g.grants }()
	case <-ctx.Done():
		return nil, ctxError(ctx.Err())
	}
	hosts, err := g.pick(c.Session, w)
	if err != nil || len(hosts) == 0 && !g.answered(c) {
		return nil, err
	}
	leases, err := commit[[]api.Lease](ctx, g, c, 0, &frontier.Grant{Session: c.Session, Hosts: hosts})
	if err == nil {
		g.unbegun.granted(g.clock.Now(), c.Session, leases)
	}
	return leases, err
}

// answered says whether a call was granted something before: then it is
// repeated though nothing is ready now, and gets the same again.
func (g *Group) answered(c api.Call) bool {
	m, done, err := g.replica.state.lend()
	if err != nil {
		return false
	}
	defer done()
	return m.Answered(c.Session, request(c, 0))
}

// pick chooses from the hosts that are ready, and notes what the session found.
func (g *Group) pick(s salvor.SessionID, w api.Want) ([]frontier.GrantHost, error) {
	m, done, err := g.replica.state.lend()
	if err != nil {
		return nil, err
	}
	defer done()
	enough := make(map[string]bool, len(w.Not))
	for _, h := range w.Not {
		enough[h] = true
	}
	now := g.clock.Now()
	course := g.heading()
	free, booked := g.candidates(m, course, w)
	sharers := g.demand.asking(now, w.Crawl)
	if len(free) >= w.Hosts {
		sharers = 1 // there is enough for everybody
	}
	var out []frontier.GrantHost
	taken := map[string]frontier.ReadyHost{} // of budgets that several hosts share, what this grant left
	for _, h := range free {
		if len(out) == w.Hosts {
			break
		}
		if enough[h.Host] {
			continue
		}
		if before, ok := taken[h.Purse]; ok {
			h.Free, h.Leases = before.Free, before.Leases
		}
		id := frontier.HostOf{Crawl: h.Crawl, Host: h.Host}
		x, ok := g.portion(now, s, w, h, course.pace(now, id))
		if !ok {
			booked = append(booked, h)
			continue
		}
		x.Items = slice(x.Pace, course.lasts(now, id), w.Items, h.Queued, sharers)
		out = append(out, x)
		if h.Purse != h.Host && h.Budget < salvor.Unlimited {
			h.Free, h.Leases = h.Free-x.Pace, h.Leases+1
			taken[h.Purse] = h
		}
	}
	g.demand.look(now, s, w, w.Idle, len(out) > 0, passed(booked, enough))
	if more := w.Hosts - len(out); more > 0 && g.demand.starving(now, w.Crawl, s) == 0 && g.runsAt(frontier.LevelOf(beside)) == nil {
		out = append(out, returned(append(free, booked...), enough, more, sharers)...)
	}
	return out, nil
}

// beside is a grant of items that join others.
var beside = &frontier.Grant{Hosts: []frontier.GrantHost{{}}}

// returned are items of hosts that a session has enough of which somebody was
// about to fetch who is gone: they are not to wait until one of the others has
// used up what it has. They come without a pace, beside those that have one.
func returned(hosts []frontier.ReadyHost, enough map[string]bool, most, sharers int) (out []frontier.GrantHost) {
	for _, h := range hosts {
		if enough[h.Host] && h.Returned > 0 && len(out) < most {
			n := max(int(h.Returned)/max(sharers, 1), leastItems)
			out = append(out, frontier.GrantHost{Crawl: h.Crawl, Host: h.Host, Items: min(n, int(h.Returned))})
		}
	}
	return out
}

// passed are the budgets that a session wanted and could not have.
func passed(booked []frontier.ReadyHost, enough map[string]bool) (purses []string) {
	for _, h := range booked {
		if !enough[h.Host] {
			purses = append(purses, h.Purse)
		}
	}
	return purses
}

// portion is what a session gets of a host: its share of the pace among those
// who have some or wait for it. It is false for
// crumbs: what a growing budget leaves beside the leases that are out is theirs
// at the next extend, not another lease. Of what the planner gives the host, most,
// it is true too.
func (g *Group) portion(now time.Time, s salvor.SessionID, w api.Want, h frontier.ReadyHost, most salvor.Pace) (x frontier.GrantHost, ok bool) {
	x = frontier.GrantHost{Crawl: h.Crawl, Host: h.Host, Pace: h.Free}
	if budget := min(h.Budget, most); budget < salvor.Unlimited {
		mine := share(budget, h.Leases+1+g.demand.waiting(now, h.Purse, s))
		if most < h.Budget { // nothing of it is booked: each lease has an equal part
			h.Free = min(h.Free, most-min(most, salvor.Pace(h.Leases)*mine))
		}
		x.Pace = min(mine, h.Free)
		if h.Leases > 0 { // else whoever had some of it is gone
			x.Pace = min(mine, h.Free-min(h.Free, g.demand.reserved(now, h.Purse)))
		}
		if x.Pace == 0 || h.Leases > 0 && x.Pace*2 < mine {
			return x, false
		}
	}
	return x, true
}

const (
	// leaseTime is for how long a lease's items last, where the planner does not say
	// less. A worker asks for a slow
	// host's next lease when it starts the last item of this one, so this only
	// bounds how much of a queue one worker keeps from the others.
	leaseTime = time.Minute
	// leastItems spares a very slow host a grant for every page.
	leastItems = 8
	// leastShared is the same where several sessions share the end of a queue, or where
	// leases are short because a host ends soon.
	leastShared = 2
)

// slice is how many items a lease of a pace gets that is to last so long. Towards its end a queue is cut
// into ever smaller slices, so that who shares it is done at about the same time.
func slice(pace salvor.Pace, lasts time.Duration, most int, queued int64, sharers int) int {
	n := uint64(most)
	if pace < salvor.Unlimited {
		least := uint64(leastItems)
		if lasts < leaseTime { // what is found meanwhile may be worth more
			least = leastShared
		}
		n = max(uint64(pace)*uint64(lasts/time.Millisecond)/1e6, least)
	}
	if sharers > 1 {
		n = min(n, max(uint64(queued)/uint64(2*sharers), leastShared))
	}
	return int(min(n, uint64(most)))
}

// Extend implements api.Coordinator. Each piece judges its own range of leases.
func (g *Group) Extend(ctx context.Context, c api.Call, h api.Holdings) (api.Renewal, error) {
	recalled, err := g.divide(c, &h)
	if err != nil {
		return api.Renewal{}, err
	}
	pieces, err := extendPieces(c.Session, h)
	if err != nil {
		return api.Renewal{}, err
	}
	answers := make([]api.Renewal, len(pieces))
	err = g.each(ctx, len(pieces), func(ctx context.Context, i int) (err error) {
		answers[i], err = commit[api.Renewal](ctx, g, c, i, &pieces[i])
		return err
	})
	if err != nil {
		return api.Renewal{}, err
	}
	all := answers[0]
	for _, r := range answers[1:] {
		all.Granted = append(all.Granted, r.Granted...)
		all.Lost = append(all.Lost, r.Lost...)
		all.Struck = append(all.Struck, r.Struck...)
		all.Merged = append(all.Merged, r.Merged...)
	}
	all.Recalled = recalled
	return all, nil
}

// extendPieces cuts what a session holds into ranges of lease ids, which
// together judge every lease up to the newest it has seen.
func extendPieces(s salvor.SessionID, h api.Holdings) ([]frontier.Extend, error) {
	ends, err := piecesOf(len(h.Leases), maxExtends, func(int) int { return extensionSize })
	if err != nil {
		return nil, err
	}
	if len(ends) <= 1 {
		return []frontier.Extend{{Session: s, Before: h.Seen + 1, Held: h.Leases}}, nil
	}
	held := slices.Clone(h.Leases)
	slices.SortFunc(held, func(a, b api.Extension) int { return cmp.Compare(a.Lease, b.Lease) })
	pieces := make([]frontier.Extend, len(ends))
	for i := range ends {
		from, to := span(ends, i)
		pieces[i] = frontier.Extend{Session: s, Before: h.Seen + 1, Held: held[from:to]}
		if i > 0 {
			border := min(held[from].Lease, h.Seen+1)
			pieces[i-1].Before, pieces[i].From = border, border
		}
	}
	return pieces, nil
}
