package rescue

import (
	"context"
	"fmt"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
	"salvor/crawler"
	"salvor/crawler/canon"
	"salvor/crawler/extract"
	"salvor/crawler/scope"
)

// seedPiece is how many seeds are offered in one call.
const seedPiece = 1000

// seed offers every seed, and does what the run was asked to do before
// anything is fetched: queue outcomes again, judge anew what a changed scope
// touches. Seeds that are known change nothing.
func (r *rescue) seed(ctx context.Context) error {
	if err := r.offerSeeds(ctx); err != nil {
		return err
	}
	if r.narrow {
		if err := r.sweep(ctx); err != nil {
			return err
		}
	}
	if r.memory.Widened {
		if err := r.rescan(ctx); err != nil {
			return err
		}
	}
	return r.retry(ctx)
}

func (r *rescue) offerSeeds(ctx context.Context) error {
	offers := make([]api.Offer, 0, len(r.job.Seeds))
	for _, s := range r.job.Seeds {
		u, err := canon.Parse(s.URL)
		if err != nil {
			return err
		}
		offers = append(offers, r.seedOffer(u, r.scope.Seed(u), ""))
	}
	for _, m := range r.memory.Moved {
		if u, err := canon.Parse(m.To); err == nil {
			offers = append(offers, r.seedOffer(u, r.scope.SeedRedirect(u), m.From))
		}
	}
	return r.discover(ctx, offers)
}

func (r *rescue) seedOffer(u canon.URL, d scope.Decision, via string) api.Offer {
	o := api.Offer{Item: crawler.NewItem(r.crawl, u, d, via)}
	if !d.In {
		o.Excluded = d.Rule
	}
	return o
}

func (r *rescue) discover(ctx context.Context, offers []api.Offer) error {
	offers = crawler.WithRobots(r.crawl, offers)
	for len(offers) > 0 {
		n := min(seedPiece, len(offers))
		d := api.Discovery{Crawl: r.crawl.ID, Scope: r.crawl.Scope, Items: offers[:n]}
		if _, err := r.node.Discover(ctx, api.Call{}, d); err != nil {
			return fmt.Errorf("queue seeds: %w", err)
		}
		offers = offers[n:]
	}
	return nil
}

// retry queues settled items again, as --retry asks.
func (r *rescue) retry(ctx context.Context) error {
	if len(r.job.Retry) == 0 {
		return nil
	}
	n, err := r.node.Reopen(ctx, api.Reopen{Crawl: r.crawl.ID, Outcomes: r.job.Retry, Reason: "--retry"})
	if err == nil {
		r.notice(progress.Note, "reopened", "", fmt.Sprintf("queued %d URLs again", n))
	}
	return err
}

// seedMoved makes the target of a seed's redirect a seed, durably, before it
// is queued: a resume must know it too.
func (r *rescue) seedMoved(ctx context.Context, from, to string) (*scope.Scope, uint32, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.memory.Moved {
		if m.To == to {
			return r.scope, r.crawl.Scope, nil
		}
	}
	if grows(r.scopeRules(), to) && !r.pristine(ctx) {
		r.memory.Widened = true
		r.widened++
	}
	r.memory.Moved = append(r.memory.Moved, move{from, to})
	s, err := scope.Compile(r.scopeRules())
	if err != nil {
		return nil, 0, err
	}
	r.memory.Scope = r.scopePrint()
	if err := r.memory.save(r.job.Dir); err != nil {
		return nil, 0, err
	}
	r.scope = s
	r.notice(progress.Note, "seed_moved", "", fmt.Sprintf("seed %s redirects to %s, which is a seed too now", from, to))
	return s, r.crawl.Scope, nil
}

// grows reports whether a seed lies outside what the other seeds span. Most
// redirects of seeds lead from http to https, or to the www. host: these let
// nothing in that was left outside before.
func grows(rules scope.Rules, seed string) bool {
	s, err := scope.Compile(scope.Rules{Kind: rules.Kind, Seeds: rules.Seeds, MaxHops: scope.NoLimit})
	u, uerr := canon.Parse(seed)
	return err != nil || uerr != nil || !s.Decide(scope.Parent{}, extract.Page, u).In
}

// pristine reports whether only one seed is known so far, with the targets of
// its redirects and their robots.txt: nothing can have been left outside yet.
func (r *rescue) pristine(ctx context.Context) bool {
	origins := map[string]bool{}
	seeds := r.scopeRules().Seeds
	for _, s := range seeds {
		u, err := canon.Parse(s)
		if err != nil {
			return false
		}
		origins[u.Origin] = true
	}
	t, err := r.node.Totals(ctx, r.crawl.ID)
	return err == nil && len(r.job.Seeds) == 1 && t.Accepted == int64(len(seeds)+len(origins))
}

// troubles are the seeds that got no answer of any server.
func (r *rescue) troubles(ctx context.Context) []job.SeedTrouble {
	var out []job.SeedTrouble
	for _, s := range r.job.Seeds {
		u, err := canon.Parse(s.URL)
		if err != nil {
			continue
		}
		k, err := r.node.Lookup(ctx, r.crawl.ID, u.Host, salvor.ItemKey(r.crawl.HashKey, "", u.Href, nil))
		if err != nil || k.State != api.StateSettled || k.Status > 0 {
			continue
		}
		if t := trouble(s.URL, k); t.Kind != "" {
			t.Address = r.refusedAt(u.Host)
			out = append(out, t)
		}
	}
	return out
}

func trouble(url string, k api.Known) job.SeedTrouble {
	t := job.SeedTrouble{URL: url, Detail: k.Reason}
	switch {
	case k.Reason == "refused-address":
		t.Kind = job.TroubleRefused
	case k.Outcome == salvor.Excluded:
	case k.Reason == "dns_no_such_host":
		t.Kind = job.TroubleNoHost
	case k.Reason == "connect", k.Reason == "timeout", k.Reason == "reset", k.Reason == "empty":
		t.Kind = job.TroubleConnect
	case k.Outcome == salvor.Failed:
		t.Kind = job.TroubleOther
	}
	return t
}
