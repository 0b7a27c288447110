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

// HostGroups implements api.Budgets.
func (g *Group) HostGroups(ctx context.Context) ([]api.HostGroup, error) {
	return look(ctx, g, func(m *frontier.Machine) ([]api.HostGroup, error) { return m.Groups() })
}
