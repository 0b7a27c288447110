package frontier

import (
	"slices"

	"salvor"
	"salvor/api"
)

func (m *model) setCrawl(n api.Crawl) error {
	old := m.crawls[n.ID]
	if n.Version != 0 && n.Version == old.Version && n.State == old.State && n.Scope == old.Scope && n.Ceiling == old.Ceiling && n.Tries == old.Tries {
		return nil
	}
	if n.Version != 0 && n.Version != old.Version+1 || n.Scope < old.Scope || m.finishes(n) {
		return errRefused
	}
	old.State, old.Scope, old.Ceiling, old.Tries = n.State, n.Scope, n.Ceiling, n.Tries
	old.Version++
	return nil
}

// finishes: a crawl ends only when nothing of it is open.
func (m *model) finishes(n api.Crawl) bool {
	return n.State == salvor.CrawlFinished && m.crawls[n.ID].State != n.State && m.open(n.ID) > 0
}

func (m *model) adopt(n api.Crawl) error {
	old := m.crawls[n.ID]
	switch {
	case old == nil:
		m.crawls[n.ID] = &n
		return nil
	case n.HashKey != old.HashKey:
		return errRefused
	case n.Version <= old.Version:
		return nil
	case m.finishes(n):
		return errRefused
	}
	*old = n
	return nil
}

func (m *model) setGroup(c *SetGroup) error {
	for _, h := range c.Hosts {
		if g := m.merged[h]; g != "" && g != c.Name || m.budgets[h] == nil && m.crawls[c.Crawl] == nil {
			return errRefused
		}
	}
	g := m.groups[c.Name]
	if g == nil {
		if len(c.Hosts) == 0 {
			return nil
		}
		g = &mBudget{rate: salvor.Unlimited}
		m.groups[c.Name] = g
	}
	g.share = c.Share
	for h, name := range m.merged {
		if name == c.Name && !slices.Contains(c.Hosts, h) {
			delete(m.merged, h)
			m.budgets[h].careful(g)
		}
	}
	for _, h := range c.Hosts {
		if b := m.budget(h, m.crawls[c.Crawl]); m.merged[h] == "" {
			g.careful(b)
			m.merged[h] = c.Name
		}
	}
	if len(c.Hosts) == 0 {
		delete(m.groups, c.Name)
	}
	return nil
}

func (b *mBudget) careful(o *mBudget) {
	b.rate, b.blocked = min(b.rate, o.rate), max(b.blocked, o.blocked)
	if o.own && (!b.own || o.ceiling < b.ceiling) {
		b.own, b.ceiling = true, o.ceiling
	}
}

func (m *model) setRecord(x api.Record) (any, error) {
	if m.records[x.Key].Version != x.Version {
		return nil, errRefused
	}
	if len(x.Value) == 0 {
		delete(m.records, x.Key)
		return uint64(0), nil
	}
	x.Version = m.index
	m.records[x.Key] = x
	return x.Version, nil
}
