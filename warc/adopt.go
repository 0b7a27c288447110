package warc

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"salvor"
)

// adopt takes over a segment that has no journal, which only somebody's hand
// or a damaged disk can leave: nobody is waiting for its exchanges, but the
// bytes are not thrown away. A new journal is made from its records.
func (p *Pool) adopt(ctx context.Context, l *leftover, why string) (*Mended, error) {
	path := filepath.Join(p.c.Dir, l.name)
	if l.open {
		path += openSuffix
	}
	if !l.open && !l.final {
		return nil, nil
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
	g := &gist{}
	if err := wholeMembers(ctx, f, 0, size, func(end int64) bool {
		g.size = end
		return true
	}); err != nil {
		return nil, err
	}
	entries, err := scanRecords(ctx, f, g.size)
	if err != nil {
		return nil, err
	}
	if n := len(entries); n > 0 {
		g.size = entries[n-1].Start + entries[n-1].Size
	}
	g.cut = size - g.size
	if len(entries) < 2 {
		return &Mended{Name: l.name, Cut: size, Note: why + " and it held no whole capture: removed"}, remove(p.fs, path)
	}
	if entries[0].Size <= 0 || entries[len(entries)-1].Start == 0 { // several records in a gzip member
		aside := filepath.Join(p.c.Dir, l.name) + ".foreign"
		if err := p.fs.Rename(path, aside); err != nil {
			return nil, diskError("rename", path, err)
		}
		return &Mended{Name: l.name, Note: why + " and this program did not write it: left as " + filepath.Base(aside)}, nil
	}
	if err := p.newJournal(ctx, l.name, g, entries); err != nil {
		return nil, err
	}
	if err := f.Truncate(g.size); err != nil {
		return nil, diskError("truncate", path, err)
	}
	m, err := p.sealMended(ctx, l, g, f, path)
	if m != nil {
		m.Note = why
	}
	return m, err
}

func (p *Pool) newJournal(ctx context.Context, name string, g *gist, entries []journalEntry) (err error) {
	g.head = journalEntry{Kind: kindHeader, Name: name, ID: salvor.SegmentID(serialOf(name)), Opened: p.c.Now().UnixMilli()}
	if p.c.OpenSegment != nil {
		if g.head.ID, err = p.c.OpenSegment(ctx, name); err != nil {
			return err
		}
	}
	if g.j, err = createJournal(p.fs, journalPath(p.c.Dir, name), &g.head); err != nil {
		return err
	}
	for i := range entries {
		if _, err := g.j.append(&entries[i]); err != nil {
			return err
		}
		g.spans = append(g.spans, span{end: entries[i].Start + entries[i].Size})
	}
	return nil
}

// scanRecords makes a journal entry of every record up to size. It stops at
// the first thing that is no record.
func scanRecords(ctx context.Context, f io.ReaderAt, size int64) (es []journalEntry, err error) {
	src := &faults{r: io.NewSectionReader(f, 0, size), ctx: ctx}
	r := NewReader(src, 0, nil)
	for {
		rec, err := r.Next()
		if n := len(es); n > 0 && (err == nil || err == io.EOF) {
			es[n-1].Size = r.lastEnd() - es[n-1].Start
			es[n-1].Resp = es[n-1].Size
		}
		if err != nil {
			if n := len(es); n > 0 && es[n-1].Size == 0 {
				es = es[:n-1]
			}
			return es, src.err
		}
		es = append(es, journalEntry{Kind: kindRecord, Start: rec.Offset, CDX: describe(rec)})
	}
}

// describe reads what an index line needs from a record.
func describe(rec *Record) (c cdxInfo) {
	at, _ := time.Parse(time.RFC3339Nano, rec.Get("WARC-Date"))
	c = cdxInfo{URL: rec.Get("WARC-Target-URI"), At: at.UnixMilli(), Detected: mediaType(rec.Get("WARC-Identified-Payload-Type"))}
	ct := declaredType([]byte(rec.Get("Content-Type")))
	c.ID, _ = parseID(rec.ID())
	d := inspect(rec)
	if c.Digest, c.HasSum = payloadField(rec); !c.HasSum {
		c.Digest, c.HasSum = d.entity, d.whole
	}
	switch typ := rec.Get("WARC-Type"); typ {
	case "revisit":
		c.Index, c.Revisit, c.Mime, c.Detected = true, true, "warc/revisit", ""
		c.Digest, c.HasSum = payloadField(rec)
	case "response", "resource":
		c.Index, c.Mime = rec.Length > 0, ct
		if c.HTTP = d.http; d.http {
			c.Mime, c.Status = d.head.mime, d.status
			setDefault(&c.Mime, "unk")
		}
		_, has := payloadField(rec)
		c.Original = has && typ == "response" && d.http && d.entity != emptySHA1
	}
	return c
}
