package access

import (
	"context"
	"errors"
	"io"
	"strings"

	"salvor"
	"salvor/warc"
)

// Group is the records of one exchange: that of a capture, and the request and the
// metadata that follow it.
type Group struct {
	Parts    []Part // as they follow each other in the capture's file
	Metadata *warc.Metadata
}

// Part is a record and where it stands.
type Part struct {
	Type           string // response, request, metadata ...
	Offset, Length int64
}

func (g *Group) end(at int64) {
	last := &g.Parts[len(g.Parts)-1]
	last.Length = at - last.Offset
}

// mostMetadata bounds what is read of a metadata record.
const mostMetadata = 64 << 20

// GroupOf finds the records that belong to a capture. They stand behind it, name it in
// WARC-Concurrent-To, and are of the same URL; where others wrote the file there may
// be none.
func (c *Collection) GroupOf(ctx context.Context, x Capture) (g Group, err error) {
	r, _, err := c.OpenSegment(ctx, x.Filename, x.Offset, -1)
	if err != nil {
		return g, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	rd := warc.NewReader(r, x.Offset, nil)
	first, err := rd.Next()
	if err != nil {
		return g, damaged(x, err)
	}
	g.Parts = []Part{{strings.ToLower(first.Get("WARC-Type")), x.Offset, x.Length}}
	ids := map[string]bool{first.ID(): true}
	for {
		rec, err := rd.Next()
		if err == io.EOF {
			p, err := c.place(ctx, x.Filename)
			g.end(p.bytes)
			return g, err
		}
		if err != nil && len(g.Parts) == 1 && x.Length > 0 {
			return g, nil // damage behind it is not this capture's
		}
		if err != nil {
			return g, damaged(x, err)
		}
		g.end(rec.Offset)
		if !belongs(rec, ids) {
			return g, nil
		}
		ids[rec.ID()] = true
		g.Parts = append(g.Parts, Part{strings.ToLower(rec.Get("WARC-Type")), rec.Offset, 0})
		if strings.EqualFold(rec.Get("WARC-Type"), "metadata") {
			b, err := io.ReadAll(io.LimitReader(rec.Block, mostMetadata))
			if err != nil {
				return g, damaged(x, err)
			}
			g.Metadata = warc.ParseMetadata(b)
		}
	}
}

// belongs says whether a record is of the same exchange as those before it.
func belongs(rec *warc.Record, ids map[string]bool) bool {
	switch strings.ToLower(rec.Get("WARC-Type")) {
	case "request", "metadata":
	default:
		return false
	}
	for _, f := range rec.Fields {
		if (strings.EqualFold(f.Name, "WARC-Concurrent-To") || strings.EqualFold(f.Name, "WARC-Refers-To")) && ids[strings.Trim(f.Value, "<>")] {
			return true
		}
	}
	return false
}

func damaged(x Capture, err error) error {
	return salvor.Errorf(salvor.Internal, "read the record at byte %d of %s: %w", x.Offset, x.Filename, err).WithHint("salvor verify says what else is damaged")
}

// OriginalOf is the capture that has the payload of a revisit; false if it is not here.
func (c *Collection) OriginalOf(ctx context.Context, x Capture) (o Capture, ok bool, err error) {
	src, err := c.open(ctx, x)
	if err != nil {
		return o, false, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	url, date := get(src.Record, "WARC-Refers-To-Target-URI"), get(src.Record, "WARC-Refers-To-Date")
	if url == "" {
		url = x.URL
	}
	return c.original(ctx, url, date, x.Digest)
}
