package frontier

import (
	"cmp"
	"maps"
	"slices"

	"salvor"
	"salvor/api"
)

// model is the state machine as one would write it with all the time and
// memory in the world: plain maps, plain scans, no indexes, no counters. The
// property test holds the real one against it.
type model struct {
	clock    int64
	index    uint64
	seq      int
	crawls   map[salvor.CrawlID]*api.Crawl
	hosts    []string            // in the order of their first offer
	budgets  map[string]*mBudget // of hosts
	groups   map[string]*mBudget // of merged hosts
	merged   map[string]string   // host to group
	items    map[mKey]*mItem
	sessions map[salvor.SessionID]*mSession
	leases   map[salvor.LeaseID]*mLease
	captures map[mCapture]bool
	origins  map[mOrigin]bool
	bytes    map[salvor.CrawlID]int64
	caps     map[salvor.CrawlID]int64
	late     map[salvor.CrawlID]int64
	dups     map[salvor.CrawlID]int64
	records  map[string]api.Record // of one table
}

type mKey struct {
	crawl salvor.CrawlID
	host  string
	key   salvor.Key
}

type mOrigin struct {
	crawl        salvor.CrawlID
	host, origin string
}

type mCapture struct {
	mKey
	segment salvor.SegmentID
	offset  int64
}

type mItem struct {
	api.Known
	place int // order of arrival in its lane
	front bool
	lease salvor.LeaseID
	scope uint32
	ans   answer
}

type mBudget struct {
	rate, ceiling, share salvor.Pace
	own                  bool
	blocked              int64
}

// purse is the budget of a host; nil of one that is not known.
func (m *model) purse(host string) *mBudget {
	if g := m.merged[host]; g != "" {
		return m.groups[g]
	}
	return m.budgets[host]
}

type mSession struct {
	worker  string
	struck  []salvor.Key
	answers []mAnswer // the newest last
	n       uint64    // ever
}

type mAnswer struct {
	request uint64
	result  any
}

type mLease struct {
	session salvor.SessionID
	crawl   salvor.CrawlID
	host    string
	pace    salvor.Pace
	renewal uint64
	keys    []salvor.Key
}

func newModel() *model {
	return &model{
		crawls: map[salvor.CrawlID]*api.Crawl{}, budgets: map[string]*mBudget{}, groups: map[string]*mBudget{}, merged: map[string]string{}, items: map[mKey]*mItem{},
		sessions: map[salvor.SessionID]*mSession{}, leases: map[salvor.LeaseID]*mLease{}, captures: map[mCapture]bool{}, origins: map[mOrigin]bool{},
		bytes: map[salvor.CrawlID]int64{}, caps: map[salvor.CrawlID]int64{}, late: map[salvor.CrawlID]int64{}, dups: map[salvor.CrawlID]int64{}, records: map[string]api.Record{},
	}
}

func (m *model) find(f func(mKey, *mItem) bool) (list []mKey) {
	for k, it := range m.items {
		if f(k, it) {
			list = append(list, k)
		}
	}
	return list
}

// bands counts a host's queued items, best band first.
func (m *model) bands(crawl salvor.CrawlID, host string) (list []api.BandCount) {
	queued := map[salvor.Band]int64{}
	for k, it := range m.items {
		if k.crawl == crawl && k.host == host && it.State == api.StateQueued {
			queued[it.Band]++
		}
	}
	for _, b := range slices.Sorted(maps.Keys(queued)) {
		list = append(list, api.BandCount{Band: b, Queued: queued[b]})
	}
	return list
}

func (m *model) hostNum(h string) int { return slices.Index(m.hosts, h) }

// apply is what a machine does with an entry: a request that was answered gets
// its answer again.
func (m *model) apply(index uint64, env Envelope) (any, error) {
	m.index = index
	m.clock = max(m.clock, env.Now)
	m.release()
	s := m.sessions[env.Session]
	if s == nil || env.Request == 0 {
		return m.run(env)
	}
	for _, a := range s.answers {
		if a.request == env.Request {
			return m.again(a.result), nil
		}
	}
	result, err := m.run(env)
	leases, empty := result.([]api.Lease)
	if err == nil && m.sessions[env.Session] == s && !(empty && len(leases) == 0) {
		s.n++
		s.answers = append(s.answers, mAnswer{env.Request, result})
		s.answers = s.answers[max(0, len(s.answers)-answersKept):]
	}
	return result, err
}

// again is an answer given before. Leases are answered as they are now.
func (m *model) again(result any) any {
	if c, ok := result.(api.Crawl); ok {
		return *m.crawls[c.ID]
	}
	if r, ok := result.(api.Renewal); ok {
		return m.regrouped(r)
	}
	leases, ok := result.([]api.Lease)
	if !ok {
		return result
	}
	now := []api.Lease{}
	for _, l := range leases {
		x := m.leases[l.ID]
		if x == nil {
			continue
		}
		l.Pace, l.Group, l.Items = x.pace, m.merged[x.host], nil
		for _, k := range x.keys {
			l.Items = append(l.Items, m.items[mKey{x.crawl, x.host, k}].Item)
		}
		now = append(now, l)
	}
	return now
}

// regrouped is a renewal with the groups of its leases as they are now.
func (m *model) regrouped(r api.Renewal) api.Renewal {
	r.Merged = nil
	for _, x := range r.Granted {
		if l := m.leases[x.Lease]; l != nil && m.merged[l.host] != "" {
			r.Merged = append(r.Merged, api.Member{Lease: x.Lease, Group: m.merged[l.host]})
		}
	}
	return r
}

