package coordinator

import (
	"context"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// read lends the machine for a linearizable read.
func (g *Group) read(ctx context.Context) (m *frontier.Machine, done func(), err error) {
	_, err = insist(ctx, g, true, func() (struct{}, error) { return struct{}{}, g.replica.linearize(ctx) })
	if err != nil {
		return nil, nil, err
	}
	return g.replica.state.lend()
}

// look reads one thing.
func look[T any](ctx context.Context, g *Group, f func(m *frontier.Machine) (T, error)) (T, error) {
	m, done, err := g.read(ctx)
	if err != nil {
		var zero T
		return zero, err
	}
	defer done()
	return f(m)
}

// Crawl implements api.View.
func (g *Group) Crawl(ctx context.Context, id salvor.CrawlID) (api.Crawl, error) {
	return look(ctx, g, func(m *frontier.Machine) (api.Crawl, error) { return m.Crawl(id) })
}

// Crawls implements api.View.
func (g *Group) Crawls(ctx context.Context) ([]api.Crawl, error) {
	return look(ctx, g, func(m *frontier.Machine) ([]api.Crawl, error) { return m.Crawls() })
}

// Totals implements api.View.
func (g *Group) Totals(ctx context.Context, id salvor.CrawlID) (api.Totals, error) {
	return look(ctx, g, func(m *frontier.Machine) (api.Totals, error) { return m.Totals(id) })
}

// Hosts implements api.View. The ends of blocks are in wall time.
func (g *Group) Hosts(ctx context.Context, id salvor.CrawlID, limit int) ([]api.Host, error) {
	list, err := look(ctx, g, func(m *frontier.Machine) ([]api.Host, error) { return m.Hosts(id, limit) })
	ahead, unbegun := g.ahead(), g.unbegun.of(id)
	for i := range list {
		list[i].Held = unbegun[list[i].Name]
		for _, b := range list[i].Held {
			list[i].Unbegun += b.Queued
		}
		if b := &list[i].Blocked; *b != 0 {
			*b -= ahead
		}
	}
	return list, err
}

// Types implements api.View.
func (g *Group) Types(ctx context.Context, id salvor.CrawlID) (map[string]api.Count, error) {
	return look(ctx, g, func(m *frontier.Machine) (map[string]api.Count, error) { return m.Types(id) })
}

// Codes implements api.View.
func (g *Group) Codes(ctx context.Context, id salvor.CrawlID) (map[int]api.Count, error) {
	return look(ctx, g, func(m *frontier.Machine) (map[int]api.Count, error) { return m.Codes(id) })
}

// Reasons implements api.View.
func (g *Group) Reasons(ctx context.Context, id salvor.CrawlID) (map[api.Reason]int64, error) {
	return look(ctx, g, func(m *frontier.Machine) (map[api.Reason]int64, error) { return m.Reasons(id) })
}

// Lookup implements api.View.
func (g *Group) Lookup(ctx context.Context, id salvor.CrawlID, host string, k salvor.Key) (api.Known, error) {
	return look(ctx, g, func(m *frontier.Machine) (api.Known, error) { return m.Lookup(id, host, k) })
}

// Walk implements api.View. It ends when the node is closed.
func (g *Group) Walk(ctx context.Context, id salvor.CrawlID, outcomes []salvor.Outcome, f func(api.Known) error) error {
	going := func(k api.Known) error {
		if err := g.failed(); err != nil {
			return err
		}
		return f(k)
	}
	_, err := look(ctx, g, func(m *frontier.Machine) (struct{}, error) { return struct{}{}, m.Walk(ctx, id, outcomes, going) })
	return err
}

// Segments implements api.View.
func (g *Group) Segments(ctx context.Context) ([]api.Segment, error) {
	return look(ctx, g, func(m *frontier.Machine) ([]api.Segment, error) { return m.Segments() })
}

// Robots implements api.View.
func (g *Group) Robots(ctx context.Context, id salvor.CrawlID, host string) ([]api.Robots, error) {
	return look(ctx, g, func(m *frontier.Machine) ([]api.Robots, error) { return m.Robots(id, host) })
}
