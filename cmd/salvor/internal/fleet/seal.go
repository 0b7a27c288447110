package fleet

import (
	"context"

	"salvor"
)

// Seal stores what this node has of a crawl in open segments: who reads the
// Store finds it there then.
func (f *Fleet) Seal(ctx context.Context, id salvor.CrawlID) error {
	f.mu.Lock()
	c := f.crews[id]
	f.mu.Unlock()
	if c == nil {
		return nil
	}
	c.mu.Lock()
	t := c.tools
	c.mu.Unlock()
	if t == nil {
		return nil
	}
	return t.pool.Seal(ctx)
}
