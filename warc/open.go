package warc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"salvor"
)

// Recovery is what Open found of earlier runs.
type Recovery struct {
	Segments []Mended    // every segment that was not stored and settled
	Entries  []Recovered // exchanges on disk that are not marked settled
}

// Mended is a segment that an earlier run left behind.
type Mended struct {
	Name    string
	ID      salvor.SegmentID
	Bytes   int64  // kept
	Cut     int64  // bytes of incomplete records that were cut off
	Lost    int    // journal entries whose records were incomplete
	Entries int    // exchanges kept
	Note    string // what was odd about it; "" nothing
}

// Open mends what earlier runs left in the spool, seals it, goes on storing
// what was sealed, and returns the exchanges that were not settled: report
// their outcomes again, then mark them with Settled. Offsets never move.
//
// The Store need not answer for Open to succeed.
func Open(ctx context.Context, c PoolConfig) (*Pool, Recovery, error) {
	if err := c.setDefaults(); err != nil {
		return nil, Recovery{}, err
	}
	packs, err := newPackers(c.Level)
	if err != nil {
		return nil, Recovery{}, err
	}
	p := &Pool{
		c: c, fs: c.FS, packs: packs,
		opening: newCtxLock(), finishing: newCtxLock(),
		shelf: make(map[salvor.SegmentID]*shelved),
		wake:  make(chan struct{}, 1),
		syncs: make(chan chan error, 256),
	}
	rec, err := p.recover(ctx)
	if err != nil {
		return nil, Recovery{}, errors.Join(err, p.closeFiles())
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	p.stop, p.ended = stop, run.Done()
	p.done.Add(2)
	go p.keep(run)
	go p.syncLoop(run)
	return p, rec, nil
}

// leftover is what the spool holds of one segment.
type leftover struct {
	name                 string
	open, final, journal bool
}

// recover looks at every segment in the spool, in the order of their names.
func (p *Pool) recover(ctx context.Context) (rec Recovery, err error) {
	if err := p.fs.MkdirAll(p.c.Dir); err != nil {
		return rec, diskError("create", p.c.Dir, err)
	}
	left, err := p.leftovers()
	if err != nil {
		return rec, err
	}
	for _, l := range left {
		if err := ctx.Err(); err != nil {
			return rec, salvor.Errorf(salvor.Interrupted, "mend segments: %w", err)
		}
		m, err := p.recoverSegment(ctx, l)
		if err != nil {
			return rec, fmt.Errorf("mend segment %s: %w", l.name, err)
		}
		if m == nil {
			continue
		}
		rec.Segments = append(rec.Segments, *m)
		if sh := p.shelf[m.ID]; sh != nil {
			es, err := p.unsettled(sh)
			if err != nil {
				return rec, err
			}
			rec.Entries = append(rec.Entries, es...)
		}
	}
	return rec, nil
}

// leftovers lists the spool, removes half-written small files, and finds the
// highest serial used.
func (p *Pool) leftovers() ([]*leftover, error) {
	names, err := p.fs.ReadDir(p.c.Dir)
	if err != nil {
		return nil, diskError("list", p.c.Dir, err)
	}
	by := make(map[string]*leftover)
	of := func(name string) *leftover {
		if by[name] == nil {
			by[name] = &leftover{name: name}
			p.serial = max(p.serial, serialOf(name))
		}
		return by[name]
	}
	for _, n := range names {
		if base, ok := strings.CutSuffix(n, ".warc.gz"+openSuffix); ok {
			of(base + ".warc.gz").open = true
		} else if base, ok := strings.CutSuffix(n, ".warc.gz.journal"); ok {
			of(base + ".warc.gz").journal = true
		} else if strings.HasSuffix(n, ".warc.gz") {
			of(n).final = true
		} else if strings.HasSuffix(n, ".tmp") {
			if err := remove(p.fs, filepath.Join(p.c.Dir, n)); err != nil {
				return nil, err
			}
		}
	}
	if err := p.readSerial(); err != nil {
		return nil, err
	}
	left := make([]*leftover, 0, len(by))
	for _, l := range by {
		left = append(left, l)
	}
	slices.SortFunc(left, func(a, b *leftover) int { return strings.Compare(a.name, b.name) })
	return left, nil
}

// serialOf reads the serial in a segment's name; 0 in a foreign one.
func serialOf(name string) uint64 {
	for part := range strings.SplitSeq(name, "-") {
		if len(part) >= 5 && len(part) < 17 {
			if n, err := strconv.ParseUint(part, 10, 64); err == nil {
				return n
			}
		}
	}
	return 0
}

func (p *Pool) readSerial() error {
	path := filepath.Join(p.c.Dir, serialFile)
	b, err := readAll(p.fs, path, 64)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return diskError("read", path, err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return salvor.Errorf(salvor.Invalid, "%s holds %q, not a number", path, b).
			WithHint("Write into it a number above the serial of every segment in the Store.")
	}
	p.serial = max(p.serial, n)
	return nil
}

// recoverSegment decides by what is there. A nil Mended means that nothing was
// worth keeping or telling.
func (p *Pool) recoverSegment(ctx context.Context, l *leftover) (*Mended, error) {
	if !l.journal {
		return p.adopt(ctx, l, "its journal is missing")
	}
	g, err := p.readJournal(l.name)
	if err != nil {
		return nil, err
	}
	if g.head.Name != l.name {
		if err := remove(p.fs, journalPath(p.c.Dir, l.name)); err != nil {
			return nil, err
		}
		return p.adopt(ctx, l, "its journal has no readable beginning")
	}
	switch {
	case l.open || l.final:
		return p.mend(ctx, l, g)
	case g.j.stored:
		return p.shelve(l, g, "")
	}
	return p.missing(ctx, l, g)
}

// missing: the journal promises a segment that is not in the spool.
func (p *Pool) missing(ctx context.Context, l *leftover, g *gist) (*Mended, error) {
	if g.j.count == 0 && g.sealed == nil {
		g.j.close()
		return nil, remove(p.fs, g.j.path)
	}
	info, err := p.c.Store.Stat(ctx, Key(l.name))
	if err == nil {
		if _, err := g.j.append(&journalEntry{Kind: kindStored}); err != nil {
			return nil, err
		}
		g.size = info.Size
		return p.shelve(l, g, "it left the spool, but lies in the Store")
	}
	if salvor.ClassOf(err) != salvor.NotFound {
		return nil, err
	}
	g.j.close()
	if err := p.fs.Rename(g.j.path, g.j.path+".lost"); err != nil {
		return nil, diskError("rename", g.j.path, err)
	}
	return &Mended{Name: l.name, ID: g.head.ID, Lost: int(g.j.count),
		Note: "the segment is neither in the spool nor in the Store; its journal was kept as " + filepath.Base(g.j.path) + ".lost"}, nil
}

// shelve takes a sealed segment over: into the queue unless it is stored.
func (p *Pool) shelve(l *leftover, g *gist, note string) (*Mended, error) {
	sh := &shelved{name: l.name, id: g.head.ID, j: g.j, size: g.size, sum: g.sum}
	m := &Mended{Name: l.name, ID: sh.id, Bytes: g.size, Cut: g.cut, Lost: g.lost, Entries: int(g.j.count), Note: note}
	if sh.j.stored && sh.j.open == 0 {
		return nil, p.drop(sh)
	}
	p.shelf[sh.id] = sh
	if !sh.j.stored {
		p.queue = append(p.queue, sh)
	}
	return m, nil
}

// unsettled lists what a journal does not mark as settled.
func (p *Pool) unsettled(sh *shelved) (es []Recovered, err error) {
	seq := uint32(0)
	err = eachEntry(p.fs, sh.j.path, func(e *journalEntry) {
		if e.Kind != kindExchange {
			return
		}
		if sh.j.unsettled(seq) {
			es = append(es, Recovered{
				Entry:       e.Entry,
				Place:       salvor.Place{Segment: sh.id, Offset: e.Start, Length: e.Resp},
				Ticket:      Ticket{Segment: sh.id, Seq: seq},
				Revisit:     e.CDX.Revisit,
				HasMetadata: e.Meta > 0,
				Stored:      sh.j.stored,
				p:           p, name: sh.name, meta: e.Start + e.Meta, end: e.Start + e.Size,
			})
		}
		seq++
	})
	return es, err
}
