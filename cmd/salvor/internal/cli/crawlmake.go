package cli

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/cmd/salvor/internal/progress"
	"salvor/crawler/canon"
)

// createCrawl makes the crawl, offers its seeds and lets it run. Each step is
// harmless when it was done before.
func (w *world) createCrawl(ctx context.Context, c *client.Cluster, a *creating, p *plan) error {
	if p.settings.Operator == "" { // a pseudonym: whose key it is only admins can see
		p.settings.Operator = "key " + c.Key.ID
	}
	want, err := draftOf(p, w.Now())
	if err != nil {
		return err
	}
	crawl, err := c.CreateCrawl(ctx, want)
	if err != nil {
		return err
	}
	if err := sameCrawl(crawl, want); err != nil {
		return err
	}
	if err := c.Everywhere(ctx, crawl); err != nil {
		return err
	}
	if crawl.State != salvor.CrawlDraft {
		return w.tellCreated(ctx, c, crawl, false, a.dialing.json)
	}
	if err := offerSeeds(ctx, c, crawl, p.seeds); err != nil {
		return err
	}
	crawl, err = letRun(ctx, c, crawl.Name, a.paused)
	if err != nil {
		return err
	}
	for _, n := range p.notes {
		fmt.Fprintf(w.stderr, "salvor: %s\n", progress.Clean(n))
	}
	return w.tellCreated(ctx, c, crawl, true, a.dialing.json)
}

// letRun ends the draft.
func letRun(ctx context.Context, c *client.Cluster, name string, paused bool) (api.Crawl, error) {
	t := turn{verb: "create", done: "running", to: salvor.CrawlRunning, from: []salvor.CrawlState{salvor.CrawlDraft}}
	if paused {
		t.done, t.to = "paused", salvor.CrawlPaused
	}
	crawl, _, err := turnCrawl(ctx, c, name, t)
	return crawl, err
}

func (w *world) tellCreated(ctx context.Context, c *client.Cluster, crawl api.Crawl, made, asJSON bool) error {
	if asJSON {
		t, err := c.Totals(ctx, crawl.ID)
		if err != nil {
			return err
		}
		return w.printJSON(crawlOf(crawl, t))
	}
	text := fmt.Sprintf("crawl %s is there already, with the same settings, and %s", crawl.Name, crawl.State)
	switch {
	case made && crawl.State == salvor.CrawlPaused:
		text = fmt.Sprintf("crawl %s is made and paused; to let it run: salvor crawl resume %s", crawl.Name, crawl.Name)
	case made:
		text = fmt.Sprintf("crawl %s is running; to watch it: salvor crawl show --watch %s", crawl.Name, crawl.Name)
	}
	if _, err := fmt.Fprintln(w.stderr, text); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w.stdout, crawl.Name)
	return err
}

// draftOf is the crawl that a plan asks for.
func draftOf(p *plan, now time.Time) (api.Crawl, error) {
	c := api.Crawl{Name: p.settings.Name, State: salvor.CrawlDraft, Canon: canon.Version, Scope: 1, Created: now.UnixMilli()}
	spec, err := outfit.NewSpec(p.settings, urlsOf(p.seeds))
	if err != nil {
		return c, err
	}
	spec.SeedValues = job.SeedValues(p.seeds)
	return c, spec.Apply(&c)
}

func urlsOf(seeds []job.Seed) (urls []string) {
	for _, s := range seeds {
		urls = append(urls, s.URL)
	}
	return urls
}

// sameCrawl refuses another crawl under the same name. What follows from the
// moment of the command, or from the version of the program, is no difference.
func sameCrawl(there, want api.Crawl) error {
	old, err := outfit.SpecOf(there)
	if err != nil {
		return err
	}
	next, err := outfit.SpecOf(want)
	if err != nil {
		return err
	}
	a, b := old.Settings, next.Settings
	if a.DeadlineSpec == b.DeadlineSpec {
		b.Deadline = a.Deadline
	}
	if strings.HasPrefix(b.Operator, "key ") && strings.HasPrefix(a.Operator, "key ") {
		b.Operator = a.Operator // a colleague repeats the command
	}
	if a.RobotsAgent == robotsName && b.RobotsAgent == robotsName && a.Contact == b.Contact {
		b.UserAgent = a.UserAgent
	}
	diff := differences(a, b)
	if !slices.Equal(old.Seeds, next.Seeds) || old.Named != next.Named {
		diff = append(diff, "other seeds")
	}
	if !reflect.DeepEqual(old.SeedValues, next.SeedValues) {
		diff = append(diff, "other values of seeds")
	}
	if len(diff) == 0 {
		return nil
	}
	return salvor.Errorf(salvor.Conflict, "crawl %s is there already, %s, with other settings: %s", there.Name, there.State, strings.Join(diff, "; ")).
		WithHint("choose another name, or see: salvor crawl show %s", there.Name)
}

// seedPiece is how many seeds are offered in one call.
const seedPiece = 1000

// offerSeeds offers the seeds, each behind its origin's robots.txt. Those that
// were accepted before change nothing.
func offerSeeds(ctx context.Context, c api.Coordinator, crawl api.Crawl, seeds []job.Seed) error {
	spec, err := outfit.SpecOf(crawl)
	if err != nil {
		return err
	}
	s, err := spec.Compile()
	if err != nil {
		return err
	}
	offers, err := outfit.SeedOffers(crawl, s, urlsOf(seeds))
	if err != nil {
		return err
	}
	for piece := range slices.Chunk(offers, seedPiece) {
		if _, err := c.Discover(ctx, api.Call{}, api.Discovery{Crawl: crawl.ID, Scope: crawl.Scope, Items: piece}); err != nil {
			return fmt.Errorf("offer the seeds: %w", err)
		}
	}
	return nil
}
