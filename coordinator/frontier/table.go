package frontier

import (
	"sync/atomic"

	"salvor"
	"salvor/api"
)

// The small tables of the state, each held whole in memory and written when a
// batch changed it.

// crawl is one crawl and its counters.
type crawl struct {
	api.Crawl
	t      api.Totals
	queues map[uint32]*queue // by host
	stats  map[statKey]*api.Count
	ready  []*queue      // with queued items
	turn   atomic.Uint64 // where the next Ready begins
	dirty  bool
}

// host is a host and the budget group it is in: alone, or merged with others.
type host struct {
	num  uint32
	name string
	*group
	alone group // what it had before it was merged
	dirty bool
}

func newHost(num uint32, name string) *host {
	h := &host{num: num, name: name}
	h.group = &h.alone
	return h
}

// session is one run of a worker.
type session struct {
	id     salvor.SessionID
	worker string
	struck []salvor.Key // items settled by others, for the next renewal
	leases []*lease     // by id
	paced  int          // leases with a pace; not stored
	dirty  bool

	answers map[uint64]uint16 // slot by request
	ring    []remembered
	next    uint64 // answers remembered ever
}

type remembered struct {
	n       uint64
	request uint64
	data    string
}

// answersKept is how many answers a session's repeats can get. A worker has
// far fewer requests under way at a time.
const answersKept = 256

// lease is a lease and its items that have no outcome.
type lease struct {
	id      salvor.LeaseID
	s       *session
	q       *queue
	pace    salvor.Pace
	renewal uint64
	items   []salvor.Key
	dirty   bool
	gone    bool
}

// versionedCrawl is the version of the record of a crawl that has one.
const versionedCrawl = 2

// book counts a lease's pace; unbook takes it off.
func (l *lease) book() {
	l.q.h.book(l.pace)
	if l.pace > 0 {
		l.s.paced++
	}
}

func (l *lease) unbook() {
	l.q.h.unbook(l.pace)
	if l.pace > 0 {
		l.s.paced--
	}
}

func (c *crawl) encode(w *writer) {
	if c.Version == 0 {
		w.byte(recordVersion)
	} else {
		w.byte(versionedCrawl)
	}
	putCrawl(w, &c.Crawl)
	putTotals(w, &c.t)
	if c.Version != 0 {
		w.uint(c.Version)
	}
}

func decodeCrawl(s string) (*crawl, bool) {
	c := newCrawl(api.Crawl{})
	r := reader{s: s}
	version := r.byte()
	if version != recordVersion && version != versionedCrawl {
		r.fail()
	}
	getCrawl(&r, &c.Crawl)
	getTotals(&r, &c.t)
	if version == versionedCrawl {
		c.Version = r.uint()
	}
	return c, r.end()
}

func newCrawl(c api.Crawl) *crawl {
	return &crawl{Crawl: c, queues: map[uint32]*queue{}, stats: map[statKey]*api.Count{}}
}

func putTotals(w *writer, t *api.Totals) {
	for _, v := range []int64{t.Accepted, t.Queued, t.Waiting, t.Leased, t.Bytes, t.Captures, t.Late, t.Dups} {
		w.int(v)
	}
	for _, v := range t.Outcomes {
		w.int(v)
	}
}

func getTotals(r *reader, t *api.Totals) {
	for _, p := range []*int64{&t.Accepted, &t.Queued, &t.Waiting, &t.Leased, &t.Bytes, &t.Captures, &t.Late, &t.Dups} {
		*p = r.int()
	}
	for i := range t.Outcomes {
		t.Outcomes[i] = r.int()
	}
}

// mergedHost is the version of the record of a host that is merged with others.
const mergedHost = 2

func (h *host) encode(w *writer) {
	if h.group == &h.alone {
		w.byte(recordVersion)
	} else {
		w.byte(mergedHost)
	}
	w.string(h.name)
	h.alone.putBudget(w)
	if h.group != &h.alone {
		w.string(h.group.name)
	}
}

// decodeHost returns the name of the group the host is merged in too; "" none.
func decodeHost(num uint32, s string) (h *host, merged string, ok bool) {
	r := reader{s: s}
	version := r.byte()
	if version != recordVersion && version != mergedHost {
		r.fail()
	}
	h = newHost(num, r.string())
	h.alone.getBudget(&r)
	if version == mergedHost {
		merged = r.string()
	}
	return h, merged, r.end()
}

func (s *session) encode(w *writer) {
	w.byte(recordVersion)
	w.string(s.worker)
	w.uint(uint64(len(s.struck)))
	for _, k := range s.struck {
		w.raw(k[:])
	}
}

func decodeSession(id salvor.SessionID, v string) (*session, bool) {
	r := reader{s: v}
	if r.byte() != recordVersion {
		r.fail()
	}
	s := newSession(id, r.string())
	s.struck = getKeys(&r)
	return s, r.end()
}

func newSession(id salvor.SessionID, worker string) *session {
	return &session{id: id, worker: worker, answers: map[uint64]uint16{}}
}

func getKeys(r *reader) []salvor.Key {
	n := r.count(16)
	if n == 0 {
		return nil
	}
	keys := make([]salvor.Key, n)
	for i := range keys {
		keys[i] = r.key()
	}
	return keys
}

func (l *lease) encode(w *writer) {
	w.byte(recordVersion)
	w.uint(uint64(l.s.id))
	w.uint(uint64(l.q.c.ID))
	w.uint(uint64(l.q.h.num))
	w.uint(uint64(l.pace))
	w.uint(l.renewal)
	w.uint(uint64(len(l.items)))
	for _, k := range l.items {
		w.raw(k[:])
	}
}

// drop takes an item off a lease.
func (l *lease) drop(k salvor.Key) {
	for i := range l.items {
		if l.items[i] == k {
			l.items = append(l.items[:i], l.items[i+1:]...)
			return
		}
	}
}
