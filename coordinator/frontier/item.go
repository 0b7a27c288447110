package frontier

import (
	"salvor"
	"salvor/api"
)

const recordVersion = 1

// item is an item as the state holds it: a head that every Discover looks at,
// the request while it may still be made, and the last answer.
type item struct {
	head
	method, origin, url, path, via string
	body                           []byte
	ans                            answer
}

// head is the fixed part of an item's record.
type head struct {
	state         api.ItemState
	outcome       salvor.Outcome
	class         salvor.Class
	band          salvor.Band
	links         uint16
	embeds, extra uint8
	scope         uint32 // version of the scope that judged it last
	round         uint32
	attempts      uint16
	expiry        int64

	front uint8          // queued: its lane
	seq   uint64         // queued: its place in the lane
	due   int64          // waiting: until when
	lease salvor.LeaseID // leased: by which lease
}

// answer is what is known of the last attempt.
type answer struct {
	reason string
	status int
	place  salvor.Place
	digest salvor.SHA1
	bytes  int64
	typ    string
	at     int64
}

func (h *head) hop() salvor.Hop {
	return salvor.Hop{Links: h.links, Embeds: h.embeds, Extra: h.extra}
}

// answered is a robots.txt that was captured and gates no more, while its bytes
// are on their way to be durable.
func (h *head) answered() bool {
	return h.state == api.StateLeased && h.class == salvor.ClassRobots && h.band != salvor.BandRobots
}

func (h *head) open() bool { return h.state != api.StateSettled }

// Parts that follow the head, as flags.
const (
	hasState   = 0x03
	hasRequest = 1 << 2
	hasAnswer  = 1 << 3
	hasBody    = 1 << 4
	hasExpiry  = 1 << 5
	hasTries   = 1 << 6
	hasCapture = 1 << 7
)

func (it *item) flags() byte {
	f := byte(it.state)
	set := func(on bool, bit byte) {
		if on {
			f |= bit
		}
	}
	set(it.url != "", hasRequest)
	set(it.ans != answer{}, hasAnswer)
	set(it.method != "" || len(it.body) > 0, hasBody)
	set(it.expiry != 0, hasExpiry)
	set(it.attempts != 0, hasTries)
	set(it.ans.place != salvor.Place{} || it.ans.digest != salvor.SHA1{} || it.ans.typ != "" || it.ans.bytes != 0, hasCapture)
	return f
}

func (it *item) encode(w *writer) {
	f := it.flags()
	w.byte(recordVersion)
	w.byte(f)
	w.byte(byte(it.outcome))
	w.byte(byte(it.class))
	w.byte(byte(it.band))
	w.uint(uint64(it.links))
	w.byte(it.embeds)
	w.byte(it.extra)
	w.uint(uint64(it.scope))
	w.uint(uint64(it.round))
	if f&hasTries != 0 {
		w.uint(uint64(it.attempts))
	}
	if f&hasExpiry != 0 {
		w.int(it.expiry)
	}
	switch it.state {
	case api.StateQueued:
		w.byte(it.front)
		w.uint(it.seq)
	case api.StateWaiting:
		w.int(it.due)
	case api.StateLeased:
		w.uint(uint64(it.lease))
	}
	if f&hasAnswer != 0 {
		it.ans.encode(w, f)
	}
	if f&hasRequest != 0 {
		it.encodeRequest(w, f)
	}
}

func (a *answer) encode(w *writer, f byte) {
	w.string(a.reason)
	w.int(int64(a.status))
	w.int(a.at)
	if f&hasCapture != 0 {
		putPlace(w, a.place)
		w.raw(a.digest[:])
		w.int(a.bytes)
		w.string(a.typ)
	}
}

// encodeRequest leaves out what URL, origin and via have in common: pages
// mostly link to their own site.
func (it *item) encodeRequest(w *writer, f byte) {
	w.string(it.origin)
	putURL(w, it.url, it.origin)
	w.string(it.path)
	n := shared(it.via, it.url)
	w.uint(uint64(n))
	w.string(it.via[n:])
	if f&hasBody != 0 {
		w.string(it.method)
		w.bytes(it.body)
	}
}

func shared(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// decodeHead reads the head and leaves r behind it; it allocates nothing.
func decodeHead(r *reader, h *head) (flags byte) {
	if r.byte() != recordVersion {
		r.fail()
		return 0
	}
	f := r.byte()
	h.state = api.ItemState(f & hasState)
	h.outcome = salvor.Outcome(r.byte())
	h.class = salvor.Class(r.byte())
	h.band = salvor.Band(r.byte())
	h.links = uint16(r.small(1<<16 - 1))
	h.embeds = r.byte()
	h.extra = r.byte()
	h.scope = uint32(r.small(1<<32 - 1))
	h.round = uint32(r.small(1<<32 - 1))
	if f&hasTries != 0 {
		h.attempts = uint16(r.small(1<<16 - 1))
	}
	if f&hasExpiry != 0 {
		h.expiry = r.int()
	}
	switch h.state {
	case api.StateQueued:
		h.front = r.byte()
		h.seq = r.uint()
	case api.StateWaiting:
		h.due = r.int()
	case api.StateLeased:
		h.lease = salvor.LeaseID(r.uint())
	}
	return f
}

// decodeItem reads a record; its strings share the memory of s.
func decodeItem(s string) (*item, bool) {
	it := new(item)
	r := reader{s: s}
	f := decodeHead(&r, &it.head)
	if f&hasAnswer != 0 {
		it.ans.decode(&r, f)
	}
	if f&hasRequest != 0 {
		it.decodeRequest(&r, f)
	}
	return it, r.end() && f == it.flags()
}

func (a *answer) decode(r *reader, f byte) {
	a.reason = r.string()
	a.status = int(r.int())
	a.at = r.int()
	if f&hasCapture != 0 {
		a.place = getPlace(r)
		r.fill(a.digest[:])
		a.bytes = r.int()
		a.typ = r.string()
	}
}

func (it *item) decodeRequest(r *reader, f byte) {
	it.origin = r.string()
	it.url = getURL(r, it.origin)
	it.path = r.string()
	n := int(r.small(uint64(len(it.url))))
	rest := r.string()
	if n == 0 {
		it.via = rest
	} else {
		it.via = it.url[:n] + rest
	}
	if f&hasBody != 0 {
		it.method = r.string()
		it.body = r.bytes()
	}
}

// request is the item as a worker gets it.
func (it *item) request(id itemID, host string) salvor.Item {
	h := it.hop()
	h.Path = it.path
	return salvor.Item{
		Key: id.key, Crawl: id.crawl, Host: host, Origin: it.origin,
		Method: it.method, URL: it.url, Body: it.body,
		Class: it.class, Band: it.band, Hop: h, Via: it.via,
		Round: it.round, Attempts: it.attempts, Expiry: it.expiry,
	}
}

// known is the item as a reader of the state gets it.
func (it *item) known(id itemID, host string) api.Known {
	return api.Known{
		Item: it.request(id, host), State: it.state, Outcome: it.outcome,
		Reason: it.ans.reason, Status: it.ans.status, Place: it.ans.place,
		Digest: it.ans.digest, At: it.ans.at, Retry: it.due,
	}
}

// forget drops what the CDXJ has of a saved item.
func (it *item) forget() {
	it.method, it.origin, it.url, it.path, it.via, it.body = "", "", "", "", "", nil
}
