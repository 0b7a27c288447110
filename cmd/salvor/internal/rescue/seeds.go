package rescue

import (
	"context"
	"fmt"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/cmd/salvor/internal/progress"
	"salvor/crawler"
	"salvor/crawler/canon"
	"salvor/crawler/scope"
)

// seedPiece is how many seeds are offered in one call.
const seedPiece = 1000

// seed offers every seed, and queues again what the run was asked to. Seeds
// that are known change nothing.
func (r *rescue) seed(ctx context.Context) error {
	if err := r.offerSeeds(ctx); err != nil {
		return err
	}
	if err := r.regain(ctx); err != nil {
		return err
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
	for _, m := range r.moves.list {
		if u, err := canon.Parse(m.To); err == nil {
			offers = append(offers, r.seedOffer(u, r.scope.SeedRedirect(u), m.From))
		}
	}
	if _, err := r.discover(ctx, offers); err != nil {
		return fmt.Errorf("queue seeds: %w", err)
	}
	return nil
}

func (r *rescue) seedOffer(u canon.URL, d scope.Decision, via string) api.Offer {
	return outfit.SeedOffer(r.crawl, u, d, via)
}

// discover offers items, and counts those that are queued now and were not
// before. They are judged by the scope of an earlier moment: where another one
// came into force meanwhile, they are judged again.
func (r *rescue) discover(ctx context.Context, offers []api.Offer) (queued int64, err error) {
	_, crawl := r.rules()
	offers = crawler.WithRobots(crawl, offers)
	for len(offers) > 0 {
		n := min(seedPiece, len(offers))
		results, err := r.node.Discover(ctx, api.Call{}, api.Discovery{Crawl: crawl.ID, Scope: crawl.Scope, Items: offers[:n]})
		if s, now := r.rules(); salvor.ClassOf(err) == salvor.Conflict && now.Scope != crawl.Scope {
			crawl, offers = now, judgeAgain(s, offers)
			continue
		}
		if err != nil {
			return queued, err
		}
		for i, x := range results {
			if (x == api.New || x == api.Readmitted) && offers[i].Class != salvor.ClassRobots {
				queued++
			}
		}
		offers = offers[n:]
	}
	return queued, nil
}

// judgeAgain leaves of some offers what the scope of now has an interest in.
func judgeAgain(s *scope.Scope, offers []api.Offer) (out []api.Offer) {
	for _, o := range offers {
		d := s.Recheck(o.Item)
		o.Band, o.Excluded = s.Rank(o.Item).Band, ""
		if !d.In {
			o.Excluded = d.Rule
		}
		if d.In || d.Record {
			out = append(out, o)
		}
	}
	return out
}

// retry queues settled items again, as --retry asks.
func (r *rescue) retry(ctx context.Context) error {
	if len(r.job.Retry) == 0 {
		return nil
	}
	n, err := r.node.Reopen(ctx, api.Reopen{Crawl: r.crawl.ID, Outcomes: r.job.Retry, Reason: "--retry"})
	if err == nil {
		r.notice(progress.Note, "reopened", "", "queued "+progress.Counted(n, "URL")+" again")
	}
	return err
}

// seedMoved makes the target of a seed's redirect a seed, durably, before it
// is queued: a resume must know it too.
func (r *rescue) seedMoved(ctx context.Context, from, to string) (*scope.Scope, uint32, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.moves.to[to] {
		return r.scope, r.crawl.Scope, nil
	}
	m := move{From: from, To: to}
	grows := outfit.Grows(r.area, to)
	m.Widens = grows && !r.pristine(ctx)
	if err := r.moves.add(m); err != nil {
		return nil, 0, err
	}
	if m.Widens { // the file of moves says so too, so that a kill does not lose it
		r.memory.Widened = true
		r.widened++
	}
	if grows {
		r.unscoped++
		if err := r.renewScope(false); err != nil {
			return nil, 0, err
		}
	}
	r.notice(progress.Note, "seed_moved", "", fmt.Sprintf("seed %s redirects to %s, which is a seed too now", from, to))
	return r.scope, r.crawl.Scope, nil
}

const (
	// fewSeeds are compiled in no time.
	fewSeeds = 256
	// renewShare of the time at most goes into compiling scopes anew.
	renewShare = 20
)

// renewScope takes the targets of seeds' redirects into the scope. That costs
// as much as there are seeds, and tens of thousands may move one after the
// other: then those that moved since wait for each other. What their pages link
// to is judged without them meanwhile, and again when the links of all stored
// pages are: each of them widens the scope.
func (r *rescue) renewScope(now bool) error {
	if r.unscoped == 0 {
		return nil
	}
	few := len(r.job.Seeds)+len(r.moves.list) < fewSeeds
	if !now && !few && time.Since(r.compiled) < renewShare*r.compileTook {
		return nil
	}
	return r.compile()
}

// scopeMoves has the worker judge by the newest scope. Of two that are handed
// to it at the same time the older one may have come last.
func (r *rescue) scopeMoves(now bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.renewScope(now); err != nil {
		return err
	}
	r.worker.SetScope(r.scope, r.crawl.Scope)
	return nil
}

// pristine reports whether nothing can have been left outside yet.
func (r *rescue) pristine(ctx context.Context) bool {
	t, err := r.node.Totals(ctx, r.crawl.ID)
	return err == nil && outfit.Pristine(t.Accepted, len(r.job.Seeds), r.scopeRules().Seeds)
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
