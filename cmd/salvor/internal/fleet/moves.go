package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/crawler/scope"
)

// lookSoon has the list of crawls looked at soon.
func (f *Fleet) lookSoon() {
	select {
	case f.hurry <- struct{}{}:
	default:
	}
}

// seedMoved makes the target of a seed's redirect a seed, for all workers: where
// the scope does not hold it yet, the crawl is changed, and the next version of
// its scope does. It returns what is in force then.
func (c *crew) seedMoved(ctx context.Context, from, to string) (*scope.Scope, uint32, error) {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		if s, version, ok := c.reaches(to); ok {
			return s, version, nil
		}
		err := c.widen(ctx, from, to)
		if class := salvor.ClassOf(err); err != nil && class != salvor.Conflict && class != salvor.Unavailable {
			return nil, 0, err
		}
		if err == nil {
			continue
		}
		select { // somebody else was faster, or nobody knows
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case <-time.After(wait/2 + rand.N(wait/2)):
		}
	}
}

// reaches reports whether the area of the seeds known here holds a URL.
func (c *crew) reaches(to string) (*scope.Scope, uint32, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.scope, c.crawl.Scope, c.lost[to] || !outfit.Grows(c.area, to)
}

// widen changes the crawl so that its scope holds to, unless it does already.
func (c *crew) widen(ctx context.Context, from, to string) error {
	now, err := c.f.c.Coordinator.Crawl(ctx, c.id)
	if err != nil {
		return err
	}
	next, changes, err := c.moved(ctx, now, from, to)
	switch {
	case salvor.ClassOf(err) == salvor.Invalid: // too many have moved
		c.giveUp(to)
		c.tell("seed_outside", "", to, fmt.Sprintf("seed %s redirects to %s, which is saved, but not what it links to there: %v", from, to, err), true)
		return nil
	case err != nil:
		return err
	case !changes:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.take(now)
		return c.invalid
	}
	if err := c.f.c.Coordinator.SetCrawl(ctx, next); err != nil {
		return err
	}
	c.tell("seed_moved", "", to, fmt.Sprintf("seed %s redirects to %s, which is a seed too now", from, to), false)
	return nil // what is in force now is read again
}

// moved is a crawl with one move more, if that changes its area.
func (c *crew) moved(ctx context.Context, now api.Crawl, from, to string) (next api.Crawl, changes bool, err error) {
	x, err := outfit.SpecOf(now)
	if err != nil {
		return now, false, err
	}
	area, err := outfit.Area(x.Rules())
	if err != nil || !outfit.Grows(area, to) {
		return now, false, err
	}
	next = now
	next.Scope++
	next.Version++
	x.Moves = append(slices.Clone(x.Moves), outfit.Move{From: from, To: to, Scope: next.Scope, Widens: !c.pristine(ctx, &x)})
	next.Settings, err = x.Encode()
	return next, true, err
}

// pristine reports whether nothing was judged yet that a wider scope judges
// otherwise.
func (c *crew) pristine(ctx context.Context, x *outfit.Spec) bool {
	t, err := c.f.c.Coordinator.Totals(ctx, c.id)
	return err == nil && outfit.Pristine(t.Accepted, x.Named, x.AllSeeds())
}

// giveUp remembers a target that the scope cannot take in any more.
func (c *crew) giveUp(to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost == nil {
		c.lost = map[string]bool{}
	}
	c.lost[to] = true
}
