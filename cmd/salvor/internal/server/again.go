package server

import (
	"context"
	"errors"
	"maps"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/coordinator/sites"
	"salvor/storage"
)

// againEvery is how often hosts are looked for that became read-only.
const againEvery = 15 * time.Second

// againLoop has pages fetched again that were saved before their site became
// read-only, once nothing else of their host is left to fetch; and sees to it that
// they stay saved where that fails. What it did is remembered by the leader only; to
// do it again changes nothing (outfit.Again).
func (n *node) againLoop(ctx context.Context) {
	done := map[frozenHost]bool{}
	for wait(ctx, againEvery) {
		if !n.leads() {
			clear(done)
			continue
		}
		if err := n.again(ctx, done); err != nil && ctx.Err() == nil {
			n.log.Info("read-only sites were not all looked at", "error", err)
		}
	}
}

// frozenHost is a host of a crawl that is read-only since a date.
type frozenHost struct {
	crawl salvor.CrawlID
	host  string
	since int64
	over  bool // nothing more is fetched
}

func (n *node) again(ctx context.Context, done map[frozenHost]bool) error {
	if some, err := n.sites.Frozen(ctx); err != nil || !some {
		return err
	}
	of, err := n.sites.Outlooks(ctx, 0) // dates only, no odds
	if err != nil {
		return err
	}
	crawls, err := n.groups[0].Crawls(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range crawls { // one that cannot be looked at is no reason to leave the others
		grows, over := mayGrow(c, time.Now())
		if grows || over {
			errs = append(errs, n.againOf(ctx, c, over, of, done))
		}
	}
	return errors.Join(errs...)
}

// againOf looks at one crawl; over says that it takes nothing more.
func (n *node) againOf(ctx context.Context, c api.Crawl, over bool, of func(string) sites.Outlook, done map[frozenHost]bool) error {
	since, err := n.frozen(ctx, c, of, over)
	if err != nil {
		return err
	}
	maps.DeleteFunc(since, func(h string, at time.Time) bool { return done[frozenHost{c.ID, h, at.Unix(), over}] })
	if len(since) == 0 {
		return nil
	}
	changed, err := n.fetchAgain(ctx, c, since, over)
	if err != nil || changed { // it is looked at once more, when that is done
		return err
	}
	for h, at := range since {
		done[frozenHost{c.ID, h, at.Unix(), over}] = true
	}
	return nil
}

// mayGrow reports whether a crawl takes more, as a finished one does, which begins
// again; and whether it never will. A paused one does neither.
func mayGrow(c api.Crawl, now time.Time) (grows, over bool) {
	late := c.Deadline != 0 && c.Deadline <= now.UnixMilli()
	switch c.State {
	case salvor.CrawlRunning, salvor.CrawlFinished:
		return !late, late
	case salvor.CrawlPaused:
		return false, late
	}
	return false, c.State == salvor.CrawlCancelled
}

// frozen are the hosts of a crawl that are read-only, and since when: while it may
// grow, those that are still there and of which nothing is queued or under way.
func (n *node) frozen(ctx context.Context, c api.Crawl, of func(string) sites.Outlook, over bool) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	for _, g := range n.groups {
		hosts, err := g.Hosts(ctx, c.ID, 0)
		if salvor.ClassOf(err) == salvor.NotFound {
			continue // its copy is on the way
		}
		if err != nil {
			return nil, err
		}
		for _, h := range hosts {
			o := of(h.Name)
			if o.Frozen.IsZero() || !over && h.Totals.Queued+h.Totals.Leased > 0 {
				continue
			}
			out[h.Name] = o.Frozen
		}
	}
	return out, nil
}

// fetchAgain looks at all stored pages of hosts once.
func (n *node) fetchAgain(ctx context.Context, c api.Crawl, since map[string]time.Time, over bool) (changed bool, err error) {
	store, _, err := n.workerStore(n.httpClient())
	if err != nil {
		return false, err
	}
	list, err := n.router.Segments(ctx)
	if err != nil {
		return false, err
	}
	named := make(map[string]api.Segment, len(list))
	for _, s := range list {
		named[s.Name] = s
	}
	pages, err := outfit.Again{
		Store: storage.Under(store, outfit.Prefix(c.Name)), Crawl: c, Since: since, Over: over, Lookup: n.router.Lookup, Segments: named,
		Discover: func(ctx context.Context, offers []api.Offer) error { return n.offer(ctx, c, offers) },
		Settle: func(ctx context.Context, entries []api.Entry) error {
			return n.router.Settle(ctx, api.Call{}, api.Settlement{Crawl: c.ID, Entries: entries})
		},
	}.Run(ctx)
	if pages.Queued > 0 {
		n.log.Info("pages are fetched again: their sites became read-only after they were saved", "crawl", c.Name, "pages", pages.Queued, "hosts", len(since))
	}
	if pages.Kept > 0 {
		n.log.Info("pages that could not be fetched again stay as they were saved", "crawl", c.Name, "pages", pages.Kept)
	}
	if pages.Lost > 0 {
		n.log.Warn("pages that could not be fetched again count as not saved: the cluster does not know the segments that hold them", "crawl", c.Name, "pages", pages.Lost)
	}
	return pages.Queued+pages.Kept > 0, err
}