func (m *model) run(env Envelope) (any, error) {
	switch c := env.Command.(type) {
	case *CreateCrawl:
		n := c.Crawl
		for _, x := range m.crawls {
			if x.Name == n.Name {
				return *x, nil
			}
		}
		n.Version = 1
		m.crawls[n.ID] = &n
		return n, nil
	case *SetCrawl:
		return nil, m.setCrawl(c.Crawl)
	case *AdoptCrawl:
		return nil, m.adopt(c.Crawl)
	case *SetRecord:
		return m.setRecord(c.Record)
	case *SetGroup:
		return nil, m.setGroup(c)
	case *SetShare:
		if m.groups[c.Name] == nil {
			return nil, errRefused
		}
		m.groups[c.Name].share = c.Share
	case *EndIdle:
		if s := m.sessions[c.Session]; s != nil && s.n == c.Answers && len(m.leasesOf(c.Session)) == 0 {
			m.end(c.Session)
		}
	case *Register:
		m.register(c)
	case *End:
		m.end(c.Session)
	case *Discover:
		return m.discover(&c.Discovery)
	case *Grant:
		return m.grant(c)
	case *Extend:
		return m.extend(c)
	case *Expire:
		if l := m.leases[c.Lease]; l != nil && l.renewal == c.Renewal {
			m.giveBack(c.Lease)
		}
	case *Settle:
		return m.settle(env.Session, &c.Settlement), nil
	case *SetBudget:
		m.setBudget(c)
	case *Reopen:
		return m.reopen(c), nil
	case *Exclude:
		return m.exclude(c), nil
	case *Rank:
		return m.rank(c), nil
	case *Close:
		over := m.crawls[c.Crawl].Deadline > 0 && m.clock >= m.crawls[c.Crawl].Deadline && m.leased(c.Crawl) == 0
		if m.open(c.Crawl) > 0 && !over {
			return nil, errRefused
		}
		m.crawls[c.Crawl].State = salvor.CrawlFinished
	}
	return nil, nil
}

var errRefused = salvor.Errorf(salvor.Conflict, "refused")

func (m *model) leased(c salvor.CrawlID) (n int) {
	return len(m.find(func(k mKey, it *mItem) bool { return k.crawl == c && it.State == api.StateLeased }))
}

func (m *model) open(c salvor.CrawlID) (n int) {
	return len(m.find(func(k mKey, it *mItem) bool { return k.crawl == c && it.State != api.StateSettled }))
}

func (m *model) release() {
	due := m.find(func(_ mKey, it *mItem) bool { return it.State == api.StateWaiting && it.Retry <= m.clock })
	slices.SortFunc(due, func(a, b mKey) int {
		return cmp.Or(cmp.Compare(m.items[a].Retry, m.items[b].Retry), m.compare(a, b))
	})
	for _, k := range due {
		m.enqueue(k, false)
	}
}

// compare is the order of keys: crawl, host number, item key.
func (m *model) compare(a, b mKey) int {
	return cmp.Or(cmp.Compare(a.crawl, b.crawl), cmp.Compare(m.hostNum(a.host), m.hostNum(b.host)), slices.Compare(a.key[:], b.key[:]))
}

func (m *model) enqueue(k mKey, front bool) {
	it := m.items[k]
	it.ungate()
	m.robotsFirst(k, it)
	m.seq++
	it.State, it.Retry, it.lease, it.place, it.front = api.StateQueued, 0, 0, m.seq, front
}

// robotsFirst offers an origin's robots.txt before the first of its items is
// queued, or finds that the item is the robots.txt.
func (m *model) robotsFirst(k mKey, it *mItem) {
	o := mOrigin{k.crawl, k.host, it.Origin}
	if m.origins[o] {
		return
	}
	m.origins[o] = true
	r := m.robotsOf(k.crawl, it)
	if r.key == k.key {
		it.Class, it.Band = salvor.ClassRobots, salvor.BandRobots
		return
	}
	m.offer(m.crawls[k.crawl], api.Offer{Item: salvor.Item{
		Key: r.key, Crawl: k.crawl, Host: k.host, Origin: it.Origin, URL: it.Origin + "/robots.txt", Via: it.URL,
		Class: salvor.ClassRobots, Hop: salvor.Hop{Links: it.Hop.Links, Path: it.Hop.Append('I')},
	}})
}

// robotsOf is the robots.txt of an item's origin.
func (m *model) robotsOf(c salvor.CrawlID, it *mItem) mKey {
	return mKey{c, it.Host, salvor.ItemKey(m.crawls[c].HashKey, "", it.Origin+"/robots.txt", nil)}
}

func (m *model) register(c *Register) {
	if m.sessions[c.Session] != nil {
		return
	}
	for id, s := range m.sessions {
		if s.worker == c.Worker {
			m.end(id)
		}
	}
	m.sessions[c.Session] = &mSession{worker: c.Worker}
}

func (m *model) end(id salvor.SessionID) {
	for _, l := range m.leasesOf(id) {
		m.giveBack(l)
	}
	delete(m.sessions, id)
}

func (m *model) leasesOf(id salvor.SessionID) (ids []salvor.LeaseID) {
	for l, x := range m.leases {
		if x.session == id {
			ids = append(ids, l)
		}
	}
	slices.Sort(ids)
	return ids
}

func (m *model) giveBack(id salvor.LeaseID) {
	l := m.leases[id]
	for _, k := range l.keys {
		m.enqueue(mKey{l.crawl, l.host, k}, true)
	}
	delete(m.leases, id)
}
