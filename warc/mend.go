package warc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/gzip"

	"salvor"
)

// gist is what a journal says on one reading.
type gist struct {
	j      *journalFile
	head   journalEntry
	spans  []span // of records, each beginning where the last ended
	synced int64
	sealed *journalEntry

	size, cut int64 // of the segment, after mending
	lost      int
	sum       [32]byte
}

// span is where an entry's records end, and where the entry begins.
type span struct {
	end, journal int64
	exchange     bool
}

// readJournal opens a journal for appending and cuts off a torn tail.
func (p *Pool) readJournal(name string) (*gist, error) {
	path := journalPath(p.c.Dir, name)
	f, err := p.fs.OpenFile(path, os.O_RDWR)
	if err != nil {
		return nil, diskError("open", path, err)
	}
	g := &gist{j: &journalFile{fs: p.fs, path: path, f: f}}
	size, err := f.Size()
	if err == nil {
		g.j.off, err = scanJournal(f, size, g.take)
	}
	if err != nil && err != errGap {
		f.Close()
		if salvor.ClassOf(err) == salvor.TooNew {
			return nil, err
		}
		return nil, diskError("read", path, err)
	}
	if g.j.off < size {
		g.j.torn = true
	}
	return g, nil
}

var errGap = errors.New("records do not follow each other")

// take adds up one entry.
func (g *gist) take(off int64, e *journalEntry) error {
	if g.head.Name == "" && e.Kind != kindHeader {
		return errGap
	}
	switch e.Kind {
	case kindHeader:
		g.head = *e
	case kindRecord, kindExchange:
		if e.Start != g.end() {
			return errGap
		}
		g.spans = append(g.spans, span{end: e.Start + e.Size, journal: off, exchange: e.Kind == kindExchange})
	case kindSynced:
		g.synced = e.Synced
	case kindSealed:
		g.sealed = e
	}
	g.j.note(e)
	return nil
}

func (g *gist) end() int64 {
	if n := len(g.spans); n > 0 {
		return g.spans[n-1].end
	}
	return 0
}

// mend brings an .open segment, or one whose sealing was interrupted, to its
// last whole exchange that the journal knows, and seals it.
func (p *Pool) mend(ctx context.Context, l *leftover, g *gist) (*Mended, error) {
	path := filepath.Join(p.c.Dir, l.name)
	if l.open {
		path += openSuffix
	}
	f, err := p.fs.OpenFile(path, os.O_RDWR)
	if err != nil {
		return nil, diskError("open", path, err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, diskError("stat", path, err)
	}
	if g.sealed != nil && g.sealed.Bytes == size && size == g.end() {
		g.size, g.sum = size, g.sealed.SHA256
		if l.open {
			err = sealFile(p.fs, p.c.Dir, l.name, g.j, g.size, g.sum)
		}
		if err != nil {
			return nil, err
		}
		return p.shelve(l, g, "")
	}
	if err := g.cutBoth(ctx, path, f, size); err != nil {
		return nil, err
	}
	return p.sealMended(ctx, l, g, f, path)
}

// cutBoth finds the last whole common exchange and cuts segment and journal
// there. What the journal says was fsynced is not decompressed again.
func (g *gist) cutBoth(ctx context.Context, path string, f File, size int64) error {
	good, err := g.lastWhole(ctx, f, size)
	if err != nil {
		return err
	}
	kept, exchanges := 0, uint32(0)
	for kept < len(g.spans) && g.spans[kept].end <= good {
		if g.spans[kept].exchange {
			exchanges++
		}
		kept++
	}
	g.size, g.cut = good, size-good
	if size > good {
		if err := f.Truncate(good); err != nil {
			return diskError("truncate", path, err)
		}
	}
	if kept == len(g.spans) {
		return nil
	}
	from := g.spans[kept].journal
	g.lost, g.spans = int(g.j.count-exchanges), g.spans[:kept]
	return g.j.cutTo(from, exchanges)
}

// lastWhole is the largest end of an entry up to which all gzip members are
// whole.
func (g *gist) lastWhole(ctx context.Context, f File, size int64) (int64, error) {
	good, next := int64(0), 0
	for next < len(g.spans) && g.spans[next].end <= min(g.synced, size) && g.synced <= size {
		good = g.spans[next].end
		next++
	}
	err := wholeMembers(ctx, f, good, size, func(end int64) bool {
		if next < len(g.spans) && end == g.spans[next].end {
			good = end
			next++
		}
		return next < len(g.spans) && end <= g.spans[next].end
	})
	return good, err
}

// wholeMembers decompresses gzip members one after the other, in constant
// memory, and tells the end of each whole one until it meets damage, the end,
// or a no. Only errors of reading the file and of ctx are errors.
func wholeMembers(ctx context.Context, f io.ReaderAt, from, size int64, each func(end int64) bool) error {
	src := &faults{r: io.NewSectionReader(f, from, size-from), ctx: ctx}
	in := newOffsetReader(src, from)
	var gz gzip.Reader
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	for in.offset() < size {
		if _, err := in.Peek(1); err != nil {
			break
		}
		if err := gz.Reset(in.Reader); err != nil {
			break
		}
		gz.Multistream(false)
		if _, err := io.CopyBuffer(writerOnly{io.Discard}, readerOnly{&gz}, *buf); err != nil {
			break
		}
		if !each(in.offset()) {
			break
		}
	}
	return src.err
}

type readerOnly struct{ io.Reader }

// faults remembers an error of the file, which is not damage of its content.
type faults struct {
	r   io.Reader
	ctx context.Context
	err error
}

func (s *faults) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		s.err = salvor.Errorf(salvor.Interrupted, "read segment: %w", err)
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = salvor.Errorf(salvor.Internal, "read segment: %w", err)
	}
	return n, err
}

