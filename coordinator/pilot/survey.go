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
}

// add takes hosts of a crawl.
func (s *survey) add(c api.Crawl, values Values, hosts []api.Host) {
	x := &s.v.Crawls[len(s.v.Crawls)-1]
	for i := range hosts {
		h := &hosts[i]
		x.add(h.Totals)
		if h.Totals.Open() == 0 {
			continue
		}
		speed := s.speeds.of(hostID{c.ID, h.Name}, s.now, h)
		in := plan.Host{
			Name: h.Name, Pool: -1, Queued: float64(h.Totals.Queued + h.Totals.Leased), Tiers: tiers(values, h),
			Survival: survival(c.Deadline, s.now), Rate: speed.limit(h), Before: speed.plan,
		}
		if h.Blocked > s.now.UnixMilli() {
			in.Queued = 0
		}
		if h.Group != "" {
			in.Pool = s.pool(h.Group)
		}
		s.most += in.Rate
		s.v.Input.Hosts = append(s.v.Input.Hosts, in)
		s.v.Hosts = append(s.v.Hosts, HostView{
			Crawl: c.ID, Host: h.Name, Group: h.Group, Open: h.Totals.Open(), Saved: saved(h.Totals),
			Speed: speed.rate, Blocked: h.Blocked, Note: h.Note,
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

// survival is what a deadline says: until then a host is there, a little less
// surely the closer it comes; after it the crawl is over.
func survival(deadline int64, now time.Time) []plan.Point {
	if deadline == 0 {
		return nil
	}
	left := time.UnixMilli(deadline).Sub(now).Seconds()
	if left <= 0 {
		return []plan.Point{{At: 0, P: 0}}
	}
	return []plan.Point{{At: 0, P: 1}, {At: left, P: 1 - early}, {At: left, P: 0}}
}
