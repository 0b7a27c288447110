package rpc

import (
	"context"

	"salvor"
	"salvor/api"
	"salvor/api/pb"
)

// Register implements api.Coordinator. A repetition ends the session before
// it.
func (c *Client) Register(ctx context.Context, worker string) (salvor.SessionID, error) {
	res, err := ask(ctx, c, c.short(true), c.rpc.Register, &pb.RegisterRequest{Worker: worker})
	return salvor.SessionID(res.GetSession()), err
}

// RegisterAs implements api.Group.
func (c *Client) RegisterAs(ctx context.Context, worker string, s salvor.SessionID) error {
	_, err := ask(ctx, c, c.short(true), c.rpc.RegisterAs, &pb.RegisterAsRequest{Worker: worker, Session: uint64(s)})
	return err
}

// End implements api.Coordinator.
func (c *Client) End(ctx context.Context, s salvor.SessionID) error {
	_, err := ask(ctx, c, c.short(true), c.rpc.End, &pb.EndRequest{Session: uint64(s)})
	return err
}

// Discover implements api.Coordinator.
func (c *Client) Discover(ctx context.Context, call api.Call, d api.Discovery) ([]api.Result, error) {
	res, err := ask(ctx, c, c.batch(call), c.rpc.Discover, &pb.DiscoverRequest{
		Call: putCall(call), Crawl: uint32(d.Crawl), Scope: d.Scope, Items: putOffers(d.Items),
	})
	if err != nil {
		return nil, err
	}
	if len(res.Results) != len(d.Items) {
		return nil, salvor.Errorf(salvor.Internal, "rpc: %d results for %d offers", len(res.Results), len(d.Items))
	}
	return enums(res.Results, getResult), nil
}

// Lease implements api.Coordinator.
func (c *Client) Lease(ctx context.Context, call api.Call, w api.Want) ([]api.Lease, error) {
	k := kind{limit: max(w.Wait, 0) + c.c.Timeout, safe: named(call)}
	res, err := ask(ctx, c, k, c.rpc.Lease, putWant(call, w))
	if err != nil {
		return nil, err
	}
	return answered(getAll(res.Leases, getLease))
}

// Extend implements api.Coordinator.
func (c *Client) Extend(ctx context.Context, call api.Call, h api.Holdings) (api.Renewal, error) {
	res, err := ask(ctx, c, c.short(named(call)), c.rpc.Extend, putHoldings(call, h))
	if err != nil {
		return api.Renewal{}, err
	}
	return answered(getRenewal(res))
}

// Settle implements api.Coordinator.
func (c *Client) Settle(ctx context.Context, call api.Call, s api.Settlement) error {
	_, err := ask(ctx, c, c.batch(call), c.rpc.Settle, &pb.SettleRequest{
		Call: putCall(call), Crawl: uint32(s.Crawl),
		Entries: putAll(s.Entries, putEntry), Robots: putAll(s.Robots, putRobots),
	})
	return err
}

// Feedback implements api.Coordinator.
func (c *Client) Feedback(ctx context.Context, f []api.HostFeedback) error {
	_, err := ask(ctx, c, c.short(false), c.rpc.Feedback, &pb.FeedbackRequest{Hosts: putAll(f, putFeedback)})
	return err
}

// OpenSegment implements api.Coordinator. The same name gets the same number.
func (c *Client) OpenSegment(ctx context.Context, call api.Call, name string) (salvor.SegmentID, error) {
	res, err := ask(ctx, c, c.short(true), c.rpc.OpenSegment, &pb.OpenSegmentRequest{Call: putCall(call), Name: name})
	return salvor.SegmentID(res.GetSegment()), err
}

// SetSegment implements api.Coordinator.
func (c *Client) SetSegment(ctx context.Context, s api.Segment) error {
	_, err := ask(ctx, c, c.short(true), c.rpc.SetSegment, &pb.SetSegmentRequest{Segment: one(s, putSegment)})
	return err
}
