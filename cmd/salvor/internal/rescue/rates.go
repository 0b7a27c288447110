package rescue

import (
	"context"
	"maps"
	"slices"

	"salvor"
	"salvor/api"
)

// startRates puts right, before anything is fetched, what an earlier run left
// of ceilings: orders that were taken back meanwhile, and those for a
// Crawl-delay when --max-rate is given now.
func (r *rescue) startRates(ctx context.Context) error {
	if r.job.Settings.MaxRateGiven {
		if err := r.dropCeilings(ctx, r.crawl.ID, r.crawl.Basis); err != nil {
			return err
		}
	}
	return r.setRates(ctx, nil)
}

// dropCeilings takes away the ceilings that hosts of these crawls have of
// their own.
func (r *rescue) dropCeilings(ctx context.Context, crawls ...salvor.CrawlID) error {
	for _, id := range crawls {
		c, err := r.node.Crawl(ctx, id)
		if salvor.ClassOf(err) == salvor.NotFound {
			continue // the first round is based on none
		}
		if err != nil {
			return err
		}
		hosts, err := r.node.Hosts(ctx, id, 0)
		if err != nil {
			return err
		}
		own := slices.DeleteFunc(hosts, func(h api.Host) bool { return h.Ceiling == c.Ceiling })
		for _, h := range own {
			if err := r.node.SetCeiling(ctx, r.crawl.ID, h.Name, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// setRates sets the ceilings DIR/control/rate names, and takes away those that
// it named before, in this run or an earlier one, and names no more.
func (r *rescue) setRates(ctx context.Context, rates map[string]salvor.Pace) error {
	general, ok := rates[""]
	if !ok {
		general = r.job.Settings.Pace()
	}
	if err := r.setCeiling(ctx, general); err != nil {
		return err
	}
	hosts := slices.Sorted(maps.Keys(rates))
	hosts = slices.DeleteFunc(hosts, func(h string) bool { return h == "" })
	was := r.memory.Rated
	both := slices.Compact(slices.Sorted(slices.Values(slices.Concat(was, hosts))))
	if err := r.rated(both); err != nil { // before any is set: a run that is killed here leaves none behind
		return err
	}
	for _, h := range both {
		if p := rates[h]; p != r.rates[h] || p == 0 {
			if err := r.node.SetCeiling(ctx, r.crawl.ID, h, p); err != nil { // 0 takes it away
				return err
			}
		}
	}
	r.rates = rates
	return r.rated(hosts)
}

// setCeiling sets the ceiling of all hosts that have none of their own.
func (r *rescue) setCeiling(ctx context.Context, p salvor.Pace) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p == r.crawl.Ceiling {
		return nil
	}
	if err := r.node.SetCeiling(ctx, r.crawl.ID, "", p); err != nil {
		return err
	}
	r.crawl.Ceiling = p // or the next change of the crawl would undo it
	return nil
}

// rated remembers which hosts have a ceiling by an order.
func (r *rescue) rated(hosts []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Equal(hosts, r.memory.Rated) {
		return nil
	}
	r.memory.Rated = hosts
	return r.memory.save(r.job.Dir)
}
