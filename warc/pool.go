package warc

import (
	"context"
	"io"
	"time"

	"salvor"
	"salvor/api"
	"salvor/storage"
)

// PoolConfig says where segments live and when they are sealed.
type PoolConfig struct {
	Dir     string        // the spool: .open segments, journals, sealed ones on their way
	Store   storage.Store // where sealed segments go, under the key Key(name)
	Writers int           // segments open at once; default 4
	MaxSize int64         // a segment of this size is sealed; default 1 GB
	MaxAge  time.Duration // so is one of this age; default 60 min
	Prefix  string        // of file names; default "salvor"
	Node    string        // name of this worker in file names; default "local"
	Level   int           // gzip level; default DefaultLevel
	// Info gives the content of a segment's warcinfo. It is called once a segment.
	Info func(name string) Warcinfo
	// OpenSegment numbers a segment; the same name gets the same number.
	OpenSegment func(ctx context.Context, name string) (salvor.SegmentID, error)
	// OnSealed and OnStored report a segment's way to the Store. They may be
	// called again after a crash; an error is retried until Close.
	OnSealed, OnStored func(ctx context.Context, s api.Segment) error
	// OnError hears of troubles of the background that are being retried.
	OnError func(error)
	Now     func() time.Time // default time.Now
}

// Pool writes exchanges into several open segments.
type Pool struct{}

// Recovery is what Open found of earlier runs.
type Recovery struct {
	Segments []Mended
	Entries  []Recovered // exchanges on disk that are not marked settled
}

// Mended is a segment that an earlier run left behind.
type Mended struct {
	Name    string
	ID      salvor.SegmentID
	Bytes   int64 // kept
	Cut     int64 // bytes of incomplete records that were cut off
	Lost    int   // journal entries whose records were incomplete
	Entries int   // exchanges kept
	Note    string
}

// Recovered is an exchange whose outcome was not acknowledged.
type Recovered struct {
	Entry
	Place       salvor.Place
	Ticket      Ticket
	HasMetadata bool
}

// Receipt is what Settled takes.
func (r Recovered) Receipt() Receipt {
	return Receipt{Place: r.Place, Ticket: r.Ticket, Revisit: r.Outcome == salvor.Revisit}
}

// Response opens the stored response message: the block of its record. Of a
// revisit only the head is there.
func (r Recovered) Response(ctx context.Context) (io.ReadCloser, error) { return nil, errNotYet }

// Metadata reads the stored metadata record back; nil when none was written.
func (r Recovered) Metadata(ctx context.Context) (*Metadata, error) { return nil, errNotYet }

var errNotYet = salvor.Errorf(salvor.Unavailable, "not yet")

// Open mends what earlier runs left in the spool, finishes interrupted
// sealing, and returns what they had not settled.
func Open(ctx context.Context, c PoolConfig) (*Pool, Recovery, error) {
	return nil, Recovery{}, errNotYet
}

// Write appends an exchange to an open segment. It is on disk, but not
// durable, when Write returns: see Sync. Safe for concurrent use.
func (p *Pool) Write(ctx context.Context, e *Exchange) (Receipt, error) { return Receipt{}, errNotYet }

// WriteResource appends a resource record, such as a log or a report.
func (p *Pool) WriteResource(ctx context.Context, uri, contentType string, body []byte) error {
	return errNotYet
}

// WriteDNS appends a resolution as a resource record of dns:host (RFC 4501).
func (p *Pool) WriteDNS(ctx context.Context, host string, at time.Time, server string, answers string) error {
	return errNotYet
}

// Sync makes everything durable that was written before it was called.
// Concurrent calls share one round of fsync.
func (p *Pool) Sync(ctx context.Context) error { return errNotYet }

// Settled marks exchanges whose outcomes were acknowledged, so that they do
// not come back from the next Open.
func (p *Pool) Settled(ctx context.Context, rs []Receipt) error { return errNotYet }

// Seal seals all open segments and waits until everything sealed is stored.
func (p *Pool) Seal(ctx context.Context) error { return errNotYet }

// Close makes everything durable and lets go of the spool. It does not seal:
// call Seal first, or let the next Open go on.
func (p *Pool) Close(ctx context.Context) error { return errNotYet }

// Key is where a segment lies in the Store; its CDXJ lies beside it.
func Key(name string) string { return "warc/" + name }
