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
//   - nothing of an origin is granted before its robots.txt: an item is queued
//     only once the robots.txt item of its origin is known in that crawl, and
//     while one of BandRobots is open a host gives out nothing else. The gate is
//     the host's: all its origins share one queue, and one of them that does
//     not answer for its robots.txt holds up the others until that has an outcome;
//   - Accepted = Queued + Waiting + Leased + sum(Outcomes), for every crawl and
//     every host, at every index;
//   - reads are safe beside Apply and see whole batches only.
//
// The rules are those of docs/protocol.md, sections 1 to 9.
package frontier

import (
	"cmp"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"salvor"
	"salvor/api"
)

// Options of a Machine. The zero value works.
type Options struct {
	// CacheBytes is the block cache; memtables are charged to it. 0 is 256 MB.
	CacheBytes int64
	// Cache is shared with other machines of the process; CacheBytes is then
	// this one's share of it. nil: a cache of its own.
	Cache *Cache
	// FS is where the state lives; nil is the operating system's.
	FS vfs.FS
	// Level is the feature level to run at; 0 is the newest. A command or a state
	// that needs a newer one is refused, and the node must stop.
	Level uint16
	// Logger takes Pebble's messages; nil drops all but errors.
	Logger pebble.Logger

	heads int // a test's
}

// Cache is a block cache that several machines share. Who made it unrefs it
// after the last of them was closed.
type Cache = pebble.Cache

// NewCache makes a shared cache of so many bytes.
func NewCache(bytes int64) *Cache { return pebble.NewCache(bytes) }

// Entry is one committed entry of the log.
type Entry struct {
	Index uint64
	Data  []byte // as Encode wrote it
}

// Outcome is what became of an Entry. By command, Result is: CreateCrawl
// api.Crawl, Discover []api.Result, Grant []api.Lease, Extend api.Renewal,
// Settle SettleResult, Reopen ReopenResult, Exclude int64, OpenSegment
// salvor.SegmentID, SetRecord uint64, the new version; nil for the others.
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
	Purse  string      // whose budget it is: the host's, or a group's of merged hosts
	Leases int         // of the budget: leases with a pace that are out
	Budget salvor.Pace // Unlimited: nothing is booked
	Free   salvor.Pace // what is not booked
	Robots bool        // only robots items are given
	// Returned is how many of the items that are granted next came back from a
	// lease: somebody was about to fetch them.
	Returned int64
}

// HostOf names a host of a crawl.
type HostOf struct {
	Crawl salvor.CrawlID
	Host  string
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
	db      *pebble.DB
	opts    *pebble.Options
	flushes flushes
	applied atomic.Uint64
	turn    atomic.Uint64 // with which crawl the next Ready begins

	mu       sync.RWMutex // held while a batch is applied and committed
	halted   error        // why nothing more is applied
	level    uint16       // the feature level it runs at
	meta     meta
	due      int64 // no waiting item is due before it, pending ones included
	crawls   map[salvor.CrawlID]*crawl
	hosts    map[string]*host
	byNum    map[uint32]*host
	groups   map[string]*group // of merged hosts
	sessions map[salvor.SessionID]*session
	leases   map[salvor.LeaseID]*lease
	readers  int // lanes that read ahead
	texts    map[*queue][]api.Robots
	heads    headCache
	origins  map[originKey]struct{} // whose robots.txt item is known
	out      map[itemID]*item       // leased items, as far as outKept allows

	segments  map[salvor.SegmentID]*api.Segment
	segmentOf map[string]salvor.SegmentID
}

// defaultCache leaves room for blocks beside the memtables, which are charged
// to the same cache: at less than four memtables and 64 MB hardly a block stays.
const defaultCache = 256 << 20

