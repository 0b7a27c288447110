package client

import (
	"context"
	"errors"
	"time"

	"salvor"
	"salvor/api/merge"
	"salvor/api/route"
	"salvor/coordinator/pilot"
)

// HostGroups lists the hosts that share a budget, and what each group has of
// them.
func (c *Cluster) HostGroups(ctx context.Context) ([]route.Merged, error) {
	return c.router.HostGroups(ctx)
}

// MergeHosts has hosts share a budget; see route.Router.
func (c *Cluster) MergeHosts(ctx context.Context, g merge.Group) (merge.Group, bool, error) {
	return c.router.MergeHosts(ctx, g)
}

// SplitHosts takes a budget group apart.
func (c *Cluster) SplitHosts(ctx context.Context, name string) error {
	return c.router.SplitHosts(ctx, name)
}

// Merged waits until every group has a budget group as it is wanted, or has none
// of it where that is wanted. It names those that do not: they follow when they
// can. Where others must give up some of the budget first, that takes longer
// than a lease lasts: then it waits for twice its patience.
func (c *Cluster) Merged(ctx context.Context, name string) (m route.Merged, err error) {
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, 2*c.patience)
	defer cancel()
	lacks := "none of them was asked"
	for {
		all, err := c.router.HostGroups(ctx)
		if err == nil {
			if m, lacks = find(all, name), ""; m.Name != "" {
				lacks = m.Lacks()
			}
			if lacks == "" {
				return m, nil
			}
		} else if ctx.Err() == nil && salvor.ClassOf(err) != salvor.Unavailable {
			return m, err
		}
		select {
		case <-ctx.Done():
			if errors.Is(asked.Err(), context.Canceled) {
				return m, salvor.Errorf(salvor.Interrupted, "stopped while budget group %s was on its way to all groups: %w", name, asked.Err())
			}
			return m, salvor.Errorf(salvor.Unavailable, "budget group %s is written down, and not everywhere yet: %s", name, lacks).
				WithHint("they get it when they have a leader again; salvor host groups shows how far they are")
		case <-time.After(lookAgain):
		}
	}
}

func find(all []route.Merged, name string) route.Merged {
	for _, m := range all {
		if m.Name == name {
			return m
		}
	}
	return route.Merged{}
}

// Plan is the newest plan of the cluster, and what it was made of.
func (c *Cluster) Plan(ctx context.Context) (v pilot.View, err error) {
	_, err = c.ask.any(ctx, c.addrs, "/v1/plan", &v)
	return v, err
}
