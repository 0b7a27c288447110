package frontier

import (
	"strings"

	"salvor"
	"salvor/api"
)

func (c *Discover) encode(w *writer) {
	d := &c.Discovery
	w.uint(uint64(d.Crawl))
	w.uint(uint64(d.Scope))
	w.uint(uint64(len(d.Items)))
	var col offerColumns
	for i := range d.Items {
		putOffer(w, &d.Items[i], &col)
	}
}

func (c *Discover) decode(r *reader) {
	d := &c.Discovery
	d.Crawl = salvor.CrawlID(r.small(1<<32 - 1))
	d.Scope = uint32(r.small(1<<32 - 1))
	d.Items = make([]api.Offer, r.count(minOffer))
	var col offerColumns
	for i := range d.Items {
		getOffer(r, &d.Items[i], &col)
		d.Items[i].Crawl = d.Crawl
	}
}

// The fewest bytes an element takes. A count that promises more elements than
// the rest of the entry can hold is malformed, and allocates nothing.
const (
	minOffer  = 32
	minEntry  = 48
	minRobots = 4
)

// offerColumns hold the last value of columns that repeat from one offer of
// a page to the next.
type offerColumns struct{ host, origin, via, path, rule string }

func putOffer(w *writer, o *api.Offer, col *offerColumns) {
	w.raw(o.Key[:])
	w.same(o.Host, &col.host)
	w.same(o.Origin, &col.origin)
	w.string(o.Method)
	putURL(w, o.URL, o.Origin)
	w.bytes(o.Body)
	w.byte(byte(o.Class))
	w.byte(byte(o.Band))
	w.uint(uint64(o.Hop.Links))
	w.byte(o.Hop.Embeds)
	w.byte(o.Hop.Extra)
	w.same(o.Hop.Path, &col.path)
	w.same(o.Via, &col.via)
	w.uint(uint64(o.Round))
	w.uint(uint64(o.Attempts))
	w.int(o.Expiry)
	w.same(o.Excluded, &col.rule)
}

func getOffer(r *reader, o *api.Offer, col *offerColumns) {
	o.Key = r.key()
	o.Host = r.same(&col.host)
	o.Origin = r.same(&col.origin)
	o.Method = r.string()
	o.URL = getURL(r, o.Origin)
	o.Body = r.bytes()
	o.Class = salvor.Class(r.byte())
	o.Band = salvor.Band(r.byte())
	o.Hop.Links = uint16(r.small(1<<16 - 1))
	o.Hop.Embeds = r.byte()
	o.Hop.Extra = r.byte()
	o.Hop.Path = r.same(&col.path)
	o.Via = r.same(&col.via)
	o.Round = uint32(r.small(1<<32 - 1))
	o.Attempts = uint16(r.small(1<<16 - 1))
	o.Expiry = r.int()
	o.Excluded = r.same(&col.rule)
}

// putURL leaves the origin out of a URL that begins with it.
func putURL(w *writer, url, origin string) {
	rest, ok := strings.CutPrefix(url, origin)
	w.bool(ok)
	w.string(rest)
}

func getURL(r *reader, origin string) string {
	if r.bool() && origin != "" {
		return origin + r.string()
	}
	return r.string()
}

func (c *Settle) encode(w *writer) {
	s := &c.Settlement
	w.uint(uint64(s.Crawl))
	w.uint(uint64(len(s.Entries)))
	var col entryColumns
	for i := range s.Entries {
		putEntry(w, &s.Entries[i], &col)
	}
	w.uint(uint64(len(s.Robots)))
	for i := range s.Robots {
		putRobots(w, &s.Robots[i])
	}
}

func (c *Settle) decode(r *reader) {
	s := &c.Settlement
	s.Crawl = salvor.CrawlID(r.small(1<<32 - 1))
	s.Entries = make([]api.Entry, r.count(minEntry))
	var col entryColumns
	for i := range s.Entries {
		getEntry(r, &s.Entries[i], &col)
	}
	for range r.count(minRobots) {
		var x api.Robots
		getRobots(r, &x)
		s.Robots = append(s.Robots, x)
	}
}

type entryColumns struct{ host, reason, typ string }

func putEntry(w *writer, e *api.Entry, col *entryColumns) {
	w.raw(e.Key[:])
	w.same(e.Host, &col.host)
	w.uint(uint64(e.Lease))
	w.uint(uint64(e.Round))
	w.byte(byte(e.Verb))
	w.byte(byte(e.Outcome))
	w.same(e.Reason, &col.reason)
	w.int(int64(e.Status))
	putPlace(w, e.Place)
	w.raw(e.Digest[:])
	w.int(e.Bytes)
	w.same(e.Type, &col.typ)
	w.int(e.At)
	w.int(e.Retry)
}

func getEntry(r *reader, e *api.Entry, col *entryColumns) {
	e.Key = r.key()
	e.Host = r.same(&col.host)
	e.Lease = salvor.LeaseID(r.uint())
	e.Round = uint32(r.small(1<<32 - 1))
	e.Verb = api.Verb(r.byte())
	e.Outcome = salvor.Outcome(r.byte())
	e.Reason = r.same(&col.reason)
	e.Status = int(r.int())
	e.Place = getPlace(r)
	r.fill(e.Digest[:])
	e.Bytes = r.int()
	e.Type = r.same(&col.typ)
	e.At = r.int()
	e.Retry = r.int()
}

func putPlace(w *writer, p salvor.Place) {
	w.uint(uint64(p.Segment))
	w.int(p.Offset)
	w.int(p.Length)
}

func getPlace(r *reader) salvor.Place {
	return salvor.Place{
		Segment: salvor.SegmentID(r.small(1<<32 - 1)),
		Offset:  r.int(),
		Length:  r.int(),
	}
}

func putRobots(w *writer, x *api.Robots) {
	w.string(x.Origin)
	w.bytes(x.Rules)
	w.byte(byte(x.Status))
	w.int(x.Fetched)
}

func getRobots(r *reader, x *api.Robots) {
	x.Origin = r.string()
	x.Rules = r.bytes()
	x.Status = api.RobotsStatus(r.byte())
	x.Fetched = r.int()
}