// cutTo forgets the entries from off on, except the marks of exchanges that
// are kept.
func (j *journalFile) cutTo(off int64, exchanges uint32) error {
	var marks []uint32
	for s := range exchanges {
		if !j.unsettled(s) {
			marks = append(marks, s)
		}
	}
	j.off, j.torn = off, true
	j.count, j.open, j.settled = 0, 0, nil
	for range exchanges {
		j.note(&journalEntry{Kind: kindExchange})
	}
	return j.settle(marks)
}

// sealMended seals what is left, or removes what is nothing.
func (p *Pool) sealMended(ctx context.Context, l *leftover, g *gist, f File, path string) (*Mended, error) {
	if g.j.count == 0 && len(g.spans) <= 1 || g.size == 0 {
		g.j.close()
		if err := remove(p.fs, path); err != nil {
			return nil, err
		}
		if g.cut == 0 && g.lost == 0 {
			return nil, remove(p.fs, g.j.path)
		}
		return &Mended{Name: l.name, ID: g.head.ID, Cut: g.cut, Lost: g.lost, Note: "nothing whole was in it"}, remove(p.fs, g.j.path)
	}
	sum, err := hashFile(ctx, f, g.size)
	if err != nil {
		return nil, err
	}
	g.sum = sum
	if err := f.Sync(); err != nil {
		return nil, diskError("sync", path, err)
	}
	if !l.open { // sealed once, damaged since: give it the name sealing starts from
		if err := p.fs.Rename(path, path+openSuffix); err != nil {
			return nil, diskError("rename", path, err)
		}
	}
	if err := sealFile(p.fs, p.c.Dir, l.name, g.j, g.size, g.sum); err != nil {
		return nil, err
	}
	note := ""
	if g.sealed != nil {
		note = fmt.Sprintf("it was sealed with %d bytes and has changed since", g.sealed.Bytes)
	}
	return p.shelve(l, g, note)
}

func hashFile(ctx context.Context, f File, size int64) (sum [32]byte, err error) {
	h := newSHA256()
	src := &faults{r: bufio.NewReaderSize(io.NewSectionReader(f, 0, size), 256<<10), ctx: ctx}
	n, err := io.Copy(h, readerOnly{src})
	if err == nil && n != size {
		err = salvor.Errorf(salvor.Internal, "read segment: %d bytes of %d", n, size)
	}
	if err != nil {
		return sum, err
	}
	return [32]byte(h.Sum(nil)), nil
}
