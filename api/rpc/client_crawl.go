package rpc

import (
	"context"

	"salvor"
	"salvor/api"
	"salvor/api/pb"
)

// CreateCrawl implements api.Coordinator. The same name gets the same crawl.
func (c *Client) CreateCrawl(ctx context.Context, v api.Crawl) (api.Crawl, error) {
	res, err := ask(ctx, c, c.short(true), c.rpc.CreateCrawl, &pb.CreateCrawlRequest{Crawl: one(v, putCrawl)})
	if err != nil {
		return api.Crawl{}, err
	}
	return answered(getOne(res.Crawl, getCrawl))
}

// SetCrawl implements api.Coordinator.
func (c *Client) SetCrawl(ctx context.Context, v api.Crawl) error {
	_, err := ask(ctx, c, c.short(v.Version != 0), c.rpc.SetCrawl, &pb.SetCrawlRequest{Crawl: one(v, putCrawl)})
	return err
}

// AdoptCrawl implements api.Group.
func (c *Client) AdoptCrawl(ctx context.Context, v api.Crawl) error {
	_, err := ask(ctx, c, c.short(true), c.rpc.AdoptCrawl, &pb.AdoptCrawlRequest{Crawl: one(v, putCrawl)})
	return err
}

// CloseCrawl implements api.Group.
func (c *Client) CloseCrawl(ctx context.Context, id salvor.CrawlID) error {
	_, err := ask(ctx, c, c.short(true), c.rpc.CloseCrawl, &pb.CloseCrawlRequest{Crawl: uint32(id)})
	return err
}

// Reopen implements api.Coordinator.
func (c *Client) Reopen(ctx context.Context, r api.Reopen) (int64, error) {
	res, err := ask(ctx, c, c.long(false), c.rpc.Reopen, &pb.ReopenRequest{
		Crawl: uint32(r.Crawl), Host: r.Host, Outcomes: enums(r.Outcomes, putOutcome), Reason: text(r.Reason),
	})
	return res.GetCount(), err
}

// Exclude implements api.Coordinator.
func (c *Client) Exclude(ctx context.Context, crawl salvor.CrawlID, rule string, keys []api.HostKey) (int64, error) {
	res, err := ask(ctx, c, c.long(false), c.rpc.Exclude, &pb.ExcludeRequest{
		Crawl: uint32(crawl), Rule: text(rule), Keys: putAll(keys, putHostKey),
	})
	return res.GetCount(), err
}

// Rank implements api.Coordinator.
func (c *Client) Rank(ctx context.Context, crawl salvor.CrawlID, items []api.Ranked) (int64, error) {
	req := &pb.RankRequest{Crawl: uint32(crawl)}
	putRanked(req, items)
	res, err := ask(ctx, c, c.long(true), c.rpc.Rank, req)
	return res.GetCount(), err
}

// SetCeiling implements api.Coordinator.
func (c *Client) SetCeiling(ctx context.Context, crawl salvor.CrawlID, host string, p salvor.Pace) error {
	_, err := ask(ctx, c, c.short(true), c.rpc.SetCeiling, &pb.SetCeilingRequest{Crawl: uint32(crawl), Host: host, Pace: uint64(p)})
	return err
}

// Records implements api.Registry.
func (c *Client) Records(ctx context.Context, table string) ([]api.Record, error) {
	res, err := ask(ctx, c, c.short(true), c.rpc.Records, &pb.RecordsRequest{Table: table})
	if err != nil {
		return nil, err
	}
	return answered(getAll(res.Records, getRecord))
}

// SetRecord implements api.Registry.
func (c *Client) SetRecord(ctx context.Context, r api.Record) (version uint64, err error) {
	res, err := ask(ctx, c, c.short(false), c.rpc.SetRecord, &pb.SetRecordRequest{Record: one(r, putRecord)})
	return res.GetVersion(), err
}
