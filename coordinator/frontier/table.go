package frontier

import (
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
	dirty  bool
}

// host is a budget group: one host with all its schemes and ports, shared by
// all crawls.
type host struct {
	num     uint32
	name    string
	rate    salvor.Pace // adaptive
	ceiling salvor.Pace // the operator's for this host, if own
	own     bool
	blocked int64
	note    string
	dirty   bool

	// Of the leases; not stored, they are.
	booked    salvor.Pace // sum of finite paces
	paced     int         // leases with a pace
	unlimited int         // of these, leases whose pace has no limit
}

// session is one run of a worker.
type session struct {
	id     salvor.SessionID
	worker string
	struck []salvor.Key // items settled by others, for the next renewal
	leases []*lease     // by id
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

func (c *crawl) encode(w *writer) {
	w.byte(recordVersion)
	putCrawl(w, &c.Crawl)
	putTotals(w, &c.t)
}

func decodeCrawl(s string) (*crawl, bool) {
	c := &crawl{queues: map[uint32]*queue{}, stats: map[statKey]*api.Count{}}
	r := reader{s: s}
	if r.byte() != recordVersion {
		r.fail()
	}
	getCrawl(&r, &c.Crawl)
	getTotals(&r, &c.t)
	return c, r.end()
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

func (h *host) encode(w *writer) {
	w.byte(recordVersion)
	w.string(h.name)
	w.uint(uint64(h.rate))
	w.bool(h.own)
	w.uint(uint64(h.ceiling))
	w.int(h.blocked)
	w.string(h.note)
}

func decodeHost(num uint32, s string) (*host, bool) {
	r := reader{s: s}
	if r.byte() != recordVersion {
		r.fail()
	}
	h := &host{num: num}
	h.name = r.string()
	h.rate = salvor.Pace(r.uint())
	h.own = r.bool()
	h.ceiling = salvor.Pace(r.uint())
	h.blocked = r.int()
	h.note = r.string()
	return h, r.end()
}

// budget is the pace that a host's leases of a crawl may sum up to.
func (h *host) budget(c *crawl) salvor.Pace {
	ceiling := c.Ceiling
	if h.own {
		ceiling = h.ceiling
	}
	return min(h.rate, ceiling, salvor.Unlimited)
}

// book adds a lease's pace to the sum; unbook takes it off.
func (h *host) book(p salvor.Pace) {
	if p == 0 {
		return
	}
	h.paced++
	if p >= salvor.Unlimited {
		h.unlimited++
	} else {
		h.booked += p
	}
}

func (h *host) unbook(p salvor.Pace) {
	if p == 0 {
		return
	}
	h.paced--
	if p >= salvor.Unlimited {
		h.unlimited--
	} else {
		h.booked -= p
	}
}

// free is what of a budget is not booked. A lease without limit, granted while
// the budget had none, takes all of a budget that has one.
func (h *host) free(budget salvor.Pace) salvor.Pace {
	switch {
	case budget >= salvor.Unlimited:
		return salvor.Unlimited
	case h.unlimited > 0 || h.booked >= budget:
		return 0
	}
	return budget - h.booked
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
