package coordinator

import (
	"context"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

var _ api.Budgets = (*Group)(nil)

// MergeHosts implements api.Budgets.
func (g *Group) MergeHosts(ctx context.Context, x api.HostGroup) error {
	return g.change1(ctx, &frontier.SetGroup{Crawl: x.Crawl, Name: x.Name, Hosts: x.Hosts, Share: x.Share})
}

// SetShare implements api.Budgets. A share that is lowered counts once this
// returned and a lease time has passed: until then leases may use the old one.
func (g *Group) SetShare(ctx context.Context, name string, share salvor.Pace) error {
	return g.change1(ctx, &frontier.SetShare{Name: name, Share: share})
}

// HostGroups implements api.Budgets. The ends of blocks are in wall time.
func (g *Group) HostGroups(ctx context.Context) ([]api.HostGroup, error) {
	list, err := look(ctx, g, func(m *frontier.Machine) ([]api.HostGroup, error) { return m.Groups() })
	ahead := g.ahead()
	for i := range list {
		if b := &list[i].Blocked; *b != 0 {
			*b -= ahead
		}
	}
	return list, err
}

// SetLimits implements api.Budgets. What reports told of meanwhile is not
// undone: a rate is raised only in the place of the one that was seen.
func (g *Group) SetLimits(ctx context.Context, l api.GroupLimits) error {
	r, err := g.leader(ctx)
	if err != nil {
		return err
	}
	r.budgets.told.Lock()
	defer r.budgets.told.Unlock()
	m, done, err := g.replica.state.lend()
	if err != nil {
		return err
	}
	x, err := m.Group(l.Name)
	done()
	if err != nil {
		return err
	}
	t := g.moment()
	b, ok := limited(t, x, l)
	if !ok {
		return nil
	}
	if err := g.change1(ctx, &b); err != nil {
		return err
	}
	r.budgets.take(t, x, b)
	return nil
}

// limited is the change of a budget group that what was told of it leads to.
func limited(t moment, x api.HostGroup, l api.GroupLimits) (b frontier.SetBudget, ok bool) {
	if len(x.Hosts) == 0 {
		return b, false
	}
	b.Host = x.Hosts[0]
	fell := l.Rate > 0 && l.Rate < x.Rate
	if fell || l.Rate > x.Rate && l.Was == x.Rate {
		b.Rate = &l.Rate
	}
	if l.Ceiling > 0 && l.Ceiling != x.Ceiling {
		b.Ceiling = &l.Ceiling
	}
	if end := l.Blocked + t.ahead; l.Blocked > 0 && end > x.Blocked && end > t.wall {
		b.Blocked = &end
	}
	if l.Note != "" && (fell || b.Blocked != nil) {
		b.Note = &l.Note
	}
	return b, b.Rate != nil || b.Ceiling != nil || b.Blocked != nil
}
