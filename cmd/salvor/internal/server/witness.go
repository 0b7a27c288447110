package server

import (
	"cmp"
	"context"
	"net/netip"
	"net/url"
	"time"

	"salvor/api"
	"salvor/coordinator/risk"
	"salvor/coordinator/risk/stream"
	"salvor/coordinator/trust"
)

// witness is a group whose workers' reports say how the sites do. They are looks
// from where the workers are, at what is asked for anyway.
type witness struct {
	group
	n *node
}

// Feedback notes what a worker met, once the group has it.
func (w witness) Feedback(ctx context.Context, reports []api.HostFeedback) error {
	err := w.group.Feedback(ctx, reports)
	if err == nil {
		w.n.stream.Take(time.Now(), w.n.vantageOf(trust.CallerOf(ctx)), reports)
	}
	return err
}

// vantageOf is from where a caller looks; without one, it is this node.
func (n *node) vantageOf(c trust.Caller) risk.Vantage {
	if c.Node == nil {
		return risk.Vantage{Node: n.id.Peer().Name}
	}
	v := risk.Vantage{Node: c.Node.Name}
	if at, err := netip.ParseAddrPort(c.Address); err == nil {
		if v.Network = stream.Network(at.Addr()); v.Network != "" && n.probes.asn != nil {
			v.Network = cmp.Or(n.probes.asn.Of(at.Addr()), v.Network)
		}
	}
	return v
}

// witnessEvery is how often what the workers met is looked at.
const witnessEvery = time.Minute

// witnessLoop keeps what the workers met of sites. Each coordinator does: it hears of
// the hosts whose groups it leads.
func (n *node) witnessLoop(ctx context.Context) {
	for wait(ctx, witnessEvery) {
		if err := n.attest(ctx); err != nil && ctx.Err() == nil {
			n.log.Info("what workers met was not kept", "error", err)
		}
	}
}

func (n *node) attest(ctx context.Context) error {
	targets, err := n.targets(ctx)
	if err != nil {
		return err
	}
	of := make(map[string]string, len(targets))
	for _, t := range targets {
		of[(&url.URL{Host: t.Host}).Hostname()] = t.Site
	}
	seen := n.stream.Looks(time.Now(), func(host string) (string, bool) {
		site, ok := of[host]
		return site, ok
	})
	if len(seen) == 0 {
		return nil
	}
	return n.sites.Observe(ctx, seen)
}
