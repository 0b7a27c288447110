package warc

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"salvor"
)

// Pool writes exchanges into several open segments. All its methods may be
// called at the same time.
type Pool struct {
	c      PoolConfig
	fs     FS
	packs  *packers
	broken atomic.Pointer[error] // an fsync failed: no more is taken in
	hurry  atomic.Int64          // ns: the age at which any segment is sealed; 0 as configured

	opening ctxLock // one segment is opened at a time; guards serial
	serial  uint64

	mu     sync.Mutex
	open   []*segment
	queue  []*shelved                    // detached, on their way to the Store, oldest first
	shelf  map[salvor.SegmentID]*shelved // whose journals are still needed
	closed bool

	finishing ctxLock // one pass over the queue at a time
	wake      chan struct{}
	syncs     chan chan error
	stop      context.CancelFunc
	ended     <-chan struct{} // closed by stop
	done      sync.WaitGroup
}

// shelved is a segment as its journal's owner sees it, from opening until
// nothing of it is needed in the spool.
type shelved struct {
	name string
	id   salvor.SegmentID
	j    *journalFile

	mu       sync.Mutex
	seg      *segment // while the file has its .open name
	size     int64    // once sealed
	sum      [32]byte
	reported bool // OnSealed returned
}

// Write appends an exchange to an open segment. It is on disk, but not
// durable, when Write returns: see Sync. On an error nothing of it is left.
func (p *Pool) Write(ctx context.Context, e *Exchange) (Receipt, error) {
	if err := e.check(); err != nil {
		return Receipt{}, err
	}
	pk := p.packs.get()
	defer p.packs.put(pk)
	if e.Response.Size() > p.c.small {
		return p.writeLarge(ctx, pk, e)
	}
	return p.writeSmall(ctx, pk, e)
}

func (e *Exchange) check() error {
	if err := checkURI(e.URL); err != nil {
		return err
	}
	if e.Response == nil {
		return salvor.Errorf(salvor.Invalid, "exchange of %.200s has no response block", e.URL)
	}
	if len(e.Journal.Extra) > maxExtra {
		return salvor.Errorf(salvor.Invalid, "journal entry of %.200s has %d bytes of extra, at most %d are allowed", e.URL, len(e.Journal.Extra), maxExtra)
	}
	return nil
}

// writeSmall compresses before it takes a segment's lock: other writers wait
// for one write call only. The records name their segment's warcinfo, so in
// the rare case that the segment is sealed meanwhile they are packed again.
func (p *Pool) writeSmall(ctx context.Context, pk *packer, e *Exchange) (rc Receipt, err error) {
	var packed *segment
	var l layout
	for {
		s, err := p.pick(ctx)
		if err != nil {
			return rc, err
		}
		if s != packed {
			if l, err = pk.small(e, s.info); err != nil {
				return rc, err
			}
			packed = s
		}
		ok := false
		if err = p.withSegment(ctx, s, int64(len(pk.buf)), func() error {
			ok = true
			entry := e.entry(&l)
			seq, err := s.append(pk.buf, entry)
			rc = receipt(s, entry, seq)
			return err
		}); err != nil {
			return Receipt{}, err
		}
		if ok {
			return rc, nil
		}
	}
}

// writeLarge holds a segment while the body streams into it; pick sends other
// writers elsewhere meanwhile.
func (p *Pool) writeLarge(ctx context.Context, pk *packer, e *Exchange) (rc Receipt, err error) {
	for {
		s, err := p.pick(ctx)
		if err != nil {
			return rc, err
		}
		ok := false
		s.streams.Add(1)
		err = p.withSegment(ctx, s, e.Response.Size()/4, func() error {
			ok = true
			entry := &journalEntry{}
			seq, err := s.stream(func(w *segmentWriter) error {
				l, err := pk.exchange(ctxWriter{ctx, w}, e, s.info)
				*entry = *e.entry(&l)
				return err
			}, entry)
			rc = receipt(s, entry, seq)
			return err
		})
		s.streams.Add(-1)
		if err != nil {
			return Receipt{}, err
		}
		if ok {
			return rc, nil
		}
	}
}

// withSegment runs write while it holds s, unless s is sealed or n bytes more
// would make it too large; then it returns without having run it.
func (p *Pool) withSegment(ctx context.Context, s *segment, n int64, write func() error) error {
	if err := s.acquire(ctx); err != nil {
		return err
	}
	defer s.release()
	if s.closed {
		return nil
	}
	if good := s.good.Load(); good > s.first && good+n > p.c.MaxSize {
		p.detach(s)
		return nil
	}
	err := write()
	if s.good.Load() >= p.c.MaxSize || p.c.MaxExchanges > 0 && s.j.exchanges() >= p.c.MaxExchanges {
		p.detach(s)
	}
	return err
}

// ctxWriter stops a large body when its context ends.
type ctxWriter struct {
	ctx context.Context
	w   *segmentWriter
}

func (c ctxWriter) Write(b []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, salvor.Errorf(salvor.Interrupted, "write record: %w", context.Cause(c.ctx))
	}
	return c.w.Write(b)
}

