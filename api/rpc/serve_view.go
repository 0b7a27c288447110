package rpc

import (
	"context"

	"salvor"
	"salvor/api/pb"
)

func (service) Crawl(ctx context.Context, m *pb.CrawlRequest) (*pb.CrawlResponse, error) {
	c, err := groupOf(ctx).Crawl(ctx, salvor.CrawlID(m.Id))
	if err != nil {
		return nil, err
	}
	return &pb.CrawlResponse{Crawl: one(c, putCrawl)}, nil
}

func (service) Crawls(ctx context.Context, _ *pb.CrawlsRequest) (*pb.CrawlsResponse, error) {
	list, err := groupOf(ctx).Crawls(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.CrawlsResponse{Crawls: putAll(list, putCrawl)}, nil
}

func (service) Totals(ctx context.Context, m *pb.TotalsRequest) (*pb.TotalsResponse, error) {
	t, err := groupOf(ctx).Totals(ctx, salvor.CrawlID(m.Crawl))
	if err != nil {
		return nil, err
	}
	return &pb.TotalsResponse{Totals: one(t, putTotals)}, nil
}

func (service) Hosts(ctx context.Context, m *pb.HostsRequest) (*pb.HostsResponse, error) {
	if m.Limit < 0 {
		return nil, salvor.Errorf(salvor.Invalid, "rpc: a list of %d hosts", m.Limit)
	}
	list, err := groupOf(ctx).Hosts(ctx, salvor.CrawlID(m.Crawl), int(m.Limit))
	if err != nil {
		return nil, err
	}
	return &pb.HostsResponse{Hosts: putAll(list, putHost)}, nil
}

func (service) Types(ctx context.Context, m *pb.TypesRequest) (*pb.TypesResponse, error) {
	counts, err := groupOf(ctx).Types(ctx, salvor.CrawlID(m.Crawl))
	if err != nil {
		return nil, err
	}
	return &pb.TypesResponse{Types: putTypes(counts)}, nil
}

func (service) Codes(ctx context.Context, m *pb.CodesRequest) (*pb.CodesResponse, error) {
	counts, err := groupOf(ctx).Codes(ctx, salvor.CrawlID(m.Crawl))
	if err != nil {
		return nil, err
	}
	return &pb.CodesResponse{Codes: putCodes(counts)}, nil
}

func (service) Reasons(ctx context.Context, m *pb.ReasonsRequest) (*pb.ReasonsResponse, error) {
	counts, err := groupOf(ctx).Reasons(ctx, salvor.CrawlID(m.Crawl))
	if err != nil {
		return nil, err
	}
	return &pb.ReasonsResponse{Reasons: putReasons(counts)}, nil
}

func (service) Lookup(ctx context.Context, m *pb.LookupRequest) (*pb.LookupResponse, error) {
	var key salvor.Key
	if err := fill(key[:], m.Key, "a key"); err != nil {
		return nil, err
	}
	k, err := groupOf(ctx).Lookup(ctx, salvor.CrawlID(m.Crawl), m.Host, key)
	if err != nil {
		return nil, err
	}
	return &pb.LookupResponse{Known: one(k, putKnown)}, nil
}

func (service) Segments(ctx context.Context, _ *pb.SegmentsRequest) (*pb.SegmentsResponse, error) {
	list, err := groupOf(ctx).Segments(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.SegmentsResponse{Segments: putAll(list, putSegment)}, nil
}

func (service) Robots(ctx context.Context, m *pb.RobotsRequest) (*pb.RobotsResponse, error) {
	list, err := groupOf(ctx).Robots(ctx, salvor.CrawlID(m.Crawl), m.Host)
	if err != nil {
		return nil, err
	}
	return &pb.RobotsResponse{Robots: putAll(list, putRobots)}, nil
}
