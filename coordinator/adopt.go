package coordinator

import (
	"context"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// AdoptCrawl implements api.Group.
func (g *Group) AdoptCrawl(ctx context.Context, c api.Crawl) error {
	return g.change1(ctx, &frontier.AdoptCrawl{Crawl: c})
}

// CloseCrawl implements api.Group.
func (g *Group) CloseCrawl(ctx context.Context, id salvor.CrawlID) error {
	return g.change1(ctx, &frontier.Close{Crawl: id})
}

// RegisterAs implements api.Group.
func (g *Group) RegisterAs(ctx context.Context, worker string, s salvor.SessionID) error {
	return g.change1(ctx, &frontier.Register{Worker: worker, Session: s})
}