func receipt(s *segment, e *journalEntry, seq uint32) Receipt {
	return Receipt{
		Place:   salvor.Place{Segment: s.id, Offset: e.Start, Length: e.Resp},
		Revisit: e.CDX.Revisit,
		Ticket:  Ticket{Segment: s.id, Seq: seq},
	}
}

// pick chooses a segment: the first that no large body is streaming into, else
// a new one, else, with Writers open, the one with the fewest streams.
func (p *Pool) pick(ctx context.Context) (*segment, error) {
	if s, err := p.choose(); s != nil || err != nil {
		return s, err
	}
	select {
	case p.opening <- struct{}{}:
	case <-ctx.Done():
		return nil, salvor.Errorf(salvor.Interrupted, "open segment: %w", context.Cause(ctx))
	}
	defer func() { <-p.opening }()
	if s, err := p.choose(); s != nil || err != nil {
		return s, err
	}
	return p.openSegment(ctx)
}

func (p *Pool) choose() (*segment, error) {
	if err := p.broken.Load(); err != nil {
		return nil, *err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	var best *segment
	for _, s := range p.open {
		if best == nil || s.streams.Load() < best.streams.Load() {
			best = s
		}
	}
	if best == nil || best.streams.Load() > 0 && len(p.open) < p.c.Writers {
		return nil, nil
	}
	return best, nil
}

var errClosed = salvor.Errorf(salvor.Unavailable, "segments are closed")

// openSegment makes the next segment, its warcinfo first.
func (p *Pool) openSegment(ctx context.Context) (*segment, error) {
	name, err := p.nextName()
	if err != nil {
		return nil, err
	}
	id := salvor.SegmentID(p.serial)
	if p.c.OpenSegment != nil {
		if id, err = p.number(ctx, name); err != nil {
			return nil, fmt.Errorf("number segment %s: %w", name, err)
		}
	}
	pk := p.packs.get()
	defer p.packs.put(pk)
	info, now := newRecordID(pk.rng), p.c.Now()
	if err := pk.warcinfo(info, name, now, p.c.Info(name)); err != nil {
		return nil, err
	}
	s, err := createSegment(p.fs, p.c.Dir, name, id, info, now)
	if err != nil {
		return nil, err
	}
	if _, err := s.append(pk.buf, &journalEntry{Kind: kindRecord, Resp: int64(len(pk.buf))}); err != nil {
		s.discard()
		return nil, err
	}
	s.first = s.good.Load()
	return s, p.admit(s)
}

// number asks for a segment's number until there is an answer: the same name
// gets the same number, however often it is asked for, and a coordinator that
// is away for a moment costs no exchange.
func (p *Pool) number(ctx context.Context, name string) (salvor.SegmentID, error) {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		id, err := p.c.OpenSegment(ctx, name)
		if salvor.ClassOf(err) != salvor.Unavailable {
			return id, err
		}
		select {
		case <-ctx.Done():
			return 0, err
		case <-p.ended:
			return 0, err
		case <-time.After(wait):
		}
	}
}

func (p *Pool) admit(s *segment) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		s.discard()
		return errClosed
	}
	p.open = append(p.open, s)
	p.shelf[s.id] = &shelved{name: s.name, id: s.id, j: s.j, seg: s}
	p.nudge()
	return nil
}

// Settled marks exchanges whose outcomes were acknowledged, so that they do
// not come back from the next Open. Marks become durable with the next Sync;
// one that is lost only causes an outcome to be reported twice.
func (p *Pool) Settled(ctx context.Context, rs []Receipt) error {
	by := make(map[*shelved][]uint32)
	p.mu.Lock()
	for _, r := range rs {
		if sh := p.shelf[r.Ticket.Segment]; sh != nil {
			by[sh] = append(by[sh], r.Ticket.Seq)
		}
	}
	p.mu.Unlock()
	for sh, seqs := range by {
		if err := sh.j.settle(seqs); err != nil {
			return err
		}
		if err := p.drop(sh); err != nil {
			return err
		}
	}
	return nil
}

// detach takes a segment out of use; the caller holds its lock. One with
// nothing but a warcinfo is removed.
func (p *Pool) detach(s *segment) {
	s.closed = true
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, o := range p.open {
		if o == s {
			p.open = append(p.open[:i:i], p.open[i+1:]...)
			break
		}
	}
	sh := p.shelf[s.id]
	if s.good.Load() == s.first && s.j.count == 0 {
		delete(p.shelf, s.id)
		s.discard()
		return
	}
	p.queue = append(p.queue, sh)
	p.nudge()
}

// Spooled is how many bytes of segments are not in the Store yet.
func (p *Pool) Spooled() (n int64) {
	p.mu.Lock()
	for _, s := range p.open {
		n += s.good.Load()
	}
	queue := append([]*shelved(nil), p.queue...)
	p.mu.Unlock()
	for _, sh := range queue { // one that is being sealed is locked for an fsync
		n += sh.bytes()
	}
	return n
}

// bytes is the length of a segment that takes no more.
func (sh *shelved) bytes() int64 {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.seg != nil {
		return sh.seg.good.Load()
	}
	return sh.size
}

// nudge wakes the keeper.
func (p *Pool) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
