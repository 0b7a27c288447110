package main

import (
	"context"

	"salvor"
	"salvor/api"
)

// counter is a coordinator that grants whatever is asked for, and counts.
type counter struct {
	api.Coordinator
	web       *web
	offers    int
	settled   int
	granted   int
	discovers int
	leases    int
}

func (c *counter) Register(context.Context, string) (salvor.SessionID, error) { return 1, nil }
func (c *counter) End(context.Context, salvor.SessionID) error                { return nil }
func (c *counter) Feedback(context.Context, []api.HostFeedback) error         { return nil }
func (c *counter) OpenSegment(context.Context, api.Call, string) (salvor.SegmentID, error) {
	return 1, nil
}

func (c *counter) Discover(_ context.Context, _ api.Call, d api.Discovery) ([]api.Result, error) {
	c.offers, c.discovers = c.offers+len(d.Items), c.discovers+1
	return make([]api.Result, len(d.Items)), nil
}

func (c *counter) Settle(_ context.Context, _ api.Call, s api.Settlement) error {
	c.settled += len(s.Entries)
	return nil
}

// Lease gives a robots.txt first, alone, then pages.
func (c *counter) Lease(_ context.Context, _ api.Call, w api.Want) ([]api.Lease, error) {
	c.leases++
	l := api.Lease{ID: salvor.LeaseID(c.leases << 16), Host: "www0.platform.example"}
	if c.leases == 1 {
		l.Items = []salvor.Item{{Class: salvor.ClassRobots, Host: l.Host, Origin: "https://" + l.Host}}
		return []api.Lease{l}, nil
	}
	for range w.Items {
		l.Items = append(l.Items, c.web.offer(int64(c.granted)).Item)
		c.granted++
	}
	return []api.Lease{l}, nil
}

func (c *counter) Extend(context.Context, api.Call, api.Holdings) (api.Renewal, error) {
	return api.Renewal{}, nil
}
