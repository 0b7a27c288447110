package frontier

import (
	"salvor"
	"salvor/api"
)

func (m *model) discover(d *api.Discovery) ([]api.Result, error) {
	c := m.crawls[d.Crawl]
	if d.Scope != c.Scope {
		return nil, errRefused
	}
	out := []api.Result{}
	for i := range d.Items {
		out = append(out, m.offer(c, d.Items[i]))
	}
	return out, nil
}

func (m *model) offer(c *api.Crawl, o api.Offer) api.Result {
	if o.Class == salvor.ClassRobots {
		o.Band = salvor.BandRobots
	}
	m.budget(o.Host, c)
	k := mKey{c.ID, o.Host, o.Key}
	it := m.items[k]
	if it == nil {
		return m.insert(c, k, o)
	}
	better := m.betterClass(o, it) || o.Hop.Better(it.Hop)
	switch {
	case o.Excluded != "":
		return api.Unchanged
	case it.State == api.StateSettled && o.Round > it.Round:
		m.captures[mCapture{k, it.ans.place.Segment, it.ans.place.Offset}] = true
		it.URL, it.Origin, it.Method, it.Body, it.Via, it.Hop.Path = o.URL, o.Origin, o.Method, o.Body, o.Via, o.Hop.Path
		it.Attempts, it.Round, it.scope, it.ans, it.Outcome = 0, o.Round, c.Scope, answer{}, salvor.Open
		m.enqueue(k, false)
		m.revive(c)
		return api.Readmitted
	case it.Outcome == salvor.Excluded && (better || c.Scope > it.scope):
		it.Band, it.Attempts, it.scope, it.ans, it.Outcome = o.Band, 0, c.Scope, answer{}, salvor.Open
		m.take(it, o)
		if it.Class == salvor.ClassRobots {
			it.Band = salvor.BandRobots
		}
		m.enqueue(k, false)
		m.revive(c)
		return api.Readmitted
	case it.State != api.StateSettled && (better || o.Band < it.Band && !it.answered()):
		answered := it.answered()
		m.take(it, o)
		if o.Band < it.Band && !answered {
			it.Band = o.Band
			if it.State == api.StateQueued {
				m.enqueue(k, false)
			}
		}
		return api.Improved
	}
	return api.Unchanged
}

func (it *mItem) answered() bool {
	return it.State == api.StateLeased && it.Class == salvor.ClassRobots && it.Band != salvor.BandRobots
}

func (m *model) budget(h string, c *api.Crawl) *mBudget {
	if m.budgets[h] == nil {
		m.budgets[h] = &mBudget{rate: c.Start}
		m.hosts = append(m.hosts, h)
	}
	return m.budgets[h]
}

func (m *model) insert(c *api.Crawl, k mKey, o api.Offer) api.Result {
	it := &mItem{Known: api.Known{Item: o.Item}, scope: c.Scope}
	m.items[k] = it
	if o.Excluded != "" {
		it.State, it.Outcome, it.ans.reason = api.StateSettled, salvor.Excluded, o.Excluded
		return api.Barred
	}
	m.enqueue(k, false)
	m.revive(c)
	return api.New
}

func (m *model) take(it *mItem, o api.Offer) {
	if m.betterClass(o, it) {
		it.Class = o.Class
	}
	if o.Hop.Better(it.Hop) {
		it.Hop, it.Via = o.Hop, o.Via
	}
}

// betterClass: no class beats that of a robots.txt.
func (m *model) betterClass(o api.Offer, it *mItem) bool {
	return it.Class != salvor.ClassRobots && (o.Class < it.Class || o.Class == salvor.ClassRobots)
}

func (m *model) revive(c *api.Crawl) {
	if c.State == salvor.CrawlFinished {
		c.State = salvor.CrawlRunning
	}
}

func (m *model) limit(c *api.Crawl, h string) salvor.Pace {
	b := m.purse(h)
	limit := min(b.rate, c.Ceiling)
	if b.own {
		limit = min(b.rate, b.ceiling)
	}
	if b.share > 0 {
		limit = min(limit, b.share)
	}
	return limit
}

// booked is the sum of a host's paces but for one lease, and how many have one.
func (m *model) booked(h string, but salvor.LeaseID) (sum salvor.Pace, paced int) {
	for id, l := range m.leases {
		if m.purse(l.host) == m.purse(h) && l.pace > 0 {
			paced++
			if id != but {
				sum += l.pace
			}
		}
	}
	return sum, paced
}
