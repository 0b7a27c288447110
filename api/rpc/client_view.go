package rpc

import (
	"context"

	"salvor"
	"salvor/api"
	"salvor/api/pb"
)

// Crawl implements api.View.
func (c *Client) Crawl(ctx context.Context, id salvor.CrawlID) (api.Crawl, error) {
	res, err := ask(ctx, c, c.short(true), c.rpc.Crawl, &pb.CrawlRequest{Id: uint32(id)})
	if err != nil {
		return api.Crawl{}, err
	}
	return answered(getOne(res.Crawl, getCrawl))
}

// Crawls implements api.View.
func (c *Client) Crawls(ctx context.Context) ([]api.Crawl, error) {
	res, err := ask(ctx, c, c.short(true), c.rpc.Crawls, &pb.CrawlsRequest{})
	if err != nil {
		return nil, err
	}
	return answered(getAll(res.Crawls, getCrawl))
}

// Totals implements api.View.
func (c *Client) Totals(ctx context.Context, id salvor.CrawlID) (api.Totals, error) {
	res, err := ask(ctx, c, c.short(true), c.rpc.Totals, &pb.TotalsRequest{Crawl: uint32(id)})
	if err != nil {
		return api.Totals{}, err
	}
	return answered(getOne(res.Totals, getTotals))
}

// Hosts implements api.View.
func (c *Client) Hosts(ctx context.Context, id salvor.CrawlID, limit int) ([]api.Host, error) {
	res, err := ask(ctx, c, c.long(true), c.rpc.Hosts, &pb.HostsRequest{Crawl: uint32(id), Limit: int32Of(limit)})
	if err != nil {
		return nil, err
	}
	return answered(getAll(res.Hosts, getHost))
}

// Types implements api.View.
func (c *Client) Types(ctx context.Context, id salvor.CrawlID) (map[string]api.Count, error) {
	res, err := ask(ctx, c, c.short(true), c.rpc.Types, &pb.TypesRequest{Crawl: uint32(id)})
	if err != nil {
		return nil, err
	}
	return getTypes(res.Types), nil
}

// Codes implements api.View.
func (c *Client) Codes(ctx context.Context, id salvor.CrawlID) (map[int]api.Count, error) {
	res, err := ask(ctx, c, c.short(true), c.rpc.Codes, &pb.CodesRequest{Crawl: uint32(id)})
	if err != nil {
		return nil, err
	}
	return getCodes(res.Codes), nil
}

// Reasons implements api.View.
func (c *Client) Reasons(ctx context.Context, id salvor.CrawlID) (map[api.Reason]int64, error) {
	res, err := ask(ctx, c, c.short(true), c.rpc.Reasons, &pb.ReasonsRequest{Crawl: uint32(id)})
	if err != nil {
		return nil, err
	}
	return getReasons(res.Reasons), nil
}

// Lookup implements api.View.
func (c *Client) Lookup(ctx context.Context, id salvor.CrawlID, host string, k salvor.Key) (api.Known, error) {
	res, err := ask(ctx, c, c.short(true), c.rpc.Lookup, &pb.LookupRequest{Crawl: uint32(id), Host: host, Key: k[:]})
	if err != nil {
		return api.Known{}, err
	}
	return answered(getOne(res.Known, getKnown))
}

// Segments implements api.View.
func (c *Client) Segments(ctx context.Context) ([]api.Segment, error) {
	res, err := ask(ctx, c, c.long(true), c.rpc.Segments, &pb.SegmentsRequest{})
	if err != nil {
		return nil, err
	}
	return answered(getAll(res.Segments, getSegment))
}

// Robots implements api.View.
func (c *Client) Robots(ctx context.Context, id salvor.CrawlID, host string) ([]api.Robots, error) {
	res, err := ask(ctx, c, c.short(true), c.rpc.Robots, &pb.RobotsRequest{Crawl: uint32(id), Host: host})
	if err != nil {
		return nil, err
	}
	return answered(getAll(res.Robots, getRobots))
}
