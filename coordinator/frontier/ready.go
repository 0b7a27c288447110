package frontier

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"salvor"
	"salvor/api"
)

// What the leader's loops ask: who can be granted, what can expire, when
// something comes due, what a new rule has to be held against.

// Search says what to look for: hosts of one crawl, 0 of any, at time Now, at
// most Limit, 0 all.
type Search struct {
	Crawl salvor.CrawlID
	Now   int64
	Limit int
}

// Ready lists hosts that a Grant may name, each call going on where the last one
// ended; and hosts that have work too, but of whose budget nothing is free.
func (m *Machine) Ready(s Search) (free, booked []ReadyHost) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, c := range m.searched(s.Crawl) {
		n := len(c.ready)
		first, seen := int(c.turn.Load()%uint64(n)), 0
		for ; seen < n && !s.full(free); seen++ {
			switch r, ok := c.ready[(first+seen)%n].grantable(s.Now); {
			case ok && r.Free > 0:
				free = append(free, r)
			case ok && !s.full(booked):
				booked = append(booked, r)
			}
		}
		c.turn.Store(uint64(first + seen))
	}
	return free, booked
}

// ReadyOf is Ready for the hosts that are given, in their order.
func (m *Machine) ReadyOf(s Search, hosts []HostOf) (free, booked []ReadyHost) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, k := range hosts {
		c, h := m.crawls[k.Crawl], m.hosts[k.Host]
		if s.full(free) {
			break
		}
		if c == nil || h == nil || c.State != salvor.CrawlRunning || s.Crawl != 0 && s.Crawl != k.Crawl {
			continue
		}
		q := c.queues[h.num]
		if q == nil || q.ready < 0 {
			continue
		}
		switch r, ok := q.grantable(s.Now); {
		case ok && r.Free > 0:
			free = append(free, r)
		case ok && !s.full(booked):
			booked = append(booked, r)
		}
	}
	return free, booked
}

func (s *Search) full(list []ReadyHost) bool { return s.Limit > 0 && len(list) >= s.Limit }

// searched are the crawls of a search that may have work, a different one first
// each time.
func (m *Machine) searched(only salvor.CrawlID) (list []*crawl) {
	for _, c := range m.crawls {
		if len(c.ready) > 0 && c.State == salvor.CrawlRunning && (only == 0 || only == c.ID) {
			list = append(list, c)
		}
	}
	if len(list) < 2 {
		return list
	}
	slices.SortFunc(list, func(a, b *crawl) int { return cmp.Compare(a.ID, b.ID) })
	n := int(m.turn.Add(1) % uint64(len(list)))
	return append(list[n:], list[:n]...)
}

// grantable is false for a host that has nothing to give, whatever its budget.
func (q *queue) grantable(now int64) (r ReadyHost, ok bool) {
	queued := q.queued()
	if q.h.blocked > now || queued == 0 {
		return r, false
	}
	budget := q.h.budget(q.c)
	return ReadyHost{
		Crawl: q.c.ID, Host: q.h.name, Queued: queued, Leases: q.h.paced,
		Purse: q.h.purse(), Budget: budget, Free: q.h.free(budget), Robots: q.robots > 0,
		Returned: q.returned(),
	}, true
}

// LeaseRoom is a lease and what its host has for it.
type LeaseRoom struct {
	Crawl  salvor.CrawlID
	Host   string
	Ready  bool        // a grant could name its host
	Pace   salvor.Pace // of the lease
	Purse  string      // as in ReadyHost
	Budget salvor.Pace
	Free   salvor.Pace
	Leases int
}

// Rooms tells f of each lease of a session among those held.
func (m *Machine) Rooms(now int64, s salvor.SessionID, held []api.Extension, f func(i int, r LeaseRoom)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for i, x := range held {
		if l := m.leases[x.Lease]; l != nil && l.s.id == s {
			budget := l.q.h.budget(l.q.c)
			f(i, LeaseRoom{
				Crawl: l.q.c.ID, Host: l.q.h.name, Purse: l.q.h.purse(), Ready: l.q.c.State == salvor.CrawlRunning && l.q.h.blocked <= now,
				Pace: l.pace, Budget: budget, Free: l.q.h.free(budget), Leases: l.q.h.paced,
			})
		}
	}
}

// Leases lists all leases by id.
func (m *Machine) Leases() []LeaseInfo {
	m.mu.RLock()
	defer m.mu.RUnlock()
	list := make([]LeaseInfo, 0, len(m.leases))
	for _, l := range m.leases {
		list = append(list, LeaseInfo{
			ID: l.id, Session: l.s.id, Crawl: l.q.c.ID, Host: l.q.h.name,
			Pace: l.pace, Renewal: l.renewal, Items: len(l.items),
		})
	}
	slices.SortFunc(list, func(a, b LeaseInfo) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return list
}

// Answered says whether a session's request has an answer to be repeated.
func (m *Machine) Answered(session salvor.SessionID, request uint64) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := m.sessions[session]
	if s == nil || request == 0 {
		return false
	}
	_, ok := s.answers[request]
	return ok
}

