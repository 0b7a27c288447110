package server

import (
	"context"

	"salvor"
	"salvor/api"
)

// near is a group as a node that holds a replica of it reaches it: in process
// while the replica leads, else over the network.
type near struct {
	local group
	leads func() bool
	far   group
}

// group is all that a group answers.
type group interface {
	api.Group
	api.Budgets
}

var _ group = near{}

func (n near) at() group {
	if n.leads() {
		return n.local
	}
	return n.far
}

func (n near) CreateCrawl(ctx context.Context, c api.Crawl) (api.Crawl, error) {
	return n.at().CreateCrawl(ctx, c)
}
func (n near) SetCrawl(ctx context.Context, c api.Crawl) error   { return n.at().SetCrawl(ctx, c) }
func (n near) AdoptCrawl(ctx context.Context, c api.Crawl) error { return n.at().AdoptCrawl(ctx, c) }
func (n near) CloseCrawl(ctx context.Context, id salvor.CrawlID) error {
	return n.at().CloseCrawl(ctx, id)
}
func (n near) Register(ctx context.Context, worker string) (salvor.SessionID, error) {
	return n.at().Register(ctx, worker)
}
func (n near) RegisterAs(ctx context.Context, worker string, s salvor.SessionID) error {
	return n.at().RegisterAs(ctx, worker, s)
}
func (n near) End(ctx context.Context, s salvor.SessionID) error { return n.at().End(ctx, s) }
func (n near) Discover(ctx context.Context, c api.Call, d api.Discovery) ([]api.Result, error) {
	return n.at().Discover(ctx, c, d)
}
func (n near) Lease(ctx context.Context, c api.Call, w api.Want) ([]api.Lease, error) {
	return n.at().Lease(ctx, c, w)
}
func (n near) Extend(ctx context.Context, c api.Call, h api.Holdings) (api.Renewal, error) {
	return n.at().Extend(ctx, c, h)
}
func (n near) Settle(ctx context.Context, c api.Call, s api.Settlement) error {
	return n.at().Settle(ctx, c, s)
}
func (n near) Feedback(ctx context.Context, f []api.HostFeedback) error {
	return n.at().Feedback(ctx, f)
}
func (n near) OpenSegment(ctx context.Context, c api.Call, name string) (salvor.SegmentID, error) {
	return n.at().OpenSegment(ctx, c, name)
}
func (n near) SetSegment(ctx context.Context, s api.Segment) error { return n.at().SetSegment(ctx, s) }
func (n near) Reopen(ctx context.Context, r api.Reopen) (int64, error) {
	return n.at().Reopen(ctx, r)
}
func (n near) Exclude(ctx context.Context, crawl salvor.CrawlID, rule string, keys []api.HostKey) (int64, error) {
	return n.at().Exclude(ctx, crawl, rule, keys)
}
func (n near) Rank(ctx context.Context, crawl salvor.CrawlID, items []api.Ranked) (int64, error) {
	return n.at().Rank(ctx, crawl, items)
}
func (n near) SetCeiling(ctx context.Context, crawl salvor.CrawlID, host string, p salvor.Pace) error {
	return n.at().SetCeiling(ctx, crawl, host, p)
}
func (n near) Crawl(ctx context.Context, id salvor.CrawlID) (api.Crawl, error) {
	return n.at().Crawl(ctx, id)
}
func (n near) Crawls(ctx context.Context) ([]api.Crawl, error) { return n.at().Crawls(ctx) }
func (n near) Totals(ctx context.Context, id salvor.CrawlID) (api.Totals, error) {
	return n.at().Totals(ctx, id)
}
func (n near) Hosts(ctx context.Context, id salvor.CrawlID, limit int) ([]api.Host, error) {
	return n.at().Hosts(ctx, id, limit)
}
func (n near) Types(ctx context.Context, id salvor.CrawlID) (map[string]api.Count, error) {
	return n.at().Types(ctx, id)
}
func (n near) Codes(ctx context.Context, id salvor.CrawlID) (map[int]api.Count, error) {
	return n.at().Codes(ctx, id)
}
func (n near) Reasons(ctx context.Context, id salvor.CrawlID) (map[api.Reason]int64, error) {
	return n.at().Reasons(ctx, id)
}
func (n near) Lookup(ctx context.Context, id salvor.CrawlID, host string, k salvor.Key) (api.Known, error) {
	return n.at().Lookup(ctx, id, host, k)
}
func (n near) Walk(ctx context.Context, id salvor.CrawlID, outcomes []salvor.Outcome, f func(api.Known) error) error {
	return n.at().Walk(ctx, id, outcomes, f)
}
func (n near) Segments(ctx context.Context) ([]api.Segment, error) { return n.at().Segments(ctx) }
func (n near) Robots(ctx context.Context, id salvor.CrawlID, host string) ([]api.Robots, error) {
	return n.at().Robots(ctx, id, host)
}
func (n near) Records(ctx context.Context, table string) ([]api.Record, error) {
	return n.at().Records(ctx, table)
}
func (n near) SetRecord(ctx context.Context, r api.Record) (uint64, error) {
	return n.at().SetRecord(ctx, r)
}
func (n near) MergeHosts(ctx context.Context, g api.HostGroup) error {
	return n.at().MergeHosts(ctx, g)
}
func (n near) SetShare(ctx context.Context, name string, share salvor.Pace) error {
	return n.at().SetShare(ctx, name, share)
}
func (n near) SetLimits(ctx context.Context, l api.GroupLimits) error {
	return n.at().SetLimits(ctx, l)
}
func (n near) HostGroups(ctx context.Context) ([]api.HostGroup, error) {
	return n.at().HostGroups(ctx)
}
