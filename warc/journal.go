package warc

import (
	"encoding/binary"
	"hash/crc32"

	"salvor"
)

// The journal of a segment: a magic, then entries framed as
//
//	length of body, 4 bytes little-endian
//	CRC-32C of body, 4 bytes little-endian
//	body: kind, then fields as unsigned varints and length-prefixed bytes
//
// An entry is whole or not there: a reader stops at the first one that is cut,
// too long, or fails its checksum. docs/formats/segments.md has the fields.
const (
	journalMagic = "SLVRJNL\x01" // the last byte is the format's version
	journalFrame = 8
	maxJournal   = 1 << 20 // body of one entry
	maxExtra     = 4 << 10
)

type journalKind uint8

const (
	kindHeader   journalKind = 1 + iota
	kindRecord               // warcinfo, resource, dns: nothing to settle
	kindExchange             // request, response, metadata
	kindSynced               // the segment was fsynced up to here
	kindSettled              // outcomes acknowledged
	kindSealed               // the segment is complete
	kindStored               // it is in the Store
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// journalEntry is any entry; Kind says which fields count.
type journalEntry struct {
	Kind journalKind

	// kindHeader
	Name   string
	ID     salvor.SegmentID
	Opened int64 // Unix ms
	InfoID recordID

	// kindRecord, kindExchange: records in [Start, Start+Size)
	Start, Size int64
	Resp        int64 // length of the first member
	Meta        int64 // offset of the metadata member from Start; 0 none
	CDX         cdxInfo
	Entry       Entry // kindExchange only

	// kindSynced
	Synced int64

	// kindSettled: positions of exchanges in this journal
	Settled []uint32

	// kindSealed
	Bytes  int64
	SHA256 [32]byte
}

// cdxInfo is what the index line of a record needs beyond the entry.
type cdxInfo struct {
	Index    bool // the record has a line
	Revisit  bool
	HTTP     bool   // the block is an HTTP message: its status counts
	Original bool   // a revisit may point at it
	URL      string // kindRecord; an exchange's is in its Entry
	Mime     string
	Detected string
	Digest   salvor.SHA1
	HasSum   bool
	ID       recordID // of the record that is indexed; zero: it is not known
	At       int64    // Unix ms
	Status   int      // kindRecord
}

// appendEntry frames an entry.
func appendEntry(b []byte, e *journalEntry) []byte {
	at := len(b)
	b = append(b, make([]byte, journalFrame)...)
	w := enc{append(b, byte(e.Kind))}
	e.encode(&w)
	body := w.b[at+journalFrame:]
	binary.LittleEndian.PutUint32(w.b[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(w.b[at+4:], crc32.Checksum(body, castagnoli))
	return w.b
}

func (e *journalEntry) encode(w *enc) {
	switch e.Kind {
	case kindHeader:
		w.str(e.Name)
		w.u(uint64(e.ID))
		w.i(e.Opened)
		w.raw(e.InfoID[:])
	case kindRecord, kindExchange:
		w.i(e.Start)
		w.i(e.Size)
		w.i(e.Resp)
		w.i(e.Meta)
		e.CDX.encode(w)
		if e.Kind == kindExchange {
			encodeEntry(w, &e.Entry)
		}
	case kindSynced:
		w.i(e.Synced)
	case kindSettled:
		w.u(uint64(len(e.Settled)))
		for _, s := range e.Settled {
			w.u(uint64(s))
		}
	case kindSealed:
		w.i(e.Bytes)
		w.raw(e.SHA256[:])
	}
}

func (c *cdxInfo) encode(w *enc) {
	hasID := c.ID != recordID{}
	w.flags(c.Index, c.Revisit, c.HTTP, c.Original, c.HasSum, hasID)
	w.str(c.URL)
	w.str(c.Mime)
	w.str(c.Detected)
	w.i(c.At)
	w.u(uint64(c.Status))
	if c.HasSum {
		w.raw(c.Digest[:])
	}
	if hasID {
		w.raw(c.ID[:])
	}
}

func encodeEntry(w *enc, e *Entry) {
	w.u(uint64(e.Crawl))
	w.str(e.Host)
	w.raw(e.Key[:])
	w.u(uint64(e.Round))
	w.u(uint64(e.Lease))
	w.u(uint64(e.Class))
	w.u(uint64(e.Hop.Links))
	w.u(uint64(e.Hop.Embeds))
	w.u(uint64(e.Hop.Extra))
	w.str(e.Hop.Path)
	w.u(uint64(e.Outcome))
	w.str(e.Reason)
	w.str(e.URL)
	w.str(e.Via)
	w.i(int64(e.Status))
	w.flags(e.Links, e.Digest != salvor.SHA1{})
	if e.Digest != (salvor.SHA1{}) {
		w.raw(e.Digest[:])
	}
	w.i(e.Bytes)
	w.str(e.Type)
	w.i(e.At)
	w.str(string(e.Extra))
}

// nextEntry reads the entry at the start of b and says how long it was. It
// reports false where the journal ends, whatever stands there.
func nextEntry(b []byte) (e journalEntry, n int, ok bool) {
	if len(b) < journalFrame {
		return e, 0, false
	}
	size := binary.LittleEndian.Uint32(b)
	if size == 0 || size > maxJournal || uint64(len(b)-journalFrame) < uint64(size) {
		return e, 0, false
	}
	body := b[journalFrame : journalFrame+int(size)]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return e, 0, false
	}
	r := dec{b: body[1:]}
	e.Kind = journalKind(body[0])
	e.decode(&r)
	return e, journalFrame + int(size), !r.bad
}

func (e *journalEntry) decode(r *dec) {
	switch e.Kind {
	case kindHeader:
		e.Name, e.ID, e.Opened = r.str(), salvor.SegmentID(r.u()), r.i()
		r.raw(e.InfoID[:])
	case kindRecord, kindExchange:
		e.Start, e.Size, e.Resp, e.Meta = r.i(), r.i(), r.i(), r.i()
		r.bad = r.bad || e.Start < 0 || e.Size <= 0 || e.Resp < 0 || e.Meta < 0 || e.Resp > e.Size || e.Meta > e.Size
		e.CDX.decode(r)
		if e.Kind == kindExchange {
			decodeEntry(r, &e.Entry)
		}
	case kindSynced:
		e.Synced = r.i()
	case kindSettled:
		n := r.u()
		for i := uint64(0); i < n && !r.bad; i++ {
			e.Settled = append(e.Settled, uint32(r.u()))
		}
	case kindSealed:
		e.Bytes = r.i()
		r.raw(e.SHA256[:])
	case kindStored:
	default:
		r.bad = true
	}
	r.bad = r.bad || len(r.b) != 0
}

func (c *cdxInfo) decode(r *dec) {
	var hasID bool // journals of before it was there have none
	r.flags(&c.Index, &c.Revisit, &c.HTTP, &c.Original, &c.HasSum, &hasID)
	c.URL, c.Mime, c.Detected, c.At, c.Status = r.str(), r.str(), r.str(), r.i(), int(r.u())
	if c.HasSum {
		r.raw(c.Digest[:])
	}
	if hasID {
		r.raw(c.ID[:])
	}
}

func decodeEntry(r *dec, e *Entry) {
	e.Crawl, e.Host = salvor.CrawlID(r.u()), r.str()
	r.raw(e.Key[:])
	e.Round, e.Lease, e.Class = uint32(r.u()), salvor.LeaseID(r.u()), salvor.Class(r.u())
	e.Hop = salvor.Hop{Links: uint16(r.u()), Embeds: uint8(r.u()), Extra: uint8(r.u()), Path: r.str()}
	e.Outcome, e.Reason, e.URL, e.Via = salvor.Outcome(r.u()), r.str(), r.str(), r.str()
	e.Status = int(r.i())
	var sum bool
	r.flags(&e.Links, &sum)
	if sum {
		r.raw(e.Digest[:])
	}
	e.Bytes, e.Type, e.At = r.i(), r.str(), r.i()
	if x := r.str(); x != "" {
		e.Extra = []byte(x)
	}
}

// enc appends fields.
type enc struct{ b []byte }

func (w *enc) u(v uint64)   { w.b = binary.AppendUvarint(w.b, v) }
func (w *enc) i(v int64)    { w.b = binary.AppendVarint(w.b, v) }
func (w *enc) raw(p []byte) { w.b = append(w.b, p...) }
func (w *enc) str(s string) { w.u(uint64(len(s))); w.b = append(w.b, s...) }

func (w *enc) flags(f ...bool) {
	var v byte
	for i, on := range f {
		if on {
			v |= 1 << i
		}
	}
	w.b = append(w.b, v)
}

// dec reads them back; the first field that is not there makes it bad.
type dec struct {
	b   []byte
	bad bool
}

func (r *dec) fail() { r.b, r.bad = nil, true }

func (r *dec) u() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *dec) i() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *dec) str() string {
	n := r.u()
	if n > uint64(len(r.b)) {
		r.fail()
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *dec) raw(p []byte) {
	if len(r.b) < len(p) {
		r.fail()
		return
	}
	copy(p, r.b)
	r.b = r.b[len(p):]
}

func (r *dec) flags(f ...*bool) {
	if len(r.b) == 0 {
		r.fail()
		return
	}
	for i, p := range f {
		*p = r.b[0]>>i&1 == 1
	}
	r.b = r.b[1:]
}