// NextDue is a time before which no waiting item comes due; false if none
// waits. A Tick with that time queues what is due, and moves it on.
func (m *Machine) NextDue() (int64, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.due, m.due != never
}

// OpenItems lists queued and waiting items of a crawl, after a position that
// an earlier call returned; next is nil at the end. Items that move meanwhile
// may be missed or met twice; those offered later are judged by newer rules.
func (m *Machine) OpenItems(crawl salvor.CrawlID, after []byte, limit int) (items []api.Known, next []byte, err error) {
	if limit <= 0 {
		limit = maxPiece
	}
	lanes, low := m.openLanes(crawl)
	snap := m.db.NewSnapshot()
	defer func() {
		if cerr := snap.Close(); err == nil {
			err = cerr
		}
	}()
	w := openWalk{m: m, snap: snap, crawl: crawl, limit: limit}
	for _, l := range lanes {
		if len(after) > 0 && (after[0] != tagQueued || string(l.prefix) < string(after[:min(len(after), len(l.prefix))])) {
			continue
		}
		from := l.from
		if string(after) >= string(from) {
			from = append(slices.Clip(after), 0)
		}
		if err := w.queued(l.prefix, from); err != nil || w.full() {
			return w.items, w.last, err
		}
	}
	from := key64(nil, tagWaiting, uint64(low))
	if len(after) > 0 && after[0] == tagWaiting && string(after) >= string(from) {
		from = append(slices.Clip(after), 0)
	}
	if err := w.waiting(from); err != nil || w.full() {
		return w.items, w.last, err
	}
	return w.items, nil, nil
}

type openLane struct{ prefix, from []byte }

// openLanes are the lanes of a crawl with items, in the order of their keys,
// and where each begins.
func (m *Machine) openLanes(id salvor.CrawlID) (lanes []openLane, low int64) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c := m.crawls[id]
	if c == nil {
		return nil, never
	}
	for _, q := range c.queues {
		for i := range q.lanes {
			if l := &q.lanes[i]; l.count > 0 {
				lanes = append(lanes, openLane{
					prefix: keyLane(nil, id, q.h.num, l.band, l.front),
					from:   keyQueued(nil, id, q.h.num, l.band, l.front, l.cursor),
				})
			}
		}
	}
	slices.SortFunc(lanes, func(a, b openLane) int { return slices.Compare(a.prefix, b.prefix) })
	return lanes, m.meta.low
}

type openWalk struct {
	m     *Machine
	snap  *pebble.Snapshot
	crawl salvor.CrawlID
	limit int
	items []api.Known
	last  []byte
}

func (w *openWalk) full() bool { return len(w.items) >= w.limit }

func (w *openWalk) queued(prefix, from []byte) error {
	return w.read(prefix, from, func(k, v []byte) (id itemID, ok bool) {
		id.crawl, id.host = w.crawl, binary.BigEndian.Uint32(k[5:])
		return id, copy(id.key[:], v) == len(id.key)
	})
}

func (w *openWalk) waiting(from []byte) error {
	return w.read([]byte{tagWaiting}, from, func(k, _ []byte) (itemID, bool) {
		_, id := parseWaiting(k)
		return id, id.crawl == w.crawl
	})
}

// read looks up the items that entries of a range name.
func (w *openWalk) read(prefix, from []byte, name func(k, v []byte) (itemID, bool)) error {
	var failed error
	err := scan(w.snap, prefix, from, func(k, v []byte) bool {
		w.last = append(w.last[:0], k...)
		id, ok := name(k, v)
		if !ok {
			return true
		}
		it, err := readItem(w.snap, id)
		if err != nil {
			failed = err
			return false
		}
		if it != nil {
			w.items = append(w.items, it.known(id, w.m.hostName(id.host)))
		}
		return !w.full()
	})
	if failed != nil {
		return failed
	}
	return err
}

func (m *Machine) hostName(num uint32) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if h := m.byNum[num]; h != nil {
		return h.name
	}
	return ""
}

// readItem is an item as it was committed; nil if it is not known.
func readItem(db pebble.Reader, id itemID) (*item, error) {
	v, closer, err := db.Get(keyItem(nil, id))
	if err == pebble.ErrNotFound {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	it, ok := decodeItem(string(v))
	if err := closer.Close(); err != nil {
		return nil, err
	}
	if !ok {
		return nil, salvor.Errorf(salvor.Internal, "read state: malformed item")
	}
	return it, nil
}

// Purses names the budgets that leases with a pace are booked on.
func (m *Machine) Purses() map[string]bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := map[string]bool{}
	for _, l := range m.leases {
		if l.pace > 0 {
			out[l.q.h.purse()] = true
		}
	}
	return out
}
