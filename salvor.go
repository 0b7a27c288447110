// Package salvor is the vocabulary of a distributed archive crawler for
// platforms at risk: crawls, items, leases, captures, segments, outcomes.
//
// It is for every other package of the module, imports none of them, and does
// no I/O. The rules these nouns obey are in docs/protocol.md.
package salvor

import (
	"encoding/base32"
	"encoding/hex"
	"time"

	"github.com/dchest/siphash"
)

// CrawlID numbers a crawl. Numbers are never used again.
type CrawlID uint32

// SessionID names one run of a worker process.
type SessionID uint64

// LeaseID is the log index of the grant that made the lease, shifted left by
// 16, plus the position in that grant.
type LeaseID uint64

// SegmentID numbers a segment. The coordinator assigns it when the segment is
// opened; outcomes cite it for ever, wherever the bytes move.
type SegmentID uint32

// HashKey keys the hash of a crawl's items, so that no page can craft a URL
// that hides another. It is drawn when the crawl is created.
type HashKey [16]byte

// Key identifies an item in a crawl: a keyed 128-bit hash of its request.
type Key [16]byte

func (k Key) String() string { return hex.EncodeToString(k[:]) }

// ItemKey is the key of a request: SipHash-2-4-128 over method, URL and body,
// separated by NUL, which neither a method nor a serialised URL can hold.
func ItemKey(hk HashKey, method, url string, body []byte) Key {
	buf := make([]byte, 0, len(method)+len(url)+len(body)+2)
	buf = append(buf, method...)
	buf = append(buf, 0)
	buf = append(buf, url...)
	buf = append(buf, 0)
	buf = append(buf, body...)
	lo, hi := siphash.Hash128(le64(hk[:8]), le64(hk[8:]), buf)
	var k Key
	put64(k[:8], lo)
	put64(k[8:], hi)
	return k
}

func le64(b []byte) (v uint64) {
	for i := range 8 {
		v |= uint64(b[i]) << (8 * i)
	}
	return v
}

func put64(b []byte, v uint64) {
	for i := range 8 {
		b[i] = byte(v >> (8 * i))
	}
}

// Class says how an item came to be known. Lower is better: a better class
// re-admits or improves a known item (protocol 3).
type Class uint8

const (
	ClassSeed        Class = iota // named by a person
	ClassRobots                   // robots.txt of an origin
	ClassSitemap                  // a sitemap, or a feed that lists pages
	ClassPage                     // a navigation link
	ClassRequisite                // what a saved page needs to be shown
	ClassSpeculative              // a guess: a string in a script
)

var classNames = [...]string{"seed", "robots", "sitemap", "page", "requisite", "speculative"}

func (c Class) String() string { return name(classNames[:], int(c)) }

// Band is the only priority stored with an item: one byte, lower first.
type Band uint8

const (
	BandRobots      Band = 0x10
	BandPerishable  Band = 0x11 // signed URLs, good for some time only
	BandSeed        Band = 0x20
	BandRequisite   Band = 0x30
	BandSitemap     Band = 0x38
	BandPage        Band = 0x40 // value tiers 0x40..0x5f, 0x40 the most valuable
	BandExtra       Band = 0x60 // pages outside the scope
	BandSpeculative Band = 0x70
)

// Hop says how far an item lies from its seed.
type Hop struct {
	Links  uint16 // navigation hops from the seed
	Embeds uint8  // requisite hops since the last page
	Extra  uint8  // hops outside the scope
	Path   string // Heritrix' discovery path (L link, E embed, R redirect, S sitemap, X speculative, I robots), at most 50 letters, the newest kept
}

// MaxPath is the longest discovery path kept.
const MaxPath = 50

// Append returns path with one more hop letter, cut to its newest MaxPath.
func (h Hop) Append(letter byte) string {
	p := h.Path + string(letter)
	if len(p) > MaxPath {
		p = p[len(p)-MaxPath:]
	}
	return p
}

