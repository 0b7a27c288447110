package frontier

import (
	"salvor"
	"salvor/api"
)

// statKey names one counter of a crawl: by media type, status or reason. All
// three count settled items by their outcome as it stands, so that their sums
// agree with the totals.
type statKey struct {
	kind    uint8
	outcome salvor.Outcome // reasons
	code    int            // codes
	text    string         // types, reasons
}

const (
	statType   = 't'
	statCode   = 'c'
	statReason = 'r'
)

// statsKept bounds the counters of a crawl: media types and reasons come from
// servers, which may invent as many as they like. What comes later is counted
// together as "other". A counter, once there, stays, so that an item is always
// taken off the counter it was put on.
const statsKept = 4096

func (k statKey) encode(dst []byte, id salvor.CrawlID) []byte {
	w := writer{b: append(key32(dst, tagStat, uint32(id)), k.kind)}
	switch k.kind {
	case statCode:
		w.int(int64(k.code))
	case statReason:
		w.byte(byte(k.outcome))
		w.raw([]byte(k.text))
	case statType:
		w.raw([]byte(k.text))
	}
	return w.b
}

func decodeStatKey(b string) (k statKey, ok bool) {
	r := reader{s: b}
	k.kind = r.byte()
	switch k.kind {
	case statCode:
		k.code = int(r.int())
	case statReason:
		k.outcome = salvor.Outcome(r.byte())
		k.text, r.s = r.s, ""
	case statType:
		k.text, r.s = r.s, ""
	}
	return k, r.end()
}

func decodeCount(s string) (c api.Count, ok bool) {
	r := reader{s: s}
	if r.byte() != recordVersion {
		r.fail()
	}
	c = api.Count{URLs: r.int(), Bytes: r.int()}
	return c, r.end()
}
