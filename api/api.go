// Package api is what workers and the coordinator say to each other.
//
// In `salvor save` the interface is called in process; in a cluster the same
// messages travel. Every method that changes state returns only after the
// change is committed to the replicated log ("accepted", protocol 3). The
// package imports only the vocabulary.
package api

import (
	"context"
	"time"

	"salvor"
)

// Coordinator is the control plane as a worker, or a person's tool, sees it.
//
// Calls are safe for concurrent use. A call that carries a Call is idempotent:
// repeated with the same session and request number it gets its first answer.
// Errors of class Unavailable have an unknown outcome: repeat the same call.
type Coordinator interface {
	// CreateCrawl makes a crawl, or returns the one with the same Name.
	CreateCrawl(ctx context.Context, c Crawl) (Crawl, error)
	// SetCrawl changes a crawl's state, scope version or settings.
	SetCrawl(ctx context.Context, c Crawl) error
	// Register opens a session for a worker. The worker id is persistent and
	// guarded by a lock on its spool, so registering again ends the
	// worker's earlier sessions and returns their items to the queue.
	Register(ctx context.Context, worker string) (salvor.SessionID, error)
	// End ends a session; what it held returns to the queue at once.
	End(ctx context.Context, s salvor.SessionID) error
	// Discover offers items. One Result an item, in order.
	Discover(ctx context.Context, c Call, d Discovery) ([]Result, error)
	// Lease asks for work. No lease within wait is not an error.
	Lease(ctx context.Context, c Call, w Want) ([]Lease, error)
	// Extend lists every lease the session holds. Leases of the session that
	// are not listed, and are not newer than the newest the session has seen,
	// return their open items to the queue.
	Extend(ctx context.Context, c Call, h Holdings) (Renewal, error)
	// Settle reports how items ended.
	Settle(ctx context.Context, c Call, s Settlement) error
	// Feedback reports how hosts answered; it moves their budgets.
	Feedback(ctx context.Context, f []HostFeedback) error
	// OpenSegment numbers a new segment; the same name gets the same number.
	OpenSegment(ctx context.Context, c Call, name string) (salvor.SegmentID, error)
	// SetSegment records that a segment was sealed or stored.
	SetSegment(ctx context.Context, s Segment) error
	// Reopen raises the round of settled items with an outcome and queues
	// them again. It returns how many.
	Reopen(ctx context.Context, r Reopen) (int64, error)
	// Exclude settles queued items as excluded by rule. Matching was done by
	// the caller: the state machine knows no patterns.
	Exclude(ctx context.Context, crawl salvor.CrawlID, rule string, keys []HostKey) (int64, error)
	// Rank moves open items to other bands, and returns how many moved. Who asks
	// matched them: the state machine knows no patterns. Robots items stay.
	Rank(ctx context.Context, crawl salvor.CrawlID, items []Ranked) (int64, error)
	// SetCeiling changes the ceiling of one host's budget; host "" means the
	// default of the crawl and every host that has no ceiling of its own. A
	// host's own ceiling of 0 is taken away.
	SetCeiling(ctx context.Context, crawl salvor.CrawlID, host string, p salvor.Pace) error
	View
}

// View reads the coordinator's state. None of its methods scans the frontier,
// except Walk, which is one.
type View interface {
	// Crawl by id.
	Crawl(ctx context.Context, id salvor.CrawlID) (Crawl, error)
	// Crawls lists all crawls.
	Crawls(ctx context.Context) ([]Crawl, error)
	// Totals are the crawl's counters, kept in the batches that change them.
	Totals(ctx context.Context, id salvor.CrawlID) (Totals, error)
	// Hosts lists at most limit hosts of a crawl by open items, most first;
	// limit 0 is all, in the order of their names.
	Hosts(ctx context.Context, id salvor.CrawlID, limit int) ([]Host, error)
	// Types are counts by payload media type, Codes by status code.
	Types(ctx context.Context, id salvor.CrawlID) (map[string]Count, error)
	Codes(ctx context.Context, id salvor.CrawlID) (map[int]Count, error)
	// Reasons counts outcomes by their reason ("robots", "exclude:forum/…", "timeout").
	Reasons(ctx context.Context, id salvor.CrawlID) (map[Reason]int64, error)
	// Lookup finds one item.
	Lookup(ctx context.Context, id salvor.CrawlID, host string, k salvor.Key) (Known, error)
	// Walk calls f for every known item that is in one of the outcomes, in
	// host order; none given means all. Items not saved are found through an
	// index, saved ones by a scan. f returning an error ends it.
	Walk(ctx context.Context, id salvor.CrawlID, outcomes []salvor.Outcome, f func(Known) error) error
	// Segments lists the segment table.
	Segments(ctx context.Context) ([]Segment, error)
	// Robots is what an origin's robots.txt said.
	Robots(ctx context.Context, id salvor.CrawlID, host string) ([]Robots, error)
}

