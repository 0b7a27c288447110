package drill

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/merge"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/drill/platform"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/coordinator/risk"
	"salvor/crawler/canon"
)

// crawlName is the name of a drill's one crawl.
const crawlName = "drill"

// rescue is the crawl of a drill: one for all its platforms, so that they
// compete for the workers as those of a real one do.
type rescue struct {
	c     *client.Cluster
	crawl api.Crawl
	spec  outfit.Spec
	sites []*rescued
}

// rescued is a platform and what the cluster was told of it.
type rescued struct {
	site   Site
	web    *platform.Site
	asked  func() int // how many requests there were so far
	seeded bool
	told   time.Duration // the deadline that the cluster was told; 0 none
}

// mostRate is the ceiling of a host that nobody named one for, in requests a
// second.
const mostRate = 1000

// settings are those of an archivist who has agreed with the platforms on what
// they can bear, and otherwise the defaults of salvor crawl create.
func settings(connections int) job.Settings {
	return job.Settings{
		Name: crawlName, Operator: "drill", Description: "a rehearsal against synthetic platforms",
		UserAgent: "Mozilla/5.0 (compatible; salvor-drill)", RobotsAgent: "salvor",
		Scope: "host", MaxHops: job.NoLimit, PageRequisites: true, Robots: "obey",
		MaxRate: mostRate, MaxRateGiven: true, Connections: connections, PerOrigin: connections, Tries: 8,
		AllowNet:    []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		WARCMaxSize: 1e9, WARCPrefix: crawlName, SpoolMax: 10e9,
	}
}

// newRescue makes the crawl and lets it run, without anything to fetch yet.
func newRescue(ctx context.Context, c *client.Cluster, s *Scenario, set *platform.Set, with job.Settings) (*rescue, error) {
	r := &rescue{c: c}
	var seeds []string
	for i, x := range set.Sites {
		r.sites = append(r.sites, &rescued{site: s.Sites[i], web: x, asked: func() int { return x.Tally().Answers }})
		seeds = append(seeds, x.URL)
	}
	var err error
	if r.spec, err = outfit.NewSpec(with, seeds); err != nil {
		return nil, err
	}
	draft := api.Crawl{Name: crawlName, State: salvor.CrawlRunning, Canon: canon.Version, Scope: 1, Created: time.Now().UnixMilli()}
	if err := r.spec.Apply(&draft); err != nil {
		return nil, err
	}
	draft.Start = draft.Ceiling // what the platforms bear was agreed on
	if r.crawl, err = c.CreateCrawl(ctx, draft); err != nil {
		return nil, err
	}
	if err := c.Everywhere(ctx, r.crawl); err != nil {
		return nil, err
	}
	return r, r.limits(ctx)
}

// limits tells the cluster what each platform bears, and which share a limit.
func (r *rescue) limits(ctx context.Context) error {
	groups := map[string]*merge.Group{}
	for _, x := range r.sites {
		if x.site.Manner.Rate == 0 {
			continue
		}
		pace := salvor.PerSecond(x.site.Manner.Rate)
		if name := x.site.Group; name != "" {
			if groups[name] == nil {
				groups[name] = &merge.Group{Name: name, Ceiling: pace}
			}
			groups[name].Hosts = append(groups[name].Hosts, x.web.Host)
			continue
		}
		if err := r.c.SetCeiling(ctx, r.crawl.ID, x.web.Host, pace); err != nil {
			return err
		}
	}
	for _, g := range groups {
		if _, _, err := r.c.MergeHosts(ctx, *g); err != nil {
			return err
		}
	}
	return nil
}

// hear passes on what is known by a moment and was not before: new platforms
// are seeded. It returns when the next news come; 0 is never.
func (r *rescue) hear(ctx context.Context, at time.Duration) (next time.Duration, err error) {
	var seeds []string
	for _, x := range r.sites {
		for _, n := range x.site.Notices {
			switch {
			case n.At > at && (next == 0 || n.At < next):
				next = n.At
			case n.At <= at && !x.seeded:
				seeds, x.seeded = append(seeds, x.web.URL), true
			}
		}
	}
	return next, r.seed(ctx, seeds)
}

// announced is how sure people are of a deadline that an operator announced.
const announced = 0.95

// record has the cluster know the deadlines that people have heard of by a moment.
// The clock must run: they are dates.
func (r *rescue) record(ctx context.Context, at time.Duration) error {
	for _, x := range r.sites {
		deadline, ok := x.site.heard(at)
		if !ok || deadline == 0 || deadline == x.told {
			continue
		}
		d := risk.Deadline{What: risk.EndHosting, At: time.Now().Add(deadline - at), Confidence: announced}
		if _, err := r.c.SetDeadline(ctx, x.web.Host, d); err != nil {
			return err
		}
		x.told = deadline
	}
	return nil
}

// seed offers front pages, each behind its robots.txt.
func (r *rescue) seed(ctx context.Context, seeds []string) error {
	if len(seeds) == 0 {
		return nil
	}
	scope, err := r.spec.Compile()
	if err != nil {
		return err
	}
	offers, err := outfit.SeedOffers(r.crawl, scope, slices.Clone(seeds))
	if err != nil {
		return err
	}
	_, err = r.c.Discover(ctx, api.Call{}, api.Discovery{Crawl: r.crawl.ID, Scope: r.crawl.Scope, Items: offers})
	return err
}

// known is how many platforms were seeded.
func (r *rescue) known() (n int) {
	for _, x := range r.sites {
		if x.seeded {
			n++
		}
	}
	return n
}

// over says whether nothing more can be saved: the crawl has an answer for all
// it knows.
func (r *rescue) over(ctx context.Context) (bool, error) {
	c, err := r.c.Crawl(ctx, r.crawl.ID)
	return c.State == salvor.CrawlFinished, err
}
