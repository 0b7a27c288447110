// Package frontier is the coordinator's state machine: host queues, seen set,
// leases, outcomes and budgets of all crawls of one group, on Pebble.
//
// It is for the Raft node that carries it, which feeds it committed log
// entries in order and reads from it. It guarantees that
//   - the same entries give the same state, byte for byte, however they were
//     batched: Apply knows no clock, no randomness, no map order, and calls no
//     URL, pattern or text library (the proposer did all that);
//   - an entry takes effect whole or not at all, together with the applied
//     index, so that replaying a log from any earlier point is harmless;
//   - Accepted = Queued + Waiting + Leased + sum(Outcomes), for every crawl and
//     every host, at every index;
//   - reads are safe beside Apply and see whole batches only.
//
// The rules are those of docs/protocol.md, sections 1 to 9.
package frontier

import (
	"context"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"salvor"
	"salvor/api"
)

// Options of a Machine. The zero value works.
type Options struct {
	// CacheBytes is the block cache; memtables are charged to it. 0 is 256 MB.
	CacheBytes int64
	// FS is where the state lives; nil is the operating system's.
	FS vfs.FS
	// Logger takes Pebble's messages; nil drops all but errors.
	Logger pebble.Logger
}

// Entry is one committed entry of the log.
type Entry struct {
	Index uint64
	Data  []byte // as Encode wrote it
}

// Outcome is what became of an Entry. By command, Result is: CreateCrawl
// api.Crawl, Discover []api.Result, Grant []api.Lease, Extend api.Renewal,
// Settle SettleResult, Reopen ReopenResult, Exclude int64, OpenSegment
// salvor.SegmentID; nil for the others.
type Outcome struct {
	Result any
	Err    error // the command was refused and changed nothing but the clock
	Fatal  bool  // the entry could not be applied: the node must stop
}

// SettleResult counts the entries of a Settlement by what became of them.
type SettleResult struct {
	Accepted  int // took effect, or had done so before
	Duplicate int // captures of a settled item, counted beside it
	Stale     int // no current lease, an older round, or an unknown item
}

// ReopenResult answers Reopen.
type ReopenResult struct {
	N    int64  // items reopened
	Next []byte // After of the next piece; nil when done
}

// ReadyHost is a host that a Grant may name now.
type ReadyHost struct {
	Crawl  salvor.CrawlID
	Host   string
	Queued int64       // items that can be granted
	Leases int         // leases with a pace that are out
	Budget salvor.Pace // Unlimited: nothing is booked
	Free   salvor.Pace // what is not booked
	Robots bool        // only robots items are given
}

// LeaseInfo is a lease as its expiry needs it.
type LeaseInfo struct {
	ID      salvor.LeaseID
	Session salvor.SessionID
	Crawl   salvor.CrawlID
	Host    string
	Pace    salvor.Pace
	Renewal uint64 // log index of the grant or of the last extend
	Items   int    // open items
}

// Machine is the state of one group. Apply and ApplyBatch are for one
// goroutine; everything else is safe beside them.
type Machine struct {
	db *pebble.DB
}

// Open opens the state in dir, or makes an empty one.
func Open(dir string, o Options) (*Machine, error) { return &Machine{}, nil }

// Apply applies one committed command.
func (m *Machine) Apply(index uint64, env Envelope) (any, error) { return nil, nil }

// ApplyBatch applies committed entries in order. Entries at or below the
// applied index are skipped: their Outcome is empty.
func (m *Machine) ApplyBatch(entries []Entry) []Outcome { return make([]Outcome, len(entries)) }

// AppliedIndex is the index of the newest entry applied.
func (m *Machine) AppliedIndex() uint64 { return 0 }

// Flush makes everything applied durable.
func (m *Machine) Flush() error { return nil }

// Checkpoint flushes, then makes a copy of the state in dir, which must not
// exist, out of hard links. It returns the applied index the copy holds.
func (m *Machine) Checkpoint(dir string) (uint64, error) { return 0, nil }

// Close flushes and closes.
func (m *Machine) Close() error { return nil }

// Ready lists at most limit hosts that a Grant may name at time now, each call
// going on where the last one ended. limit 0 is all.
func (m *Machine) Ready(now int64, limit int) []ReadyHost { return nil }

// Leases lists all leases by id.
func (m *Machine) Leases() []LeaseInfo { return nil }

// NextDue is the time at which the earliest waiting item comes due.
func (m *Machine) NextDue() (int64, bool) { return 0, false }

// OpenItems lists queued and waiting items of a crawl, after a position that
// an earlier call returned; next is nil at the end.
func (m *Machine) OpenItems(crawl salvor.CrawlID, after []byte, limit int) (items []api.Known, next []byte, err error) {
	return nil, nil, nil
}

// The counterparts of api.View.

// Crawl by id.
func (m *Machine) Crawl(id salvor.CrawlID) (api.Crawl, error) { return api.Crawl{}, nil }

// Crawls lists all crawls by id.
func (m *Machine) Crawls() ([]api.Crawl, error) { return nil, nil }

// Totals are a crawl's counters.
func (m *Machine) Totals(id salvor.CrawlID) (api.Totals, error) { return api.Totals{}, nil }

// Hosts lists at most limit hosts of a crawl by open items, most first;
// limit 0 is all, by name.
func (m *Machine) Hosts(id salvor.CrawlID, limit int) ([]api.Host, error) { return nil, nil }

// Host is one host of a crawl.
func (m *Machine) Host(id salvor.CrawlID, host string) (api.Host, error) { return api.Host{}, nil }

// Types counts settled items by media type.
func (m *Machine) Types(id salvor.CrawlID) (map[string]api.Count, error) { return nil, nil }

// Codes counts settled items by status.
func (m *Machine) Codes(id salvor.CrawlID) (map[int]api.Count, error) { return nil, nil }

// Reasons counts settled items by outcome and reason.
func (m *Machine) Reasons(id salvor.CrawlID) (map[api.Reason]int64, error) { return nil, nil }

// Lookup finds one item.
func (m *Machine) Lookup(id salvor.CrawlID, host string, k salvor.Key) (api.Known, error) {
	return api.Known{}, nil
}

// Walk calls f for every item that is in one of the outcomes, none given
// meaning all, by host name.
func (m *Machine) Walk(ctx context.Context, id salvor.CrawlID, outcomes []salvor.Outcome, f func(api.Known) error) error {
	return nil
}

// Segments lists the segment table by id.
func (m *Machine) Segments() ([]api.Segment, error) { return nil, nil }

// Robots is what is known of a host's origins.
func (m *Machine) Robots(id salvor.CrawlID, host string) ([]api.Robots, error) { return nil, nil }
