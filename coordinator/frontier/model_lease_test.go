package frontier

import (
	"cmp"
	"slices"

	"salvor"
	"salvor/api"
)

func (m *model) grant(g *Grant) ([]api.Lease, error) {
	if m.sessions[g.Session] == nil {
		return nil, errRefused
	}
	out := []api.Lease{}
	for _, h := range g.Hosts {
		c := m.crawls[h.Crawl]
		if c == nil || c.State != salvor.CrawlRunning || m.budgets[h.Host] == nil || m.purse(h.Host).blocked > m.clock {
			continue
		}
		pace := h.Pace
		if limit := m.limit(c, h.Host); limit < salvor.Unlimited {
			sum, _ := m.booked(h.Host, 0)
			pace = min(pace, limit-min(limit, sum))
		}
		keys := m.head(h.Crawl, h.Host, h.Items)
		if len(keys) == 0 || pace == 0 && (h.Pace > 0 || !m.paces(g.Session, h)) {
			continue
		}
		id := salvor.LeaseID(m.index<<16 | uint64(len(out)))
		l := &mLease{session: g.Session, crawl: h.Crawl, host: h.Host, pace: pace, renewal: m.index}
		a := api.Lease{ID: id, Crawl: h.Crawl, Host: h.Host, Group: m.merged[h.Host], Pace: pace, TTL: salvor.LeaseTTL}
		for _, k := range keys {
			m.items[k].State, m.items[k].lease = api.StateLeased, id
			l.keys = append(l.keys, k.key)
			a.Items = append(a.Items, m.items[k].Item)
		}
		m.leases[id] = l
		out = append(out, a)
	}
	return out, nil
}

// head is the first n items of a host in the order of band, returned before
// fresh, arrival; robots items alone while any is open.
func (m *model) head(c salvor.CrawlID, h string, n int) []mKey {
	gated := len(m.find(func(k mKey, it *mItem) bool {
		return k.crawl == c && k.host == h && it.State != api.StateSettled && it.Band == salvor.BandRobots
	})) > 0
	list := m.find(func(k mKey, it *mItem) bool {
		return k.crawl == c && k.host == h && it.State == api.StateQueued && (!gated || it.Band == salvor.BandRobots)
	})
	slices.SortFunc(list, func(a, b mKey) int {
		x, y := m.items[a], m.items[b]
		if x.Band == y.Band && x.front != y.front {
			if x.front {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(x.Band, y.Band), cmp.Compare(x.place, y.place))
	})
	return list[:max(0, min(n, len(list)))]
}

func (m *model) extend(e *Extend) (api.Renewal, error) {
	var r api.Renewal
	s := m.sessions[e.Session]
	if s == nil {
		return r, errRefused
	}
	for _, id := range m.leasesOf(e.Session) {
		if id < e.Before && !slices.ContainsFunc(e.Held, func(x api.Extension) bool { return x.Lease == id }) {
			m.giveBack(id)
		}
	}
	for _, x := range e.Held {
		l := m.leases[x.Lease]
		if l == nil || l.session != e.Session {
			r.Lost = append(r.Lost, x.Lease)
			continue
		}
		l.pace = m.allowed(x.Lease, l, x.Pace)
		l.renewal = m.index
		r.Granted = append(r.Granted, api.Extension{Lease: x.Lease, Pace: l.pace})
	}
	r = m.regrouped(r)
	r.Struck, s.struck = s.struck, nil
	return r, nil
}

func (m *model) allowed(id salvor.LeaseID, l *mLease, want salvor.Pace) salvor.Pace {
	c := m.crawls[l.crawl]
	if c.State != salvor.CrawlRunning || m.purse(l.host).blocked > m.clock {
		return 0
	}
	limit := m.limit(c, l.host)
	if limit >= salvor.Unlimited || want == 0 {
		return want
	}
	others, paced := m.booked(l.host, id)
	if others+want <= limit {
		return want
	}
	share := min(l.pace, limit/salvor.Pace(max(paced, 1)))
	return min(want, max(limit-min(limit, others), share))
}

// paces says whether a session has a pace for a host.
func (m *model) paces(s salvor.SessionID, h GrantHost) bool {
	for _, id := range m.leasesOf(s) {
		if l := m.leases[id]; l.crawl == h.Crawl && l.host == h.Host && l.pace > 0 {
			return true
		}
	}
	return false
}