// Call names a request, so that repeating it is harmless.
type Call struct {
	Session salvor.SessionID
	Request uint64
}

// Crawl is one rescue.
type Crawl struct {
	ID       salvor.CrawlID
	Name     string
	State    salvor.CrawlState
	HashKey  salvor.HashKey
	Canon    uint16 // version of the canonicalisation
	Scope    uint32 // version of the scope; Discover with an older one is rejected
	Deadline int64  // Unix ms, 0 none
	Ceiling  salvor.Pace
	Start    salvor.Pace // rate a host begins with
	Tries    uint16
	Settings []byte // opaque to the coordinator: the worker's settings as JSON
	Basis    salvor.CrawlID
	Created  int64 // Unix ms
	// Version rises with each SetCrawl. SetCrawl with one puts the crawl in the
	// place of the version before it, Conflict if another is there; 0 puts it in
	// the place of any.
	Version uint64
}

// Discovery offers items of one crawl.
type Discovery struct {
	Crawl salvor.CrawlID
	Scope uint32
	Items []Offer
}

// Offer is an item and what the sender's scope said of it.
type Offer struct {
	salvor.Item
	Excluded string // rule that excludes it; "" admits
}

// Result is what became of an offer.
type Result uint8

const (
	New        Result = iota // queued
	Improved                 // known and queued; hop or class got better
	Unchanged                // known, nothing changed
	Readmitted               // was excluded, now queued
	Barred                   // recorded as excluded
)

// Want says how much work a session can take.
type Want struct {
	Crawl salvor.CrawlID // leases of this crawl only; 0 of any
	Hosts int            // leases at most
	Items int            // items a lease at most
	Wait  time.Duration  // how long to wait for work
	Not   []string       // hosts the session has enough of: no lease of these
	Idle  bool           // the session has nothing left to start
}

// Lease is a time-limited right to fetch a slice of one host's queue.
type Lease struct {
	ID     salvor.LeaseID
	Crawl  salvor.CrawlID
	Host   string
	Group  string // of merged hosts, whose budget the pace is booked on; "" the host's own
	Items  []salvor.Item
	Pace   salvor.Pace // requests per second, booked for this lease
	TTL    time.Duration
	Robots []Robots // what is known of the host's origins
}

// Extension is one held lease and the pace it still needs; 0 once all its
// items are captured.
type Extension struct {
	Lease salvor.LeaseID
	Pace  salvor.Pace
}

// Holdings are all leases of a session at the moment of an Extend.
type Holdings struct {
	// Seen is the newest lease the session ever received. A newer one may be
	// on its way in an answer and is not judged. A session asks for leases
	// one call at a time, so that this is exact.
	Seen   salvor.LeaseID
	Leases []Extension
	// Unstarted is how much of its leases the session has not begun. It may be
	// asked to share that with one that has nothing to do.
	Unstarted []Slice
}

// Slice is a part of a lease.
type Slice struct {
	Lease salvor.LeaseID
	Items int
}

// Renewal answers Extend.
type Renewal struct {
	Granted []Extension      // leases that go on, with the pace each may use
	Merged  []Member         // those of them whose hosts are merged now; the others' are not
	Lost    []salvor.LeaseID // leases the coordinator no longer knows
	Struck  []salvor.Key     // items settled by somebody else meanwhile
	// Recalled are items that others wait for: so many of a lease's unstarted
	// ones, those that would start last, are to be postponed now (VerbPostpone
	// without Retry). Who has started them by now, or knows nothing of this,
	// keeps them.
	Recalled []Slice
}

// Member is a lease and the group that its host is merged in.
type Member struct {
	Lease salvor.LeaseID
	Group string
}

