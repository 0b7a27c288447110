package route

import (
	"context"
	"fmt"
	"strings"
	"time"

	"salvor"
	"salvor/api"
)

// adoptTime is how long a change of a crawl waits for all groups.
const adoptTime = 5 * time.Second

// CreateCrawl implements api.Coordinator. Group 0 makes the crawl, the others
// adopt it. An error beside a crawl means that it is made and some group does
// not have it yet; to repeat the call is harmless.
func (r *Router) CreateCrawl(ctx context.Context, c api.Crawl) (api.Crawl, error) {
	c, err := r.groups[0].CreateCrawl(ctx, c)
	if err != nil {
		return api.Crawl{}, err
	}
	return c, r.adopt(ctx, c)
}

// SetCrawl implements api.Coordinator. Group 0 takes the change, the others
// adopt what it has then.
func (r *Router) SetCrawl(ctx context.Context, c api.Crawl) error {
	if err := r.groups[0].SetCrawl(ctx, c); err != nil || len(r.groups) == 1 {
		return err
	}
	now, err := r.groups[0].Crawl(ctx, c.ID)
	if err != nil {
		return fmt.Errorf("crawl %d is changed in group 0, and could not be read for the others: %w", c.ID, err)
	}
	return r.adopt(ctx, now)
}

// adopt brings all groups but the first to group 0's version of a crawl.
func (r *Router) adopt(ctx context.Context, c api.Crawl) error {
	limited, cancel := context.WithTimeout(ctx, adoptTime)
	defer cancel()
	errs := r.each(limited, func(g int) bool { return g > 0 }, func(limited context.Context, g int) error {
		return own(ctx, r.groups[g].AdoptCrawl(limited, c))
	})
	err := worst(errs)
	if err == nil {
		return nil
	}
	var missing []string
	for g := range errs {
		if errs[g] != nil {
			missing = append(missing, fmt.Sprint(g))
		}
	}
	class := salvor.ClassOf(err)
	if class == salvor.Interrupted && ctx.Err() == nil {
		class = salvor.Unavailable
	}
	return salvor.Errorf(class, "crawl %d: group %s does not have version %d yet: %w", c.ID, strings.Join(missing, ", "), c.Version, err).
		WithHint("The change is made, and is brought to every group once it can be reached.")
}

// Crawl implements api.View: group 0's, the source.
func (r *Router) Crawl(ctx context.Context, id salvor.CrawlID) (api.Crawl, error) {
	return r.groups[0].Crawl(ctx, id)
}

// Crawls implements api.View.
func (r *Router) Crawls(ctx context.Context) ([]api.Crawl, error) { return r.groups[0].Crawls(ctx) }

// Records implements api.Registry.
func (r *Router) Records(ctx context.Context, table string) ([]api.Record, error) {
	return r.groups[0].Records(ctx, table)
}

// SetRecord implements api.Registry.
func (r *Router) SetRecord(ctx context.Context, x api.Record) (uint64, error) {
	return r.groups[0].SetRecord(ctx, x)
}
