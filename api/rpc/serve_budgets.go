package rpc

import (
	"context"

	"salvor"
	"salvor/api"
	"salvor/api/pb"
)

// budgetsOf is the part of a group that merges hosts.
func budgetsOf(ctx context.Context) (api.Budgets, error) {
	v := visitOf(ctx)
	b, ok := v.group.(api.Budgets)
	if !ok {
		return nil, salvor.Errorf(salvor.TooNew, "rpc: group %d of this node has no %s", v.number, v.method)
	}
	return b, nil
}

func (service) MergeHosts(ctx context.Context, m *pb.MergeHostsRequest) (*pb.MergeHostsResponse, error) {
	b, err := budgetsOf(ctx)
	if err != nil {
		return nil, err
	}
	g, err := getOne(m.Group, getHostGroup)
	if err != nil {
		return nil, err
	}
	return &pb.MergeHostsResponse{}, b.MergeHosts(ctx, g)
}

func (service) SetShare(ctx context.Context, m *pb.SetShareRequest) (*pb.SetShareResponse, error) {
	b, err := budgetsOf(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.SetShareResponse{}, b.SetShare(ctx, m.Name, salvor.Pace(m.Share))
}

func (service) SetLimits(ctx context.Context, m *pb.SetLimitsRequest) (*pb.SetLimitsResponse, error) {
	b, err := budgetsOf(ctx)
	if err != nil {
		return nil, err
	}
	l, err := getOne(m.Limits, getGroupLimits)
	if err != nil {
		return nil, err
	}
	return &pb.SetLimitsResponse{}, b.SetLimits(ctx, l)
}

func (service) HostGroups(ctx context.Context, _ *pb.HostGroupsRequest) (*pb.HostGroupsResponse, error) {
	b, err := budgetsOf(ctx)
	if err != nil {
		return nil, err
	}
	list, err := b.HostGroups(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.HostGroupsResponse{Groups: putAll(list, putHostGroup)}, nil
}
