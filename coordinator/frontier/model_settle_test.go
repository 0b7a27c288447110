package frontier

import (
	"cmp"
	"slices"

	"salvor"
	"salvor/api"
)

func (m *model) settle(by salvor.SessionID, s *api.Settlement) (r SettleResult) {
	for i := range s.Entries {
		switch m.report(by, s.Crawl, &s.Entries[i]) {
		case took:
			r.Accepted++
		case duplicate:
			r.Duplicate++
		case stale:
			r.Stale++
		}
	}
	return r
}

func (m *model) report(by salvor.SessionID, c salvor.CrawlID, e *api.Entry) verdict {
	k := mKey{c, e.Host, e.Key}
	it := m.items[k]
	if it == nil || e.Round > it.Round {
		return stale
	}
	said := answerOf(e)
	if e.Verb == api.VerbSettle && e.Outcome.HasCapture() {
		return m.capture(by, k, it, e)
	}
	if it.State == api.StateSettled {
		if e.Verb == api.VerbSettle && e.Outcome == it.Outcome && it.Round == e.Round && said == it.ans {
			return took
		}
		return stale
	}
	if e.Verb == api.VerbHold && (it.State != api.StateLeased || by == 0 && it.lease == e.Lease) {
		if it.Round != e.Round || e.Retry <= m.clock {
			return stale
		}
		if it.State == api.StateLeased {
			m.strike(k, it)
		}
		it.State, it.Retry = api.StateWaiting, e.Retry
		it.ungate()
		return took
	}
	if it.State != api.StateLeased || it.lease != e.Lease || m.leases[e.Lease].session != by || e.Round != it.Round {
		return stale
	}
	if e.Verb == api.VerbHold {
		if it.Class == salvor.ClassRobots {
			it.Band = salvor.BandRequisite
		}
		return took
	}
	m.strike(k, it)
	if e.Verb == api.VerbSettle {
		m.conclude(k, it, e)
		return took
	}
	if e.Place.Segment != 0 && !m.captures[mCapture{k, e.Place.Segment, e.Place.Offset}] {
		m.countCapture(k, e)
	}
	if e.Verb == api.VerbRetry {
		it.Attempts++
	}
	if e.Retry > m.clock {
		it.State, it.Retry, it.lease = api.StateWaiting, e.Retry, 0
	} else {
		m.enqueue(k, e.Verb == api.VerbPostpone)
	}
	return took
}

// strike takes an item off its lease.
func (m *model) strike(k mKey, it *mItem) {
	l := m.leases[it.lease]
	l.keys = slices.DeleteFunc(l.keys, func(x salvor.Key) bool { return x == k.key })
	if len(l.keys) == 0 {
		delete(m.leases, it.lease)
	}
	it.lease = 0
	it.ungate()
}

// ungate: an answered robots.txt that leaves its lease is one like any other.
func (it *mItem) ungate() {
	if it.Class == salvor.ClassRobots {
		it.Band = salvor.BandRobots
	}
}

func (m *model) capture(by salvor.SessionID, k mKey, it *mItem, e *api.Entry) verdict {
	first := !m.captures[mCapture{k, e.Place.Segment, e.Place.Offset}]
	current := it.Round == e.Round
	if current && it.State == api.StateSettled && it.Outcome.HasCapture() && it.ans.place == e.Place {
		return took
	}
	settled := it.State == api.StateSettled && it.Outcome.HasCapture()
	if !current || settled {
		if first {
			m.countCapture(k, e)
		}
		if !current {
			return stale
		}
		if first {
			m.dups[k.crawl]++
		}
		return duplicate
	}
	if it.State == api.StateLeased {
		id := it.lease
		l := m.leases[id]
		m.strike(k, it)
		if l.session != by || id != e.Lease {
			m.sessions[l.session].struck = append(m.sessions[l.session].struck, k.key)
		}
	}
	m.conclude(k, it, e)
	return took
}

func (m *model) countCapture(k mKey, e *api.Entry) {
	m.captures[mCapture{k, e.Place.Segment, e.Place.Offset}] = true
	m.caps[k.crawl]++
	m.bytes[k.crawl] += e.Bytes
	if d := m.crawls[k.crawl].Deadline; d > 0 && e.At > d {
		m.late[k.crawl]++
	}
}

func (m *model) conclude(k mKey, it *mItem, e *api.Entry) {
	if e.Place.Segment != 0 {
		m.countCapture(k, e)
	}
	it.State, it.Outcome, it.ans, it.Retry = api.StateSettled, e.Outcome, answerOf(e), 0
	it.scope = m.crawls[k.crawl].Scope
}

func (m *model) reopen(c *Reopen) ReopenResult {
	list := m.find(func(k mKey, it *mItem) bool {
		return k.crawl == c.Crawl && (c.Host == "" || c.Host == k.host) && slices.Contains(c.Outcomes, it.Outcome)
	})
	slices.SortFunc(list, func(a, b mKey) int {
		return cmp.Or(cmp.Compare(m.items[a].Outcome, m.items[b].Outcome), m.compare(a, b))
	})
	list = list[:min(len(list), c.Limit)]
	n := int64(0)
	for _, k := range list {
		it := m.items[k]
		if it.State != api.StateSettled {
			continue // a robots.txt that one before it set going
		}
		n++
		it.Outcome, it.Attempts, it.ans = salvor.Open, 0, answer{}
		it.Round++
		m.enqueue(k, false)
		m.revive(m.crawls[c.Crawl])
	}
	return ReopenResult{N: n}
}

func (m *model) exclude(c *Exclude) (n int64) {
	for _, x := range c.Items {
		it := m.items[mKey{c.Crawl, x.Host, x.Key}]
		if it == nil || it.State != api.StateQueued && it.State != api.StateWaiting {
			continue
		}
		it.State, it.Outcome, it.Retry = api.StateSettled, salvor.Excluded, 0
		it.ans = answer{reason: c.Rule}
		it.scope = m.crawls[c.Crawl].Scope
		n++
	}
	return n
}

func (m *model) rank(c *Rank) (n int64) {
	for _, x := range c.Items {
		k := mKey{c.Crawl, x.Host, x.Key}
		it := m.items[k]
		if it == nil || it.State == api.StateSettled || it.Class == salvor.ClassRobots || it.Band == x.Band {
			continue
		}
		it.Band = x.Band
		if it.State == api.StateQueued {
			m.enqueue(k, false)
		}
		n++
	}
	return n
}

func (m *model) totals(c salvor.CrawlID) (t api.Totals) {
	for k, it := range m.items {
		if k.crawl != c {
			continue
		}
		t.Accepted++
		switch it.State {
		case api.StateQueued:
			t.Queued++
		case api.StateWaiting:
			t.Waiting++
		case api.StateLeased:
			t.Leased++
		case api.StateSettled:
			t.Outcomes[it.Outcome]++
		}
	}
	t.Bytes, t.Captures, t.Late, t.Dups, t.Clock = m.bytes[c], m.caps[c], m.late[c], m.dups[c], m.clock
	return t
}

func (m *model) setBudget(c *SetBudget) {
	if c.Host == "" {
		m.crawls[c.Crawl].Ceiling = *c.Ceiling
		return
	}
	m.budget(c.Host, m.crawls[c.Crawl])
	b := m.purse(c.Host)
	if c.Ceiling != nil {
		b.ceiling, b.own = *c.Ceiling, *c.Ceiling > 0
	}
	if c.Rate != nil {
		b.rate = *c.Rate
	}
	if c.Blocked != nil {
		b.blocked = *c.Blocked
	}
}
