package pilot

import (
	"context"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/plan"
)

// survey is one look at everything there is to plan for.
type survey struct {
	v      *View
	now    time.Time
	speeds *speeds
	pools  map[string]int // of merged hosts, by name
	most   float64        // what all hosts could take together

	outlook func(host string) Outlook
}

// Outlook is what is known of the end of a host, by its site's.
type Outlook struct {
	Site     string       // "" nothing is known of it
	Survival []plan.Point // that its pages can be fetched; none: nothing is known
	Ends     int64        // the next deadline that ends it, Unix ms; 0 none
	SafeBy   int64        // when to be done, Unix ms; 0 nothing presses
}

// add takes hosts of a crawl.
func (s *survey) add(c api.Crawl, values Values, hosts []api.Host) {
	x := &s.v.Crawls[len(s.v.Crawls)-1]
	s.v.partial = s.v.partial || len(hosts) == hostsOf
	for i := range hosts {
		h := &hosts[i]
		x.add(h.Totals)
		if h.Totals.Open() == 0 {
			continue
		}
		look := s.outlook(h.Name)
		speed := s.speeds.of(hostID{c.ID, h.Name}, s.now, h, s.v.Capacity.full())
		in := plan.Host{
			Name: h.Name, Pool: -1, Queued: float64(h.Totals.Queued + h.Unbegun), Tiers: tiers(values, h),
			Survival: survival(c.Deadline, s.now, look.Survival), Rate: speed.limit(h), Before: speed.plan,
		}
		rest, endless := speed.size.rest(float64(h.Totals.Queued + h.Totals.Waiting + h.Unbegun))
		in.Tiers = grown(in.Tiers, rest)
		x.Rest, x.Endless = x.Rest+rest, x.Endless || endless
		if h.Blocked > s.now.UnixMilli() {
			in.Queued = 0
		}
		if h.Group != "" {
			in.Pool = s.pool(h.Group)
		}
		times, _ := values.bonus(float64(saved(h.Totals)))
		s.most += in.Rate
		s.v.Input.Hosts = append(s.v.Input.Hosts, in)
		s.v.Hosts = append(s.v.Hosts, HostView{
			Crawl: c.ID, Host: h.Name, Group: h.Group, Open: h.Totals.Open(), Begun: begun(h), Saved: saved(h.Totals),
			Speed: speed.rate, Blocked: h.Blocked, Note: h.Note, Site: look.Site, Ends: look.Ends, SafeBy: look.SafeBy, Rest: rest, Endless: endless,
			Times: times, Queued: values.view(h),
		})
	}
}

func (s *survey) pool(name string) int {
	i, ok := s.pools[name]
	if !ok {
		i = len(s.v.Input.Pools)
		s.pools[name] = i
		s.v.Input.Pools = append(s.v.Input.Pools, plan.Pool{Name: name, Rate: anyRate, Pool: -1})
	}
	return i
}

// shared makes one pool of a host that several crawls have: its budget is one.
func (s *survey) shared() {
	first := map[string]int{}
	for i := range s.v.Input.Hosts {
		in := &s.v.Input.Hosts[i]
		if in.Pool >= 0 {
			continue
		}
		j, again := first[in.Name]
		if !again {
			first[in.Name] = i
			continue
		}
		one := &s.v.Input.Hosts[j]
		if one.Pool < 0 {
			one.Pool = len(s.v.Input.Pools)
			s.v.Input.Pools = append(s.v.Input.Pools, plan.Pool{Name: in.Name, Rate: one.Rate, Pool: -1})
		}
		in.Pool = one.Pool
		p := &s.v.Input.Pools[in.Pool]
		s.most -= min(p.Rate, in.Rate)
		p.Rate = max(p.Rate, in.Rate)
	}
}

// merged learns what merged hosts may get together: the shares of all groups.
func (s *survey) merged(ctx context.Context, groups []Group) error {
	if len(s.pools) == 0 {
		return nil
	}
	rates := map[string]float64{}
	for _, g := range groups {
		all, err := g.HostGroups(ctx)
		if err != nil {
			return err
		}
		for _, x := range all {
			rates[x.Name] = max(rates[x.Name], limited(min(x.Rate, x.Ceiling))) // every part has the rate of the whole
		}
	}
	for name, i := range s.pools {
		if r := rates[name]; r > 0 {
			s.v.Input.Pools[i].Rate = r
		}
	}
	return nil
}

// anyRate stands for a rate without limit: more than one machine asks for.
const anyRate = 10_000

func limited(p salvor.Pace) float64 { return min(p.PerSecond(), anyRate) }

func saved(t api.Totals) int64 {
	return t.Outcomes[salvor.Saved] + t.Outcomes[salvor.Revisit]
}

// early is how probable it is that a site goes before its date: dates move
// forward, and access closes before hosting ends.
const early = 0.05

// survival is what is known of a host's end, and what its crawl's deadline says:
// after it the crawl is over. Where nothing else is known, a host is a little less
// surely there the closer the deadline comes.
func survival(deadline int64, now time.Time, known []plan.Point) []plan.Point {
	if deadline == 0 {
		return known
	}
	left := time.UnixMilli(deadline).Sub(now).Seconds()
	switch {
	case left <= 0:
		return []plan.Point{{At: 0, P: 0}}
	case len(known) == 0:
		return []plan.Point{{At: 0, P: 1}, {At: left, P: 1 - early}, {At: left, P: 0}}
	}
	return cut(known, left)
}

// cut ends a curve at a moment.
func cut(known []plan.Point, at float64) (out []plan.Point) {
	last := plan.Point{P: 1}
	for _, p := range known {
		if p.At > at {
			last.P += (p.P - last.P) * (at - last.At) / (p.At - last.At)
			break
		}
		out, last = append(out, p), p
	}
	return append(out, plan.Point{At: at, P: last.P}, plan.Point{At: at, P: 0})
}

const (
	// leastAhead and mostAhead bound how far ahead the odds of sites are asked for.
	// Below a week they differ little, and what is found may make a crawl longer.
	leastAhead = 7 * 24 * time.Hour
	mostAhead  = 365 * 24 * time.Hour
)

// ahead is until when it matters whether a site is still there: until the last of
// the crawls ends, by its deadline, or without one by what was forecast last.
func (p *Pilot) ahead(crawls []api.Crawl, now time.Time) time.Duration {
	far := leastAhead
	for _, c := range crawls {
		if c.State == salvor.CrawlRunning && c.Deadline != 0 {
			far = max(far, time.UnixMilli(c.Deadline).Sub(now))
		}
	}
	last, _ := p.View()
	for _, f := range last.Forecasts {
		if f.Until == 0 {
			far = max(far, time.Duration(min(f.Done, mostAhead.Seconds())*float64(time.Second)))
		}
	}
	return min(far, mostAhead)
}