func (o Options) pebble() *pebble.Options {
	cache := cmp.Or(o.CacheBytes, int64(defaultCache))
	p := &pebble.Options{
		CacheSize:          cache,
		Cache:              o.Cache,
		MemTableSize:       uint64(min(max((cache-64<<20)/4, 4<<20), 32<<20)),
		DisableWAL:         true, // the Raft log is the log
		FormatMajorVersion: formatMajor,
		FS:                 o.FS,
		Logger:             cmp.Or(o.Logger, pebble.Logger(quiet{})),
		MaxOpenFiles:       1000,

		MemTableStopWritesThreshold: 4,
	}
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	for i := range p.Levels {
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return p
}

// formatMajor is the version of Pebble's files. Raised only together with the
// feature level: an older program could not read the state any more.
const formatMajor = pebble.FormatTableFormatV6

// quiet drops what Pebble says of its normal work. Errors come back from its
// calls, or halt it.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}

// Fatalf is called when Pebble cannot go on and must not return: its list of
// files could not be written, or its files are not what it wrote. The process
// ends as if it was killed; the log leads on from what was flushed.
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// Open opens the state in dir, or makes an empty one.
func Open(dir string, o Options) (*Machine, error) {
	m := &Machine{
		opts: o.pebble(), level: cmp.Or(o.Level, Level), due: never,
		crawls: map[salvor.CrawlID]*crawl{}, hosts: map[string]*host{}, byNum: map[uint32]*host{}, groups: map[string]*group{},
		sessions: map[salvor.SessionID]*session{}, leases: map[salvor.LeaseID]*lease{},
		texts: map[*queue][]api.Robots{}, heads: make(headCache, cmp.Or(o.heads, headsKept)), out: map[itemID]*item{},
		origins:  map[originKey]struct{}{},
		segments: map[salvor.SegmentID]*api.Segment{}, segmentOf: map[string]salvor.SegmentID{},
	}
	m.flushes.listen(m.opts)
	db, err := pebble.Open(dir, m.opts)
	if err != nil {
		return nil, fmt.Errorf("open state %s: %w", dir, err)
	}
	m.db = db
	if err := m.load(); err != nil {
		db.Close()
		return nil, fmt.Errorf("open state %s: %w", dir, err)
	}
	m.applied.Store(m.meta.applied)
	return m, nil
}

// AppliedIndex is the index of the newest entry applied.
func (m *Machine) AppliedIndex() uint64 { return m.applied.Load() }

// Flush makes everything applied durable.
func (m *Machine) Flush() error { return m.flushes.run(m.db) }

// Checkpoint flushes, then makes a copy of the state in dir, which must not
// exist, out of hard links. It returns the applied index the copy holds, which
// is read back from it: without a log of its own, a copy holds what was
// flushed, and that must not be less than what was applied before the call.
func (m *Machine) Checkpoint(dir string) (uint64, error) {
	least := m.AppliedIndex()
	if err := m.Flush(); err != nil {
		return 0, fmt.Errorf("checkpoint state: %w", err)
	}
	if err := m.db.Checkpoint(dir); err != nil {
		return 0, fmt.Errorf("checkpoint state: %w", err)
	}
	index, err := Inspect(dir, m.opts.FS)
	if err != nil {
		return 0, fmt.Errorf("checkpoint state: %w", err)
	}
	if index < least {
		return 0, salvor.Errorf(salvor.Internal, "checkpoint state: the copy is at entry %d, applied was %d", index, least)
	}
	return index, nil
}

// Inspect reads the applied index of the state in dir without changing it.
func Inspect(dir string, fs vfs.FS) (uint64, error) {
	o := Options{FS: fs, CacheBytes: 8 << 20}.pebble()
	o.ReadOnly = true
	db, err := pebble.Open(dir, o)
	if err != nil {
		return 0, fmt.Errorf("inspect state %s: %w", dir, err)
	}
	m := &Machine{db: db, level: Level}
	err = m.loadMeta()
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	return m.meta.applied, err
}

// Close makes everything applied durable and closes. Nothing else may be under
// way.
func (m *Machine) Close() error {
	err := m.Flush()
	if cerr := m.db.Close(); err == nil {
		err = cerr
	}
	return err
}

// setReady keeps the list of queues that have something queued.
func (m *Machine) setReady(q *queue) {
	c := q.c
	switch has := q.t.Queued > 0; {
	case has && q.ready < 0:
		q.ready = len(c.ready)
		c.ready = append(c.ready, q)
	case !has && q.ready >= 0:
		last := c.ready[len(c.ready)-1]
		c.ready[q.ready] = last
		last.ready = q.ready
		c.ready = c.ready[:len(c.ready)-1]
		q.ready = -1
	}
}

// readersKept bounds the memory of read-ahead: some 6 KB a lane.
const readersKept = 4096

// trim drops all read-ahead once too many lanes have it. Between batches
// nothing is pending, so every lane can begin again from its cursor.
func (m *Machine) trim() {
	if m.readers < readersKept {
		return
	}
	m.readers = 0
	for _, c := range m.crawls {
		for _, q := range c.queues {
			for i := range q.lanes {
				q.lanes[i].forget()
			}
		}
	}
}
