package warc

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/gzip"

	"salvor"
)

// How a segment's journal travels by way of the Store: packed beside the
// segment, and unpacked into the spool of a machine that takes a crawl over.

// packJournal is the journal without the marks of its way: what is settled or
// synced changes, and an object in the Store does not.
func (p *Pool) packJournal(sh *shelved) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, DefaultLevel)
	if err != nil {
		return nil, err
	}
	var scratch []byte
	var failed error
	write := func(e *journalEntry) {
		if failed == nil {
			scratch = appendEntry(scratch[:0], e)
			_, failed = z.Write(scratch)
		}
	}
	if _, err := io.WriteString(z, journalMagic); err != nil {
		return nil, err
	}
	err = eachEntry(p.fs, sh.j.path, func(e *journalEntry) {
		switch e.Kind {
		case kindHeader, kindRecord, kindExchange:
			write(e)
		}
	})
	write(&journalEntry{Kind: kindSealed, Bytes: sh.size, SHA256: sh.sum})
	for _, e := range []error{err, failed, z.Close()} {
		if e != nil {
			return nil, fmt.Errorf("pack journal of %s: %w", sh.name, e)
		}
	}
	return b.Bytes(), nil
}

// maxCarried bounds an unpacked journal: some 10 MB are usual.
const maxCarried = 1 << 30

// Carried is what a packed journal says of its segment.
type Carried struct {
	Name   string
	Bytes  int64
	SHA256 [32]byte
}

// Adopt writes a journal that was packed beside a stored segment into a spool
// that no Pool has open, so that the next Open reports what the segment holds.
// number gives the segment's number in this crawl.
func Adopt(dir string, packed io.Reader, number func(Carried) (salvor.SegmentID, error)) error {
	raw, err := unpackJournal(packed)
	if err != nil {
		return err
	}
	var c Carried
	var entries []journalEntry
	end, err := scanJournal(bytes.NewReader(raw), int64(len(raw)), func(_ int64, e *journalEntry) error {
		switch e.Kind {
		case kindHeader:
			c.Name = e.Name
		case kindSealed:
			c.Bytes, c.SHA256 = e.Bytes, e.SHA256
		}
		entries = append(entries, *e)
		return nil
	})
	if err != nil {
		return err
	}
	if end != int64(len(raw)) || c.Bytes == 0 || len(entries) == 0 || entries[0].Kind != kindHeader || c.Name != filepath.Base(c.Name) {
		return salvor.Errorf(salvor.Invalid, "journal of segment %q is damaged at byte %d of %d", c.Name, end, len(raw))
	}
	if entries[0].ID, err = number(c); err != nil {
		return err
	}
	b := []byte(journalMagic)
	for _, e := range append(entries, journalEntry{Kind: kindStored}) {
		b = appendEntry(b, &e)
	}
	if err := (osFS{}).MkdirAll(dir); err != nil {
		return diskError("create", dir, err)
	}
	return writeDurably(osFS{}, journalPath(dir, c.Name), b)
}

func unpackJournal(packed io.Reader) ([]byte, error) {
	z, err := gzip.NewReader(packed)
	if err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "read journal: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(z, maxCarried+1))
	if err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "read journal: %w", err)
	}
	if len(raw) > maxCarried {
		return nil, salvor.Errorf(salvor.Invalid, "read journal: it is larger than %d bytes", maxCarried)
	}
	return raw, nil
}

// Shelf names the segments whose exchanges are not all settled, oldest first:
// what a copy of the coordinator's state made now may not know.
func (p *Pool) Shelf() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := make([]string, 0, len(p.shelf))
	for _, sh := range p.shelf {
		names = append(names, sh.name)
	}
	slices.Sort(names)
	return names
}
