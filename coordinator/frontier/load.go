package frontier

import (
	"encoding/binary"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"salvor"
	"salvor/api"
)

// load rebuilds the small tables. It reads no items, queues or waiting lists,
// however many there are.
func (m *Machine) load() error {
	if err := m.loadMeta(); err != nil {
		return err
	}
	tables := []struct {
		tag  byte
		what string
		row  func(k []byte, v string) bool
	}{
		{tagGroup, "budget group", m.loadGroup},
		{tagHost, "host", m.loadHost},
		{tagCrawl, "crawl", m.loadCrawl},
		{tagStat, "counter", m.loadStat},
		{tagQueue, "queue", m.loadQueue},
		{tagOrigin, "origin", m.loadOrigin},
		{tagSession, "session", m.loadSession},
		{tagAnswer, "answer", m.loadAnswer},
		{tagLease, "lease", m.loadLease},
		{tagSegment, "segment", m.loadSegment},
	}
	for _, t := range tables {
		ok := true
		err := scan(m.db, []byte{t.tag}, nil, func(k, v []byte) bool {
			ok = t.row(k, string(v))
			return ok
		})
		if err != nil {
			return err
		}
		if !ok {
			return salvor.Errorf(salvor.Internal, "read state: malformed %s", t.what).
				WithHint("The state directory is damaged. Restore it from a snapshot.")
		}
	}
	return m.loadDue()
}

// scan calls f for every key with a prefix, from a key on if one is given,
// until f is false.
func scan(db pebble.Reader, prefix, from []byte, f func(k, v []byte) bool) error {
	if from == nil {
		from = prefix
	}
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && f(it.Key(), it.Value()); ok = it.Next() {
	}
	return it.Close()
}

func (m *Machine) loadMeta() error {
	v, closer, err := m.db.Get([]byte{tagMeta})
	if err == pebble.ErrNotFound {
		return nil
	} else if err != nil {
		return err
	}
	if len(v) > 0 && v[0] > leveledMeta {
		err = salvor.Errorf(salvor.TooNew, "read state: record version %d, this program knows %d", v[0], leveledMeta).WithHint(newerHint)
	} else if !m.meta.decode(string(v)) {
		err = salvor.Errorf(salvor.Internal, "read state: malformed index")
	} else if m.meta.level > m.level {
		err = salvor.Errorf(salvor.TooNew, "read state: it is of feature level %d, this node runs at %d", m.meta.level, m.level).WithHint(newerHint)
	}
	if cerr := closer.Close(); err == nil {
		err = cerr
	}
	return err
}

func (m *Machine) loadHost(k []byte, v string) bool {
	h, merged, ok := decodeHost(binary.BigEndian.Uint32(k[1:]), v)
	m.hosts[h.name], m.byNum[h.num] = h, h
	if merged != "" {
		g := m.groups[merged]
		if g == nil {
			return false
		}
		h.join(g)
	}
	return ok
}

func (m *Machine) loadGroup(k []byte, v string) bool {
	g, ok := decodeGroup(string(k[1:]), v)
	m.groups[g.name] = g
	return ok
}

func (m *Machine) loadCrawl(k []byte, v string) bool {
	c, ok := decodeCrawl(v)
	m.crawls[c.ID] = c
	return ok && uint32(c.ID) == binary.BigEndian.Uint32(k[1:])
}

func (m *Machine) loadStat(k []byte, v string) bool {
	c := m.crawls[salvor.CrawlID(binary.BigEndian.Uint32(k[1:]))]
	key, ok := decodeStatKey(string(k[5:]))
	n, ok2 := decodeCount(v)
	if c == nil || !ok || !ok2 {
		return false
	}
	c.stats[key] = &n
	return true
}

func (m *Machine) loadQueue(k []byte, v string) bool {
	c := m.crawls[salvor.CrawlID(binary.BigEndian.Uint32(k[1:]))]
	h := m.byNum[binary.BigEndian.Uint32(k[5:])]
	if c == nil || h == nil {
		return false
	}
	q, ok := decodeQueue(c, h, v)
	c.queues[h.num] = q
	m.setReady(q)
	return ok
}

func (m *Machine) loadOrigin(k []byte, v string) bool {
	c := m.crawls[salvor.CrawlID(binary.BigEndian.Uint32(k[1:]))]
	if c == nil || len(v) != 1 || v[0] != recordVersion {
		return false
	}
	q := c.queues[binary.BigEndian.Uint32(k[5:])]
	m.origins[originKey{q, string(k[9:])}] = struct{}{}
	return q != nil
}

func (m *Machine) loadSession(k []byte, v string) bool {
	s, ok := decodeSession(salvor.SessionID(binary.BigEndian.Uint64(k[1:])), v)
	m.sessions[s.id] = s
	return ok
}

func (m *Machine) loadAnswer(k []byte, v string) bool {
	s := m.sessions[salvor.SessionID(binary.BigEndian.Uint64(k[1:]))]
	slot := binary.BigEndian.Uint16(k[9:])
	a, ok := decodeRemembered(v)
	if s == nil || !ok || slot >= answersKept {
		return false
	}
	s.keep(slot, a)
	return true
}

func (m *Machine) loadLease(k []byte, v string) bool {
	r := reader{s: v}
	if r.byte() != recordVersion {
		r.fail()
	}
	l := &lease{id: salvor.LeaseID(binary.BigEndian.Uint64(k[1:]))}
	l.s = m.sessions[salvor.SessionID(r.uint())]
	c := m.crawls[salvor.CrawlID(r.uint())]
	num := uint32(r.uint())
	l.pace = salvor.Pace(r.uint())
	l.renewal = r.uint()
	l.items = getKeys(&r)
	if !r.end() || l.s == nil || c == nil || c.queues[num] == nil {
		return false
	}
	l.q = c.queues[num]
	m.addLease(l)
	l.book()
	return true
}

func (m *Machine) loadSegment(k []byte, v string) bool {
	r := reader{s: v}
	if r.byte() != recordVersion {
		r.fail()
	}
	s := new(api.Segment)
	getSegment(&r, s)
	s.Name, s.Object = strings.Clone(s.Name), strings.Clone(s.Object)
	m.segments[s.ID], m.segmentOf[s.Name] = s, s.ID
	return r.end()
}

// loadDue finds the earliest waiting item.
func (m *Machine) loadDue() error {
	return scan(m.db, []byte{tagWaiting}, key64(nil, tagWaiting, uint64(m.meta.low)), func(k, _ []byte) bool {
		m.due, _ = parseWaiting(k)
		return false
	})
}
