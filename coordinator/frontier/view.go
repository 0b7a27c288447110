package frontier

import (
	"cmp"
	"slices"

	"salvor"
	"salvor/api"
)

// The counterparts of api.View, except Walk.

func (m *Machine) view(id salvor.CrawlID) (*crawl, error) {
	if c := m.crawls[id]; c != nil {
		return c, nil
	}
	return nil, salvor.Errorf(salvor.NotFound, "no crawl %d", id)
}

// Crawl by id.
func (m *Machine) Crawl(id salvor.CrawlID) (api.Crawl, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c, err := m.view(id)
	if err != nil {
		return api.Crawl{}, err
	}
	return c.Crawl, nil
}

// Crawls lists all crawls by id.
func (m *Machine) Crawls() ([]api.Crawl, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	list := make([]api.Crawl, 0, len(m.crawls))
	for _, c := range m.crawls {
		list = append(list, c.Crawl)
	}
	slices.SortFunc(list, func(a, b api.Crawl) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

// Clock is the group clock, Unix ms.
func (m *Machine) Clock() int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.meta.clock
}

// Totals are a crawl's counters.
func (m *Machine) Totals(id salvor.CrawlID) (api.Totals, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c, err := m.view(id)
	if err != nil {
		return api.Totals{}, err
	}
	t := c.t
	t.Clock = m.meta.clock
	return t, nil
}

// Hosts lists at most limit hosts of a crawl by open items, most first;
// limit 0 is all, by name.
func (m *Machine) Hosts(id salvor.CrawlID, limit int) ([]api.Host, error) {
	if limit > 0 {
		return m.busiest(id, limit)
	}
	list, err := m.hostList(id)
	slices.SortFunc(list, func(a, b api.Host) int { return cmp.Compare(a.Name, b.Name) })
	return list, err
}

// busiest is asked for several times a second, of crawls with very many
// hosts: it copies only the hosts it returns.
func (m *Machine) busiest(id salvor.CrawlID, limit int) ([]api.Host, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c, err := m.view(id)
	if err != nil {
		return nil, err
	}
	// In order at any time; most hosts are behind the last of it.
	var top []*queue
	for _, q := range c.queues {
		if len(top) == limit {
			if busier(q, top[limit-1]) >= 0 {
				continue
			}
			top = top[:limit-1]
		}
		i, _ := slices.BinarySearchFunc(top, q, func(t, q *queue) int { return busier(t, q) })
		top = slices.Insert(top, i, q)
	}
	list := make([]api.Host, 0, len(top))
	for _, q := range top {
		list = append(list, q.view(m.meta.clock))
	}
	return list, nil
}

// busier puts the host with more open items first.
func busier(a, b *queue) int {
	if d := cmp.Compare(b.t.Open(), a.t.Open()); d != 0 {
		return d
	}
	return cmp.Compare(a.h.name, b.h.name)
}

func (m *Machine) hostList(id salvor.CrawlID) ([]api.Host, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c, err := m.view(id)
	if err != nil {
		return nil, err
	}
	list := make([]api.Host, 0, len(c.queues))
	for _, q := range c.queues {
		list = append(list, q.view(m.meta.clock))
	}
	return list, nil
}

// Host is one host of a crawl.
func (m *Machine) Host(id salvor.CrawlID, host string) (api.Host, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	q, err := m.viewQueue(id, host)
	if err != nil {
		return api.Host{}, err
	}
	return q.view(m.meta.clock), nil
}

func (m *Machine) viewQueue(id salvor.CrawlID, name string) (*queue, error) {
	c, err := m.view(id)
	if err != nil {
		return nil, err
	}
	if h := m.hosts[name]; h != nil && c.queues[h.num] != nil {
		return c.queues[h.num], nil
	}
	return nil, salvor.Errorf(salvor.NotFound, "crawl %d knows no host %s", id, name)
}

func (q *queue) view(clock int64) api.Host {
	h := api.Host{
		Name: q.h.name, Totals: q.t, Rate: q.h.rate, Ceiling: q.c.Ceiling,
		Booked: q.h.booked, Blocked: q.h.blocked, Note: q.h.note, Group: q.h.group.name,
	}
	if q.h.own {
		h.Ceiling = q.h.ceiling
	}
	h.Totals.Clock = clock
	h.Bands = q.bands()
	return h
}

// bands counts what is queued. Both lanes of a band are one to who looks.
func (q *queue) bands() (list []api.BandCount) {
	for i := range q.lanes {
		l := &q.lanes[i]
		switch n := len(list); {
		case l.count == 0:
		case n > 0 && list[n-1].Band == l.band:
			list[n-1].Queued += l.count
		default:
			list = append(list, api.BandCount{Band: l.band, Queued: l.count})
		}
	}
	return list
}

// Types counts settled items by media type.
func (m *Machine) Types(id salvor.CrawlID) (map[string]api.Count, error) {
	out := map[string]api.Count{}
	return out, m.counts(id, statType, func(k statKey, n api.Count) { out[k.text] = n })
}

// Codes counts settled items by status.
func (m *Machine) Codes(id salvor.CrawlID) (map[int]api.Count, error) {
	out := map[int]api.Count{}
	return out, m.counts(id, statCode, func(k statKey, n api.Count) { out[k.code] = n })
}

// Reasons counts settled items by outcome and reason.
func (m *Machine) Reasons(id salvor.CrawlID) (map[api.Reason]int64, error) {
	out := map[api.Reason]int64{}
	return out, m.counts(id, statReason, func(k statKey, n api.Count) {
		out[api.Reason{Outcome: k.outcome, Text: k.text}] = n.URLs
	})
}

func (m *Machine) counts(id salvor.CrawlID, kind uint8, f func(statKey, api.Count)) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c, err := m.view(id)
	if err != nil {
		return err
	}
	for k, n := range c.stats {
		if k.kind == kind && n.URLs > 0 { // below it: counted out by a later version only
			f(k, *n)
		}
	}
	return nil
}

// Lookup finds one item.
func (m *Machine) Lookup(id salvor.CrawlID, host string, k salvor.Key) (api.Known, error) {
	m.mu.RLock()
	q, err := m.viewQueue(id, host)
	m.mu.RUnlock()
	if err != nil {
		return api.Known{}, err
	}
	at := itemID{id, q.h.num, k}
	it, err := readItem(m.db, at)
	if err != nil {
		return api.Known{}, err
	}
	if it == nil {
		return api.Known{}, salvor.Errorf(salvor.NotFound, "crawl %d knows no item %s of %s", id, k, host)
	}
	return it.known(at, q.h.name), nil
}

// Segments lists the segment table by id.
func (m *Machine) Segments() ([]api.Segment, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	list := make([]api.Segment, 0, len(m.segments))
	for _, s := range m.segments {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b api.Segment) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}

// Robots is what is known of a host's origins.
func (m *Machine) Robots(id salvor.CrawlID, host string) ([]api.Robots, error) {
	m.mu.RLock()
	q, err := m.viewQueue(id, host)
	m.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	return readRobots(m.db, id, q.h.num)
}
