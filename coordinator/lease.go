package coordinator

import (
	"context"
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
func (n *Node) Lease(ctx context.Context, c api.Call, w api.Want) ([]api.Lease, error) {
	if w.Hosts <= 0 || w.Items <= 0 {
		return nil, salvor.Errorf(salvor.Invalid, "coordinator: a lease of %d hosts with %d items", w.Hosts, w.Items)
	}
	w.Hosts = min(w.Hosts, mostHosts)
	end := n.clock.Now().Add(w.Wait)
	for {
		rung := n.wake.next()
		r, err := n.leader(ctx)
		if err != nil {
			return nil, err
		}
		leases, err := n.grant(ctx, c, w)
		left := end.Sub(n.clock.Now())
		if err != nil || len(leases) > 0 || left <= 0 {
			return leases, err
		}
		waitEither(ctx, n.clock, r.budgets.nextEnd(n.now(), min(left, mostWait)), rung)
		if !wait(ctx, n.clock, min(end.Sub(n.clock.Now()), leastWait)) {
			return nil, ctxError(ctx.Err())
		}
	}
}

// grant picks hosts and proposes leases of them. One at a time: two that pick
// from the same state would pick the same hosts.
func (n *Node) grant(ctx context.Context, c api.Call, w api.Want) ([]api.Lease, error) {
	select {
	case n.grants <- struct{}{}:
		defer func() { <-n.grants }()
	case <-ctx.Done():
		return nil, ctxError(ctx.Err())
	}
	hosts, err := n.pick(w)
	if err != nil || len(hosts) == 0 {
		return nil, err
	}
	return commit[[]api.Lease](ctx, n, c, 0, &frontier.Grant{Session: c.Session, Hosts: hosts})
}

// pick chooses from the hosts that are ready.
func (n *Node) pick(w api.Want) ([]frontier.GrantHost, error) {
	m, done, err := n.group.state.lend()
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
	for _, h := range m.Ready(n.now(), w.Hosts+len(w.Not)) {
		if len(out) == w.Hosts {
			break
		}
		if enough[h.Host] || !worthwhile(h) {
			continue
		}
		out = append(out, frontier.GrantHost{Crawl: h.Crawl, Host: h.Host, Items: w.Items, Pace: h.Free})
	}
	return out, nil
}

// worthwhile refuses crumbs: what a growing budget leaves beside the leases
// that are out is theirs at the next extend, not another lease.
func worthwhile(h frontier.ReadyHost) bool {
	return h.Leases == 0 || h.Budget >= salvor.Unlimited || h.Free*10 >= h.Budget
}

// Extend implements api.Coordinator.
func (n *Node) Extend(ctx context.Context, c api.Call, h api.Holdings) (api.Renewal, error) {
	return commit[api.Renewal](ctx, n, c, 0, &frontier.Extend{Session: c.Session, Before: h.Seen + 1, Held: h.Leases})
}
