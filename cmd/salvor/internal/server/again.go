package server

import (
	"context"
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
// read-only, once nothing else of their host is left to fetch. What it did is
// remembered by the leader only; to do it again changes nothing (outfit.Again).
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
}

func (n *node) again(ctx context.Context, done map[frozenHost]bool) error {
	of, err := n.sites.Outlooks(ctx)
	if err != nil {
		return err
	}
	crawls, err := n.groups[0].Crawls(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, c := range crawls {
		if !mayGrow(c, now) {
			continue
		}
		since, err := n.frozen(ctx, c, of, now)
		if err != nil {
			return err
		}
		maps.DeleteFunc(since, func(h string, at time.Time) bool { return done[frozenHost{c.ID, h, at.Unix()}] })
		if len(since) == 0 {
			continue
		}
		if err := n.fetchAgain(ctx, c, since); err != nil {
			return err
		}
		for h, at := range since {
			done[frozenHost{c.ID, h, at.Unix()}] = true
		}
	}
	return nil
}

// mayGrow reports whether a crawl takes more: one that was finished begins again.
func mayGrow(c api.Crawl, now time.Time) bool {
	return (c.State == salvor.CrawlRunning || c.State == salvor.CrawlFinished) && (c.Deadline == 0 || c.Deadline > now.UnixMilli())
}

// frozen are the hosts of a crawl that are read-only, still there, and of which
// nothing is queued or under way; and since when.
func (n *node) frozen(ctx context.Context, c api.Crawl, of func(string) sites.Outlook, now time.Time) (map[string]time.Time, error) {
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
			if o.Frozen.IsZero() || h.Totals.Queued+h.Totals.Leased > 0 || !o.Ends.IsZero() && !o.Ends.After(now) {
				continue
			}
			out[h.Name] = o.Frozen
		}
	}
	return out, nil
}

func (n *node) fetchAgain(ctx context.Context, c api.Crawl, since map[string]time.Time) error {
	store, _, err := n.workerStore(n.httpClient())
	if err != nil {
		return err
	}
	pages, err := outfit.Again{
		Store: storage.Under(store, outfit.Prefix(c.Name)), Crawl: c, Since: since, Lookup: n.router.Lookup,
		Discover: func(ctx context.Context, offers []api.Offer) error { return n.offer(ctx, c, offers) },
	}.Run(ctx)
	if pages > 0 {
		n.log.Info("pages are fetched again: their sites became read-only after they were saved", "crawl", c.Name, "pages", pages, "hosts", len(since))
	}
	return err
}
