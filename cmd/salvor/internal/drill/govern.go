package drill

import (
	"context"
	"math"
	"time"

	"salvor"
)

// ceilings are what a governor needs of a cluster.
type ceilings interface {
	SetCeiling(ctx context.Context, crawl salvor.CrawlID, host string, p salvor.Pace) error
}

// A governor has a cluster follow a policy from outside: it looks at what the
// platforms are asked for, and sets the ceilings of the hosts. It is how the
// baselines are run, which no coordinator needs to know.
type governor struct {
	policy   Policy
	capacity float64
	c        ceilings
	crawl    salvor.CrawlID
	sites    []*rescued
	meters   map[string]*meter // by host
}

const (
	governEvery = time.Second
	// spare is how much more is given out than the workers can do, so that none
	// of them is idle for the moment until the next look.
	spare = 1.05
	// crumb is the pace of who gets nothing: a ceiling of 0 is none.
	crumb = salvor.Pace(20)
)

// govern looks once.
func (g *governor) govern(ctx context.Context, at time.Duration) error {
	if g.policy.Own {
		return nil
	}
	names, standings := g.standings(at)
	for i, rate := range g.policy.divide(g.capacity*spare, standings) {
		m, pace := g.meters[names[i]], max(salvor.PerSecond(rate), crumb)
		if m.set > 0 && math.Abs(float64(pace)/float64(m.set)-1) < .1 {
			continue
		}
		if err := g.c.SetCeiling(ctx, g.crawl, names[i], pace); err != nil {
			return err
		}
		if m.set <= crumb {
			m.since = at
		}
		m.set = pace
	}
	return nil
}

// standings are the platforms that are known; those that share a limit are one.
func (g *governor) standings(at time.Duration) (names []string, out []Standing) {
	asked, groups := map[string]int{}, map[string]int{}
	for _, x := range g.sites {
		deadline, ok := x.site.heard(at)
		if !ok {
			continue
		}
		s := Standing{Known: x.site.Notices[0].At, Deadline: deadline, Rate: x.site.Manner.Rate, Value: x.site.Mean()}
		switch {
		case deadline > 0 && at >= deadline:
			s.Rate = 0
		case s.Rate == 0:
			s.Rate = mostRate
		}
		if i, ok := groups[x.site.Group]; ok && x.site.Group != "" {
			out[i] = out[i].with(s)
			asked[names[i]] += x.asked()
			continue
		}
		groups[x.site.Group] = len(out)
		names, out = append(names, x.web.Host), append(out, s)
		asked[x.web.Host] = x.asked()
	}
	for i, name := range names {
		if g.meters[name] == nil {
			g.meters[name] = &meter{since: at}
		}
		out[i].Use = g.meters[name].look(at, asked[name])
	}
	return names, out
}

// with is two platforms behind one limit.
func (s Standing) with(o Standing) Standing {
	s.Known, s.Value, s.Rate = min(s.Known, o.Known), max(s.Value, o.Value), max(s.Rate, o.Rate)
	if o.end() < s.end() {
		s.Deadline = o.Deadline
	}
	return s
}

// meter watches what becomes of what a platform got.
type meter struct {
	set   salvor.Pace   // its ceiling, as it was set last
	since time.Duration // when it got more than a crumb
	looks [window + 1]int
	n     int
}

const (
	// window is how many looks are a measure.
	window = 3
	// settling is how long it takes workers to use what a platform got.
	settling = 5 * time.Second
)

// look takes how many requests there were so far, and says how many there will
// be a second at most. What a platform will do that got something just now
// nobody knows.
func (m *meter) look(at time.Duration, asked int) float64 {
	m.looks[m.n%len(m.looks)] = asked
	m.n++
	if m.n <= window || m.set <= crumb || at-m.since < settling {
		return math.Inf(1)
	}
	before := m.looks[m.n%len(m.looks)]
	return 1.1*float64(asked-before)/(window*governEvery.Seconds()) + 1
}
