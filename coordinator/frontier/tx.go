package frontier

import (
	"github.com/cockroachdb/pebble/v2"

	"salvor"
)

// tx gathers what the entries of one batch change. Items are kept decoded until
// the commit and looked up there first; the small tables are changed in memory
// and marked. That makes a Pebble batch that can be read unnecessary, and an
// item or a counter that many entries touch is written once.
type tx struct {
	m *Machine
	writes
	index uint64 // of the entry under way
	level uint16 // its feature level; 0 before there were any
	err   error  // of storage; the batch is lost and the machine stops
	w     writer // scratch
	k     []byte // scratch

	items map[itemID]*item
	order []itemID // keys of items, in the order they were first changed

	crawls   []*crawl
	hosts    []*host
	groups   []*group
	queues   []*queue
	leases   []*lease
	sessions []*session
	stats    []dirtyStat
	pushed   []*queue
	waits    []waiting // put in this batch
	rules    []originRules
	shelved  map[string]bool   // capture keys put in this batch
	records  map[string]uint64 // versions put in this batch, by key
}

type dirtyStat struct {
	c *crawl
	k statKey
}

func (m *Machine) begin() *tx {
	return &tx{m: m, items: make(map[itemID]*item)}
}

// full reports whether the batch is large enough to be committed between two
// entries, which gives readers their turn.
func (t *tx) full() bool { return len(t.order) >= 4096 || len(t.data) >= 1<<20 }

// fail notes an error of storage. The entry under way cannot be undone in
// memory, so nothing of the batch may be committed.
func (t *tx) fail(err error) {
	if t.err == nil && err != nil {
		t.err = err
	}
}

func (t *tx) corrupt(what string) {
	t.fail(salvor.Errorf(salvor.Internal, "read state: malformed %s", what).
		WithHint("The state directory is damaged. Restore it from a snapshot."))
}

// head is what a Discover asks of an item.
func (t *tx) head(id itemID) (h head, ok bool) {
	if it, ok := t.items[id]; ok {
		return it.head, true
	}
	if c := t.m.heads.at(id); c.id == id {
		return c.head(), true
	}
	t.k = keyItem(t.k[:0], id)
	v, closer, err := t.m.db.Get(t.k)
	if err == pebble.ErrNotFound {
		return h, false
	} else if err != nil {
		t.fail(err)
		return h, false
	}
	r := reader{s: view(v)}
	decodeHead(&r, &h)
	if r.bad {
		t.corrupt("item")
	}
	t.fail(closer.Close())
	t.m.heads.put(id, &h)
	return h, !r.bad
}

// item is an item to be changed: the caller marks it with put.
func (t *tx) item(id itemID) *item {
	if it, ok := t.items[id]; ok {
		return it
	}
	if it, ok := t.m.out[id]; ok {
		return it
	}
	t.k = keyItem(t.k[:0], id)
	v, closer, err := t.m.db.Get(t.k)
	if err == pebble.ErrNotFound {
		return nil
	} else if err != nil {
		t.fail(err)
		return nil
	}
	it, ok := decodeItem(string(v))
	t.fail(closer.Close())
	if !ok {
		t.corrupt("item")
		return nil
	}
	return it
}

func (t *tx) put(id itemID, it *item) {
	if _, ok := t.items[id]; !ok {
		t.items[id] = it
		t.order = append(t.order, id)
	}
}

func (t *tx) touch(q *queue) {
	if !q.dirty {
		q.dirty = true
		t.queues = append(t.queues, q)
	}
	t.touchCrawl(q.c)
}

func (t *tx) touchCrawl(c *crawl) {
	if !c.dirty {
		c.dirty = true
		t.crawls = append(t.crawls, c)
	}
}

func (t *tx) touchHost(h *host) {
	if !h.dirty {
		h.dirty = true
		t.hosts = append(t.hosts, h)
	}
}

func (t *tx) touchLease(l *lease) {
	if !l.dirty {
		l.dirty = true
		t.leases = append(t.leases, l)
	}
}

func (t *tx) touchSession(s *session) {
	if !s.dirty {
		s.dirty = true
		t.sessions = append(t.sessions, s)
	}
}

// commit writes everything that was marked, with the applied index.
func (t *tx) commit(b *pebble.Batch) error {
	t.writeItems()
	t.writeTables()
	t.m.meta.applied = t.index
	t.w.b = t.w.b[:0]
	t.m.meta.encode(&t.w)
	t.set([]byte{tagMeta}, t.w.b)
	t.fail(t.flush(b))
	if t.err == nil {
		t.err = b.Commit(pebble.NoSync)
	}
	for _, q := range t.pushed {
		for i := range q.lanes {
			q.lanes[i].flushed()
		}
	}
	return t.err
}

func (t *tx) writeItems() {
	for _, id := range t.order {
		t.w.b = t.w.b[:0]
		it := t.items[id]
		it.encode(&t.w)
		t.m.heads.put(id, &it.head)
		t.k = keyItem(t.k[:0], id)
		t.set(t.k, t.w.b)
	}
}

func (t *tx) writeTables() {
	for _, c := range t.crawls {
		c.dirty = false
		t.write(key32(t.k[:0], tagCrawl, uint32(c.ID)), c)
	}
	for _, h := range t.hosts {
		h.dirty = false
		t.write(key32(t.k[:0], tagHost, h.num), h)
	}
	for _, g := range t.groups {
		g.dirty = false
		if key := keyGroup(t.k[:0], g.name); t.m.groups[g.name] != g {
			t.delete(key)
		} else {
			t.write(key, g)
		}
	}
	for _, q := range t.queues {
		q.dirty = false
		t.write(keyQueue(t.k[:0], tagQueue, q.c.ID, q.h.num), q)
	}
	for _, l := range t.leases {
		l.dirty = false
		if key := key64(t.k[:0], tagLease, uint64(l.id)); l.gone {
			t.delete(key)
		} else {
			t.write(key, l)
		}
	}
	for _, s := range t.sessions {
		s.dirty = false
		if key := key64(t.k[:0], tagSession, uint64(s.id)); t.m.sessions[s.id] != s {
			t.delete(key)
		} else {
			t.write(key, s)
		}
	}
	t.writeStats()
}

func (t *tx) write(key []byte, v interface{ encode(*writer) }) {
	t.w.b = t.w.b[:0]
	v.encode(&t.w)
	t.set(key, t.w.b)
	t.k = key
}

func (t *tx) writeStats() {
	done := make(map[dirtyStat]bool, len(t.stats))
	for _, d := range t.stats {
		if done[d] {
			continue
		}
		done[d] = true
		n := d.c.stats[d.k]
		t.w.b = t.w.b[:0]
		t.w.byte(recordVersion)
		t.w.int(n.URLs)
		t.w.int(n.Bytes)
		t.set(d.k.encode(nil, d.c.ID), t.w.b)
	}
}

func has(db pebble.Reader, key []byte) (bool, error) {
	_, closer, err := db.Get(key)
	if err == pebble.ErrNotFound {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, closer.Close()
}
