package server

import (
	"context"
	"sync"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/crawler"
	"salvor/crawler/scope"
	"salvor/storage"
)

// rescans judge the links of stored pages again, where a seed's redirect made
// the scope of a crawl grow (protocol 3). It is done when a crawl has nothing
// open: then all its pages are stored.
type rescans struct {
	mu      sync.Mutex
	running map[salvor.CrawlID]bool
}

// settled is asked before a crawl is finished. A rescan that is needed runs
// beside the steward; the crawl goes on with what it found, or is finished when
// it found nothing.
func (n *node) settled(ctx context.Context, c api.Crawl) (bool, error) {
	x, err := outfit.SpecOf(c)
	if err != nil || !x.Unjudged() {
		return err == nil, err
	}
	n.rescans.mu.Lock()
	defer n.rescans.mu.Unlock()
	if n.rescans.running[c.ID] {
		return false, nil
	}
	if n.rescans.running == nil {
		n.rescans.running = map[salvor.CrawlID]bool{}
	}
	n.rescans.running[c.ID] = true
	ctx = context.WithoutCancel(ctx) // it outlives a look
	n.loops.Go(func() {
		if err := n.rescan(ctx, c, x); err != nil {
			n.log.Warn("the links of stored pages could not be judged again yet", "crawl", c.Name, "error", err)
		}
		n.rescans.mu.Lock()
		defer n.rescans.mu.Unlock()
		delete(n.rescans.running, c.ID)
	})
	return false, nil
}

// rescan reads all stored pages of a crawl, and notes in its settings that it
// did.
func (n *node) rescan(ctx context.Context, c api.Crawl, x outfit.Spec) error {
	ctx, cancel := n.untilEnd(ctx)
	defer cancel()
	s, err := x.Compile()
	if err != nil {
		return err
	}
	n.log.Info("the scope grew: the links of all stored pages are judged again", "crawl", c.Name)
	if f := n.workers(); f != nil {
		if err := f.Seal(ctx, c.ID); err != nil {
			return err
		}
	}
	store, _, err := n.workerStore(n.httpClient())
	if err != nil {
		return err
	}
	err = outfit.Rescan{
		Store:    storage.Under(store, outfit.Prefix(c.Name)),
		Rules:    func() (*scope.Scope, api.Crawl) { return s, c },
		Lookup:   n.router.Lookup,
		Discover: func(ctx context.Context, offers []api.Offer) error { return n.offer(ctx, c, offers) },
	}.Run(ctx)
	if err != nil {
		return err
	}
	x.Rescanned = c.Scope
	if c.Settings, err = x.Encode(); err != nil {
		return err
	}
	c.Version++
	return n.router.SetCrawl(ctx, c)
}

// offer queues links that belong now. A scope that changed meanwhile ends the
// rescan with Conflict: the next one judges by the newer.
func (n *node) offer(ctx context.Context, c api.Crawl, offers []api.Offer) error {
	if len(offers) == 0 {
		return nil
	}
	_, err := n.router.Discover(ctx, api.Call{}, api.Discovery{Crawl: c.ID, Scope: c.Scope, Items: crawler.WithRobots(c, offers)})
	return err
}
