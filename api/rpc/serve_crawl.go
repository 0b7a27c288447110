package rpc

import (
	"context"

	"salvor"
	"salvor/api"
	"salvor/api/pb"
)

func (service) CreateCrawl(ctx context.Context, m *pb.CreateCrawlRequest) (*pb.CreateCrawlResponse, error) {
	c, err := getOne(m.Crawl, getCrawl)
	if err != nil {
		return nil, err
	}
	if c, err = groupOf(ctx).CreateCrawl(ctx, c); err != nil {
		return nil, err
	}
	return &pb.CreateCrawlResponse{Crawl: one(c, putCrawl)}, nil
}

func (service) SetCrawl(ctx context.Context, m *pb.SetCrawlRequest) (*pb.SetCrawlResponse, error) {
	c, err := getOne(m.Crawl, getCrawl)
	if err != nil {
		return nil, err
	}
	return &pb.SetCrawlResponse{}, groupOf(ctx).SetCrawl(ctx, c)
}

func (service) AdoptCrawl(ctx context.Context, m *pb.AdoptCrawlRequest) (*pb.AdoptCrawlResponse, error) {
	c, err := getOne(m.Crawl, getCrawl)
	if err != nil {
		return nil, err
	}
	return &pb.AdoptCrawlResponse{}, groupOf(ctx).AdoptCrawl(ctx, c)
}

func (service) CloseCrawl(ctx context.Context, m *pb.CloseCrawlRequest) (*pb.CloseCrawlResponse, error) {
	return &pb.CloseCrawlResponse{}, groupOf(ctx).CloseCrawl(ctx, salvor.CrawlID(m.Crawl))
}

func (service) Reopen(ctx context.Context, m *pb.ReopenRequest) (*pb.ReopenResponse, error) {
	n, err := groupOf(ctx).Reopen(ctx, api.Reopen{
		Crawl: salvor.CrawlID(m.Crawl), Host: m.Host, Outcomes: enums(m.Outcomes, getOutcome), Reason: m.Reason,
	})
	if err != nil {
		return nil, err
	}
	return &pb.ReopenResponse{Count: n}, nil
}

func (service) Exclude(ctx context.Context, m *pb.ExcludeRequest) (*pb.ExcludeResponse, error) {
	keys, err := getAll(m.Keys, getHostKey)
	if err != nil {
		return nil, err
	}
	n, err := groupOf(ctx).Exclude(ctx, salvor.CrawlID(m.Crawl), m.Rule, keys)
	if err != nil {
		return nil, err
	}
	return &pb.ExcludeResponse{Count: n}, nil
}

func (service) Rank(ctx context.Context, m *pb.RankRequest) (*pb.RankResponse, error) {
	items, err := getRanked(m)
	if err != nil {
		return nil, err
	}
	n, err := groupOf(ctx).Rank(ctx, salvor.CrawlID(m.Crawl), items)
	if err != nil {
		return nil, err
	}
	return &pb.RankResponse{Count: n}, nil
}

func (service) SetCeiling(ctx context.Context, m *pb.SetCeilingRequest) (*pb.SetCeilingResponse, error) {
	return &pb.SetCeilingResponse{}, groupOf(ctx).SetCeiling(ctx, salvor.CrawlID(m.Crawl), m.Host, salvor.Pace(m.Pace))
}

func (service) Records(ctx context.Context, m *pb.RecordsRequest) (*pb.RecordsResponse, error) {
	list, err := groupOf(ctx).Records(ctx, m.Table)
	if err != nil {
		return nil, err
	}
	return &pb.RecordsResponse{Records: putAll(list, putRecord)}, nil
}

func (service) SetRecord(ctx context.Context, m *pb.SetRecordRequest) (*pb.SetRecordResponse, error) {
	r, err := getOne(m.Record, getRecord)
	if err != nil {
		return nil, err
	}
	version, err := groupOf(ctx).SetRecord(ctx, r)
	if err != nil {
		return nil, err
	}
	return &pb.SetRecordResponse{Version: version}, nil
}