// Settlement reports outcomes, retries and returns of one crawl.
type Settlement struct {
	Crawl   salvor.CrawlID
	Entries []Entry
	Robots  []Robots // rules learned by the robots items among the entries
}

// Verb is what an Entry does to its item.
type Verb uint8

const (
	VerbSettle   Verb = iota // it ended with Outcome
	VerbRetry                // try again at Retry; the attempt counts
	VerbPostpone             // try again at Retry; the attempt does not count (Retry-After, lease returned)
	VerbHold                 // it was captured; its outcome follows when its bytes are durable. One that no lease holds any more is not granted before Retry
)

// MaxText is how long the texts of an Entry may be, in bytes.
const MaxText = 200

// Entry is one item's report. Saved and Revisit are accepted from any lease;
// everything else only with the current one.
type Entry struct {
	Key     salvor.Key
	Host    string
	Lease   salvor.LeaseID
	Round   uint32
	Verb    Verb
	Outcome salvor.Outcome
	Reason  string // class of the failure, the rule of the exclusion; at most 200 bytes
	Status  int    // HTTP status; 0 none, negative as in Heritrix
	Place   salvor.Place
	Digest  salvor.SHA1 // of the payload
	Bytes   int64       // of the response block
	Type    string      // media type without parameters
	At      int64       // Unix ms of the capture
	Retry   int64       // Unix ms not before which to try again
}

// Held is the report that precedes an entry whose bytes are not durable yet.
func (e Entry) Held() Entry {
	return Entry{Key: e.Key, Host: e.Host, Lease: e.Lease, Round: e.Round, Verb: VerbHold}
}

// Robots is what an origin's robots.txt means for us.
type Robots struct {
	Origin  string
	Rules   []byte // the file's part for our agent, as text, at most 16 KB
	Status  RobotsStatus
	Fetched int64 // Unix ms
}

// RobotsStatus is how an origin's robots.txt answered (RFC 9309 2.3.1).
type RobotsStatus uint8

const (
	RobotsRules       RobotsStatus = iota // successful: Rules hold
	RobotsNone                            // 4xx: all is allowed
	RobotsUnreachable                     // 5xx or time-out, given up: crawl slowly
)

// Segment is one row of the segment table.
type Segment struct {
	ID     salvor.SegmentID
	Name   string // file name without .open
	Object string // key in the Store once stored
	Base   int64
	Bytes  int64
	SHA256 [32]byte
	State  SegmentState
}

// SegmentState is how far a segment got.
type SegmentState uint8

const (
	SegmentOpen SegmentState = iota
	SegmentSealed
	SegmentStored
)

// Reopen asks for another round.
type Reopen struct {
	Crawl    salvor.CrawlID
	Host     string // "" all
	Outcomes []salvor.Outcome
	Reason   string
}

// Ranked is an item and the band it is to have.
type Ranked struct {
	HostKey
	Band salvor.Band
}

// HostKey addresses an item.
type HostKey struct {
	Host string
	Key  salvor.Key
}

// Totals are a crawl's counters. Accepted = Queued + Waiting + Leased + the
// sum of Outcomes, always.
type Totals struct {
	Accepted int64
	Queued   int64
	Waiting  int64 // for a time (retries)
	Leased   int64 // leased or held
	Outcomes [salvor.NumOutcomes]int64
	Bytes    int64 // of captured response blocks
	Captures int64
	Late     int64 // captures after the deadline
	Dups     int64 // duplicate captures of a settled round
	Clock    int64 // group clock, Unix ms
}

// Open is what has no outcome yet.
func (t Totals) Open() int64 { return t.Queued + t.Waiting + t.Leased }

// Count is captures and their bytes.
type Count struct{ URLs, Bytes int64 }

// Reason is an outcome and why.
type Reason struct {
	Outcome salvor.Outcome
	Text    string
}

// Known is everything the frontier knows of an item. URL, Via and Hop.Path of
// a saved item are empty: the CDXJ has them.
type Known struct {
	salvor.Item
	State   ItemState
	Outcome salvor.Outcome
	Reason  string
	Status  int
	Place   salvor.Place
	Digest  salvor.SHA1
	At      int64
	Retry   int64
}

// ItemState is where an item is.
type ItemState uint8

const (
	StateQueued ItemState = iota
	StateWaiting
	StateLeased
	StateSettled
)
