package drill

import (
	"context"
	"math"
	"time"

	"salvor"
	"salvor/api"
)

// budgets are what a governor needs of a cluster.
type budgets interface {
	Hosts(ctx context.Context, id salvor.CrawlID, limit int) ([]api.Host, error)
	SetCeiling(ctx context.Context, crawl salvor.CrawlID, host string, p salvor.Pace) error
}

// A governor has a cluster follow a policy from outside: it looks at what there
// is to do, and sets the ceilings of the hosts. It is how the baselines are run,
// which no coordinator needs to know.
type governor struct {
	policy   Policy
	capacity float64
	c        budgets
	crawl    salvor.CrawlID
	sites    []*rescued
	set      map[string]salvor.Pace // ceilings as they were set last
}

const (
	governEvery = time.Second
	// spare is how much more is given out than the workers can do, so that none
	// of them is idle because a platform does not use all that it got.
	spare = 1.05
	// crumb is the pace of who gets nothing: a ceiling of 0 is none.
	crumb = salvor.Pace(20)
)

// govern looks once.
func (g *governor) govern(ctx context.Context, at time.Duration) error {
	if g.policy.Own {
		return nil
	}
	hosts, err := g.c.Hosts(ctx, g.crawl, 0)
	if err != nil {
		return err
	}
	names, standings := g.standings(at, hosts)
	for i, rate := range g.policy.divide(g.capacity*spare, standings) {
		pace := max(salvor.PerSecond(rate), crumb)
		if was := g.set[names[i]]; was > 0 && math.Abs(float64(pace)/float64(was)-1) < .1 {
			continue
		}
		if err := g.c.SetCeiling(ctx, g.crawl, names[i], pace); err != nil {
			return err
		}
		g.set[names[i]] = pace
	}
	return nil
}

// standings are the platforms that are known; those that share a limit are one.
// One that is said to be over has nothing open.
func (g *governor) standings(at time.Duration, hosts []api.Host) (names []string, out []Standing) {
	open := map[string]float64{}
	for _, h := range hosts {
		open[h.Name] = float64(h.Totals.Queued + h.Totals.Leased)
	}
	groups := map[string]int{}
	for _, x := range g.sites {
		deadline, ok := x.site.heard(at)
		if !ok {
			continue
		}
		s := Standing{Known: x.site.Notices[0].At, Deadline: deadline, Rate: x.site.Manner.Rate, Value: x.site.Mean(), Open: open[x.web.Host]}
		if s.Rate == 0 {
			s.Rate = mostRate
		}
		if deadline > 0 && at >= deadline {
			s.Open = 0
		}
		if i, ok := groups[x.site.Group]; ok && x.site.Group != "" {
			out[i] = out[i].with(s)
			continue
		}
		groups[x.site.Group] = len(out)
		names, out = append(names, x.web.Host), append(out, s)
	}
	return names, out
}

// with is two platforms behind one limit.
func (s Standing) with(o Standing) Standing {
	s.Value = (s.Value*s.Open + o.Value*o.Open) / max(s.Open+o.Open, 1)
	s.Known, s.Open = min(s.Known, o.Known), s.Open+o.Open
	if o.end() < s.end() {
		s.Deadline = o.Deadline
	}
	return s
}
