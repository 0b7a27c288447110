package clienttest

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"salvor"
	"salvor/api"
	"salvor/api/merge"
)

var _ api.Budgets = (*Group)(nil)

// bringMerges is the steward: every group that hears of changes gets what the
// rows want.
func (c *Cluster) bringMerges() {
	first := c.Groups[0]
	first.mu.Lock()
	rows := slices.Collect(maps.Values(first.rows[api.TableBudgets]))
	first.mu.Unlock()
	wanted, err := merge.All(rows)
	if err != nil {
		return // no Raft group is told of what cannot be read
	}
	for _, g := range c.Groups {
		g.mu.Lock()
		if !g.stale && g.down == nil {
			g.follow(wanted, len(c.Groups))
		}
		g.mu.Unlock()
	}
}

// follow merges what is wanted here. The caller holds mu.
func (g *Group) follow(wanted []merge.Group, groups int) {
	before := g.merged
	g.merged = map[string]api.HostGroup{}
	for _, w := range wanted {
		hosts := w.In(g.number, groups)
		if len(hosts) == 0 {
			continue
		}
		x, ok := before[w.Name]
		if !ok {
			x = api.HostGroup{Name: w.Name, Rate: 2000, Ceiling: 20_000}
		}
		if x.Hosts = hosts; len(hosts) < len(w.Hosts) && x.Share == 0 {
			x.Share = 1000
		}
		if w.Ceiling > 0 {
			x.Ceiling = w.Ceiling
		}
		g.merged[w.Name] = x
	}
}

// Heal has a group hear of what it missed.
func (c *Cluster) Heal(group int) {
	c.Groups[group].Stale(false)
	c.bringMerges()
}

// HostGroups implements api.Budgets.
func (g *Group) HostGroups(context.Context) ([]api.HostGroup, error) {
	if err := g.lock(); err != nil {
		return nil, err
	}
	defer g.mu.Unlock()
	return slices.SortedFunc(maps.Values(g.merged), func(a, b api.HostGroup) int { return cmp.Compare(a.Name, b.Name) }), nil
}

// SetLimits implements api.Budgets.
func (g *Group) SetLimits(_ context.Context, l api.GroupLimits) error {
	if err := g.lock(); err != nil {
		return err
	}
	defer g.mu.Unlock()
	x, ok := g.merged[l.Name]
	if !ok {
		return salvor.Errorf(salvor.NotFound, "no hosts are merged as %s", l.Name)
	}
	x.Rate, x.Blocked, x.Note = l.Rate, l.Blocked, l.Note
	g.merged[l.Name] = x
	return nil
}

// MergeHosts implements api.Budgets; only the steward may call it.
func (g *Group) MergeHosts(context.Context, api.HostGroup) error { return errSteward }

// SetShare implements api.Budgets; only the steward may call it.
func (g *Group) SetShare(context.Context, string, salvor.Pace) error { return errSteward }

var errSteward = salvor.Errorf(salvor.Internal, "this is the steward's to do")
