package warc

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"salvor"
)

// Recovered is an exchange whose outcome was not acknowledged.
type Recovered struct {
	Entry
	Place       salvor.Place
	Ticket      Ticket
	Revisit     bool
	HasMetadata bool
	Stored      bool // its segment is in the Store, and that was reported

	p         *Pool
	name      string
	meta, end int64
}

// Receipt is what Settled takes.
func (r *Recovered) Receipt() Receipt {
	return Receipt{Place: r.Place, Ticket: r.Ticket, Revisit: r.Revisit}
}

// Response opens the stored response message: the block of its record. Of a
// revisit only the head is there.
func (r *Recovered) Response(ctx context.Context) (io.ReadCloser, error) {
	return r.p.block(ctx, r.name, r.Place.Offset, r.Place.Offset+r.Place.Length)
}

// maxMetadata bounds what is read back; a page of 100,000 links has 10 MB.
const maxMetadata = 256 << 20

// Metadata reads the stored metadata record back; nil when none was written.
func (r *Recovered) Metadata(ctx context.Context) (*Metadata, error) {
	if !r.HasMetadata {
		return nil, nil
	}
	b, err := r.p.block(ctx, r.name, r.meta, r.end)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	text, err := io.ReadAll(io.LimitReader(b, maxMetadata))
	if err != nil {
		return nil, damaged(r.name, err)
	}
	return ParseMetadata(text), nil
}

// block opens the block of the record in [from, to) of a segment, in the spool
// or in the Store.
func (p *Pool) block(ctx context.Context, name string, from, to int64) (io.ReadCloser, error) {
	src, err := p.section(ctx, name, from, to)
	if err != nil {
		return nil, err
	}
	rec, err := NewReader(src, from, nil).Next()
	if err != nil {
		src.Close()
		return nil, damaged(name, err)
	}
	return readCloser{rec.Block, src}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

func (p *Pool) section(ctx context.Context, name string, from, to int64) (io.ReadCloser, error) {
	path := filepath.Join(p.c.Dir, name)
	f, err := p.fs.OpenFile(path, os.O_RDONLY)
	if os.IsNotExist(err) {
		f, err = p.fs.OpenFile(path+openSuffix, os.O_RDONLY)
	}
	if os.IsNotExist(err) {
		return p.c.Store.Range(ctx, Key(name), from, to-from)
	}
	if err != nil {
		return nil, diskError("open", path, err)
	}
	return readCloser{io.NewSectionReader(f, from, to-from), f}, nil
}
