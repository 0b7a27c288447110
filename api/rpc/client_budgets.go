package rpc

import (
	"context"

	"salvor"
	"salvor/api"
	"salvor/api/pb"
)

var _ api.Budgets = (*Client)(nil)

// MergeHosts implements api.Budgets.
func (c *Client) MergeHosts(ctx context.Context, g api.HostGroup) error {
	_, err := ask(ctx, c, c.short(true), c.rpc.MergeHosts, &pb.MergeHostsRequest{Group: one(g, putHostGroup)})
	return err
}

// SetShare implements api.Budgets.
func (c *Client) SetShare(ctx context.Context, name string, share salvor.Pace) error {
	_, err := ask(ctx, c, c.short(true), c.rpc.SetShare, &pb.SetShareRequest{Name: name, Share: uint64(share)})
	return err
}

// SetLimits implements api.Budgets.
func (c *Client) SetLimits(ctx context.Context, l api.GroupLimits) error {
	_, err := ask(ctx, c, c.short(true), c.rpc.SetLimits, &pb.SetLimitsRequest{Limits: one(l, putGroupLimits)})
	return err
}

// HostGroups implements api.Budgets.
func (c *Client) HostGroups(ctx context.Context) ([]api.HostGroup, error) {
	res, err := ask(ctx, c, c.short(true), c.rpc.HostGroups, &pb.HostGroupsRequest{})
	if err != nil {
		return nil, err
	}
	return answered(getAll(res.Groups, getHostGroup))
}
