package route

import (
	"context"
	"testing"

	"salvor"
	"salvor/api"
)

// copies is a group that has a crawl, or not yet.
type copies struct {
	api.Group
	crawl api.Crawl
	lacks bool
}

func (c *copies) Crawl(_ context.Context, id salvor.CrawlID) (api.Crawl, error) {
	if c.lacks || id != c.crawl.ID {
		return api.Crawl{}, salvor.Errorf(salvor.NotFound, "no crawl %d", id)
	}
	return c.crawl, nil
}

func (c *copies) Discover(ctx context.Context, _ api.Call, d api.Discovery) ([]api.Result, error) {
	_, err := c.Crawl(ctx, d.Crawl)
	return make([]api.Result, len(d.Items)), err
}

func (c *copies) Settle(ctx context.Context, _ api.Call, s api.Settlement) error {
	_, err := c.Crawl(ctx, s.Crawl)
	return err
}

// A worker may hear of a crawl before all groups have it: that is no reason to
// fail, it passes. A crawl that nobody has, or that is deleted, is one.
func TestACopyOnItsWay(t *testing.T) {
	source, late := &copies{crawl: api.Crawl{ID: 1}}, &copies{lacks: true}
	r := New([]api.Group{source, late})
	here, there := api.Offer{Item: salvor.Item{Host: hostOfGroup(0, 2, 0)}}, api.Offer{Item: salvor.Item{Host: hostOfGroup(1, 2, 0)}}
	entry := api.Entry{Host: there.Host}
	try := func(what string, id salvor.CrawlID, want salvor.ErrorClass) {
		t.Helper()
		_, one := r.Discover(t.Context(), api.Call{}, api.Discovery{Crawl: id, Items: []api.Offer{there}})
		_, both := r.Discover(t.Context(), api.Call{}, api.Discovery{Crawl: id, Items: []api.Offer{here, there}})
		for _, err := range []error{one, both, r.Settle(t.Context(), api.Call{}, api.Settlement{Crawl: id, Entries: []api.Entry{entry}})} {
			if salvor.ClassOf(err) != want {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	try("on its way", 1, salvor.Unavailable)
	try("of nobody", 2, salvor.NotFound)
	source.crawl.State = salvor.CrawlDeleting
	try("deleted", 1, salvor.NotFound)
}
