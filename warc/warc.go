// Package warc turns captured exchanges into WARC 1.1 segments: it packs
// records, appends them to several open segments, makes them durable, seals
// and stores the segments with their CDXJ, mends what a crash left, reads
// records back and verifies files.
//
// It is for the crawler's worker, which calls Write for every exchange, Sync
// before it reports any of them as saved, and Settled once the coordinator has
// acknowledged the report; and for `salvor verify`.
//
// What it guarantees:
//
//   - What Sync covered survives a crash of the process and of the machine, at
//     the offset that Write returned.
//   - A failed Write fails that exchange only: the segment is cut back to its
//     last whole record. A full disk is an error of class Exhausted.
//   - Every exchange on disk that was not marked settled comes back from the
//     next Open, with its journal entry and a way to read its records.
//   - A segment and its journal leave the spool only when the segment is in
//     the Store, confirmed by checksum, and all its exchanges are settled.
//
// How records look, and why, is in docs/formats/records.md; the journal and
// the life of a segment are in docs/formats/segments.md.
package warc

import (
	"io"
	"time"

	"salvor"
)

// Block is the content of a record: of known size, and readable any number of
// times. One that is also an io.ReaderAt gives its head without being read to
// its end.
type Block interface {
	Size() int64
	io.WriterTo
}

// Exchange is one capture: what was sent, what came back, and what the
// journal has to know of it.
type Exchange struct {
	URL      string // WHATWG serialisation without fragment; no spaces
	Method   string // "" is GET
	Begin    time.Time
	Duration time.Duration
	IP       string // address of the server; "" unknown

	Request  []byte // exact bytes sent; none writes no request record
	Response Block  // exact bytes received, interim responses cut out

	HeadLen       int  // of the response's head with its blank line; 0 when there is none
	Status        int  // of the response; 0 when the bytes are no HTTP message
	Chunked       bool // the body is in chunks: no WARC-Payload-Digest, as readers disagree on what it would cover
	HasPayload    bool // the entity has at least one byte
	PayloadDigest salvor.SHA1
	BlockDigest   [32]byte // SHA-256 of Response; zero: Write computes it

	Type      string // identified media type of the payload; "" none
	Truncated string // "", "length", "time", "disconnect", "unspecified"
	Protocol  []string
	Cipher    string

	Metadata *Metadata // nil writes no metadata record
	Revisit  *Original // the payload equals this one's: store the head only
	Journal  Entry
}

// Original is a capture that a revisit may point at.
type Original struct {
	URL  string
	Date time.Time // its WARC-Date
}

// Metadata is what the crawler knows of a capture beyond its bytes.
type Metadata struct {
	Via      string // page that linked here
	Path     string // Heritrix' hops from the seed
	FetchMS  int64
	Title    string
	Outlinks []Outlink
	Notes    []string // deviations seen on the wire
	Interim  []byte   // 1xx responses, exact bytes
}

// Outlink is a link found in a capture.
type Outlink struct {
	URL     string
	Hop     byte   // Heritrix' letter: L, E, R, S, X ...
	Context string // where it stood: "a/@href"
}

// Entry is what the journal keeps of an exchange, so that its outcome can be
// reported again after a crash.
type Entry struct {
	Crawl   salvor.CrawlID
	Host    string
	Key     salvor.Key
	Round   uint32
	Lease   salvor.LeaseID
	Class   salvor.Class
	Hop     salvor.Hop
	Outcome salvor.Outcome
	Reason  string
	URL     string
	Via     string
	Status  int
	Digest  salvor.SHA1 // of the payload, transfer coding removed
	Bytes   int64       // of the response block
	Type    string
	At      int64 // Unix ms
	// Links says that all links of the capture were acknowledged before the
	// exchange was written, so that they need not be sent again.
	Links bool
	// Extra is the worker's own; at most 4 KB.
	Extra []byte
}

// Receipt is where an exchange was written. It is not durable before Sync.
type Receipt struct {
	Place   salvor.Place // of the response, revisit or resource record
	Revisit bool         // a revisit record was written
	Ticket  Ticket
}

// Ticket names an exchange in its segment's journal.
type Ticket struct {
	Segment salvor.SegmentID
	Seq     uint32
}

// Warcinfo is the content of a segment's first record.
type Warcinfo struct {
	Software    string
	Operator    string
	Hostname    string
	IsPartOf    string
	Description string
	Robots      string
	UserAgent   string
	Seeds       []string
	Scope       string
	Settings    string      // on one line, without secrets
	Fields      [][2]string // the operator's own
}
