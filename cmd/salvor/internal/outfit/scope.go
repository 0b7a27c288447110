package outfit

import (
	"salvor/api"
	"salvor/cmd/salvor/internal/job"
	"salvor/crawler"
	"salvor/crawler/canon"
	"salvor/crawler/extract"
	"salvor/crawler/scope"
)

// Rules are the rules of the settings for some seeds.
func Rules(s *job.Settings, seeds []string) scope.Rules {
	return scope.Rules{
		Kind: s.Scope, MaxHops: s.MaxHops, ExtraHops: s.ExtraHops, Include: s.Include,
		Exclude: s.Exclude, ExcludeFrom: s.ExcludeFrom, Sets: s.ExcludeSets, Requisites: s.PageRequisites,
		Seeds: seeds, Value: scope.ValueRules{Rules: s.ValueRules},
	}
}

// Area is what the seeds of rules span, without their patterns.
func Area(r scope.Rules) (*scope.Scope, error) {
	return scope.Compile(scope.Rules{Kind: r.Kind, Seeds: r.Seeds, MaxHops: scope.NoLimit})
}

// Grows reports whether a seed lies outside the area that the other seeds
// span. Most redirects of seeds lead from http to https, or to the www. host:
// these let nothing in that was left outside before.
func Grows(area *scope.Scope, seed string) bool {
	u, err := canon.Parse(seed)
	return err != nil || !area.Decide(scope.Parent{}, extract.Page, u).In
}

// Pristine reports whether nothing is known but one seed, the targets of its
// redirects and their robots.txt: then nothing can have been left outside yet.
// seeds are that seed and the targets, named is how many seeds a person named.
func Pristine(accepted int64, named int, seeds []string) bool {
	if named != 1 {
		return false
	}
	origins := map[string]bool{}
	for _, s := range seeds {
		u, err := canon.Parse(s)
		if err != nil {
			return false
		}
		origins[u.Origin] = true
	}
	return accepted == int64(len(seeds)+len(origins))
}

// SeedOffer offers a seed as the scope judged it; via names the seed that
// redirects to it, if one does.
func SeedOffer(c api.Crawl, u canon.URL, d scope.Decision, via string) api.Offer {
	o := api.Offer{Item: crawler.NewItem(c, u, d, via)}
	if !d.In {
		o.Excluded = d.Rule
	}
	return o
}

// SeedOffers offers the seeds that people named, each behind its origin's
// robots.txt.
func SeedOffers(c api.Crawl, s *scope.Scope, seeds []string) ([]api.Offer, error) {
	offers := make([]api.Offer, 0, len(seeds))
	for _, seed := range seeds {
		u, err := canon.Parse(seed)
		if err != nil {
			return nil, err
		}
		offers = append(offers, SeedOffer(c, u, s.Seed(u), ""))
	}
	return crawler.WithRobots(c, offers), nil
}
