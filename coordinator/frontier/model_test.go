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