// Better reports whether h reaches further than o: a known item is improved
// when a shorter way to it is found.
func (h Hop) Better(o Hop) bool {
	if h.Extra != o.Extra {
		return h.Extra < o.Extra
	}
	if h.Links != o.Links {
		return h.Links < o.Links
	}
	return h.Embeds < o.Embeds
}

// Item is what the frontier holds: a request to make.
type Item struct {
	Key      Key
	Crawl    CrawlID
	Host     string // lower-case, without port: the partition key
	Origin   string // scheme://host[:port], what has one robots.txt
	Method   string // "" is GET
	URL      string // WHATWG serialisation without fragment
	Body     []byte // at most 4 KB
	Class    Class
	Band     Band
	Hop      Hop
	Via      string // URL of the page that linked here; "" for seeds
	Round    uint32 // raised by Reopen; captures of older rounds settle nothing
	Attempts uint16 // failed attempts that counted
	Expiry   int64  // Unix ms after which a signed URL is worthless; 0 never
}

// Outcome is how an item ended. Never silently dropped.
type Outcome uint8

const (
	Open      Outcome = iota // no outcome yet: queued, waiting or leased
	Saved                    // captured with an answer worth having (2xx, 3xx ...)
	Revisit                  // captured; its payload equals a saved one
	Gone                     // the server said 404 or 410; the answer is captured
	Refused                  // the server said 401, 403, 451 ...; the answer is captured
	Failed                   // no final answer after all tries (a last 5xx is captured)
	Excluded                 // a rule said no: robots, a scope rule, an exclude rule
	TooBig                   // larger than the operator allowed; cut and marked
	OutOfTime                // derived: open when the deadline passed
	NumOutcomes
)

var outcomeNames = [...]string{"open", "saved", "revisit", "gone", "refused", "failed", "excluded", "too_big", "out_of_time"}

func (o Outcome) String() string { return name(outcomeNames[:], int(o)) }

// HasCapture reports whether an outcome cites bytes in a segment, and may
// therefore be reported from any session (protocol 5).
func (o Outcome) HasCapture() bool { return o == Saved || o == Revisit }

// ParseOutcome reads what String wrote.
func ParseOutcome(s string) (Outcome, bool) {
	for i, n := range outcomeNames {
		if n == s && i > 0 {
			return Outcome(i), true
		}
	}
	return 0, false
}

// Place is where a capture's response lies.
type Place struct {
	Segment SegmentID
	Offset  int64 // of the response record's gzip member
	Length  int64 // compressed bytes of that member
}

// SHA1 is a payload digest; the zero value means none.
type SHA1 [20]byte

// String is base32 without prefix, as CDX files have it.
func (s SHA1) String() string { return base32.StdEncoding.EncodeToString(s[:]) }

// CrawlState is a crawl's place in its life.
type CrawlState uint8

const (
	CrawlDraft CrawlState = iota
	CrawlRunning
	CrawlPaused
	CrawlDraining
	CrawlFinished
	CrawlCancelled
	CrawlDeleting
	CrawlDeleted
)

var crawlStateNames = [...]string{"draft", "running", "paused", "draining", "finished", "cancelled", "deleting", "deleted"}

func (s CrawlState) String() string { return name(crawlStateNames[:], int(s)) }

// Pace is a request rate in thousandths of a request per second.
type Pace uint64

// Unlimited is the pace of a host whose ceiling was lifted.
const Unlimited Pace = 1 << 40

// PerSecond converts requests per second.
func PerSecond(r float64) Pace { return Pace(r * 1000) }

// PerSecond is the pace in requests per second.
func (p Pace) PerSecond() float64 { return float64(p) / 1000 }

// Interval is the time between two requests at this pace; 0 when unlimited.
func (p Pace) Interval() time.Duration {
	if p == 0 || p >= Unlimited {
		return 0
	}
	return time.Duration(1000 * float64(time.Second) / float64(p))
}

// LeaseTTL is how long a lease lasts without an extend (protocol 4).
const LeaseTTL = 10 * time.Second

// ExtendEvery is how often a worker lists its leases (protocol 4).
const ExtendEvery = 2 * time.Second

func name(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return "unknown"
	}
	return names[i]
}
