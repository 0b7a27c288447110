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
	hosts, err := g.pick(w)
	if err != nil || len(hosts) == 0 && !g.answered(c) {
		return nil, err
	}
	return commit[[]api.Lease](ctx, g, c, 0, &frontier.Grant{Session: c.Session, Hosts: hosts})
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

// pick chooses from the hosts that are ready.
func (g *Group) pick(w api.Want) ([]frontier.GrantHost, error) {
	m, done, err := g.replica.state.lend()
	if err != nil {
		return nil, err
	}
	defer done()
	enough := make(map[string]bool, len(w.Not))
	for _, h := range w.Not {
		enough[h] = true
	}
	var out []frontier.GrantHost
	// The hosts a session has enough of are ready too, hence the longer list.
	for _, h := range m.Ready(g.now(), w.Hosts+len(w.Not)) {
		if len(out) == w.Hosts {
			break
		}
		if enough[h.Host] || !worthwhile(h) {
			continue
		}
		out = append(out, frontier.GrantHost{Crawl: h.Crawl, Host: h.Host, Items: slice(h.Free, w.Items), Pace: h.Free})
	}
	return out, nil
}

const (
	// leaseTime is for how long a lease's items last. A worker asks for a slow
	// host's next lease when it starts the last item of this one, so this only
	// bounds how much of a queue one worker keeps from the others.
	leaseTime = time.Minute
	// leastItems spares a very slow host a grant for every page.
	leastItems = 8
)

// slice is how many items a lease of a pace gets.
func slice(pace salvor.Pace, most int) int {
	if pace >= salvor.Unlimited {
		return most
	}
	n := uint64(pace) * uint64(leaseTime/time.Second) / 1000
	return int(min(max(n, leastItems), uint64(most)))
}

// worthwhile refuses crumbs: what a growing budget leaves beside the leases
// that are out is theirs at the next extend, not another lease.
func worthwhile(h frontier.ReadyHost) bool {
	return h.Leases == 0 || h.Budget >= salvor.Unlimited || h.Free*10 >= h.Budget
}

// Extend implements api.Coordinator. Each piece judges its own range of leases.
func (g *Group) Extend(ctx context.Context, c api.Call, h api.Holdings) (api.Renewal, error) {
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
	}
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
