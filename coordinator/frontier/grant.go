package frontier

import (
	"slices"
	"sort"

	"github.com/cockroachdb/pebble/v2"

	"salvor"
	"salvor/api"
)

// grant leases items of the named hosts to a session. A host that has nothing
// to give now is left out: the proposer worked from an older state.
func (t *tx) grant(c *Grant) ([]api.Lease, error) {
	s, err := t.session(c.Session)
	if err != nil {
		return nil, err
	}
	leases := make([]api.Lease, 0, len(c.Hosts))
	for i := range c.Hosts {
		id := salvor.LeaseID(t.index<<16 | uint64(len(leases)))
		if l, ok := t.grantHost(s, id, &c.Hosts[i]); ok {
			leases = append(leases, l)
		}
	}
	return leases, nil
}

func (t *tx) session(id salvor.SessionID) (*session, error) {
	s := t.m.sessions[id]
	if s == nil {
		return nil, salvor.Errorf(salvor.NotFound, "session %d has ended", id).WithHint("Register again.")
	}
	return s, nil
}

func (t *tx) grantHost(s *session, id salvor.LeaseID, g *GrantHost) (api.Lease, bool) {
	c := t.m.crawls[g.Crawl]
	if c == nil || c.State != salvor.CrawlRunning || g.Items <= 0 {
		return api.Lease{}, false
	}
	q := t.queue(c, g.Host)
	if q == nil || q.h.blocked > t.m.meta.clock || q.queued() == 0 {
		return api.Lease{}, false
	}
	pace := min(g.Pace, salvor.Unlimited, q.h.free(q.h.budget(c)))
	if pace == 0 && (g.Pace > 0 || !s.paces(q)) {
		return api.Lease{}, false
	}
	l := &lease{id: id, s: s, q: q, pace: pace, renewal: t.index}
	out := l.answer()
	t.pop(q, min(g.Items, maxLeaseItems), func(k itemID, it *item) {
		t.enterLease(q, k, it, id)
		l.items = append(l.items, k.key)
		out.Items = append(out.Items, it.request(k, q.h.name))
	})
	if len(l.items) == 0 {
		return api.Lease{}, false
	}
	t.addLease(l)
	t.touchLease(l)
	out.Robots = t.robots(q)
	return out, true
}

// paces says whether a session has a pace for a queue.
func (s *session) paces(q *queue) bool {
	return slices.ContainsFunc(s.leases, func(l *lease) bool { return l.q == q && l.pace > 0 })
}

// maxLeaseItems bounds a lease, whatever was asked for.
const maxLeaseItems = 1000

func (l *lease) answer() api.Lease {
	return api.Lease{ID: l.id, Crawl: l.q.c.ID, Host: l.q.h.name, Group: l.q.h.group.name, Pace: l.pace, TTL: salvor.LeaseTTL}
}

// leaseOf is a lease as the state has it now.
func (t *tx) leaseOf(l *lease) api.Lease {
	out := l.answer()
	for _, k := range l.items {
		id := itemID{l.q.c.ID, l.q.h.num, k}
		if it := t.item(id); it != nil {
			out.Items = append(out.Items, it.request(id, l.q.h.name))
		}
	}
	out.Robots = t.robots(l.q)
	return out
}

func (t *tx) addLease(l *lease) {
	t.m.addLease(l)
	l.book()
}

func (m *Machine) addLease(l *lease) {
	m.leases[l.id] = l
	i := sort.Search(len(l.s.leases), func(i int) bool { return l.s.leases[i].id > l.id })
	l.s.leases = append(l.s.leases, nil)
	copy(l.s.leases[i+1:], l.s.leases[i:])
	l.s.leases[i] = l
}

// robots is what is known of the origins of a host. Most leases are of few
// hosts, so the texts of the latest stay at hand.
func (t *tx) robots(q *queue) []api.Robots {
	if q.origins == 0 {
		return nil
	}
	if list, ok := t.m.texts[q]; ok {
		return list
	}
	list, err := readRobots(t.m.db, q.c.ID, q.h.num)
	if err != nil {
		t.fail(err)
		return nil
	}
	for _, x := range t.rules {
		if x.q == q {
			list = putOrigin(list, x.Robots)
		}
	}
	if len(t.m.texts) >= textsKept {
		clear(t.m.texts)
	}
	t.m.texts[q] = list
	return list
}

// textsKept is for how many hosts the robots rules stay in memory; at 16 KB an
// origin they could be many megabytes, mostly they are a few hundred bytes.
const textsKept = 512

// originRules are robots rules put in this batch.
type originRules struct {
	q *queue
	api.Robots
}

// putOrigin replaces or adds an origin's rules in a list ordered by origin,
// and leaves the given list as it was: leases may share it.
func putOrigin(list []api.Robots, x api.Robots) []api.Robots {
	i := sort.Search(len(list), func(i int) bool { return list[i].Origin >= x.Origin })
	out := append(make([]api.Robots, 0, len(list)+1), list[:i]...)
	out = append(out, x)
	if i < len(list) && list[i].Origin == x.Origin {
		i++
	}
	return append(out, list[i:]...)
}

func readRobots(db pebble.Reader, crawl salvor.CrawlID, host uint32) (list []api.Robots, err error) {
	prefix := keyQueue(nil, tagRobots, crawl, host)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		r := reader{s: string(it.Value())}
		if r.byte() != recordVersion {
			r.fail()
		}
		var x api.Robots
		getRobots(&r, &x)
		if !r.end() {
			err = salvor.Errorf(salvor.Internal, "read state: malformed robots rules")
			break
		}
		list = append(list, x)
	}
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	return list, err
}
