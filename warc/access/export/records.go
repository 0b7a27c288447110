package export

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"salvor"
	"salvor/warc/access"
	"salvor/warc/cdx"
	"salvor/warc/wacz"
)

// copier copies records as they are stored, byte for byte, into one WARC file.
type copier struct {
	r       *run
	out     io.Writer
	n       int64
	name    string // of the file
	lines   []cdx.Line
	pages   []wacz.Page
	copied  map[spot]bool
	wanting []access.Capture // revisits whose originals are still to be copied
}

type spot struct {
	file string
	off  int64
}

func newCopier(r *run, out io.Writer) (*copier, error) {
	c := &copier{r: r, out: out, name: r.Name + ".warc.gz", copied: map[spot]bool{}}
	return c, c.warcinfo()
}

func (c *copier) Write(b []byte) (int, error) {
	n, err := c.out.Write(b)
	c.n += int64(n)
	return n, err
}

// warcinfo says where the records are from (WARC 1.1, 6.2).
func (c *copier) warcinfo() error {
	line := func(b *bytes.Buffer, name, value string) {
		if value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value); value != "" {
			fmt.Fprintf(b, "%s: %s\r\n", name, value)
		}
	}
	var block, rec bytes.Buffer
	line(&block, "software", c.r.Software)
	line(&block, "format", "WARC File Format 1.1")
	line(&block, "conformsTo", "https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/")
	line(&block, "isPartOf", c.r.From.Name)
	line(&block, "description", "Exported; records are as they were stored. "+c.r.Title)
	var id [16]byte
	rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	h := hex.EncodeToString(id[:])
	fmt.Fprintf(&rec, "WARC/1.1\r\nWARC-Type: warcinfo\r\nWARC-Record-ID: <urn:uuid:%s-%s-%s-%s-%s>\r\nWARC-Date: %s\r\nWARC-Filename: %s\r\nContent-Type: application/warc-fields\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n",
		h[:8], h[8:12], h[12:16], h[16:20], h[20:], c.r.Now.UTC().Format(time.RFC3339), c.name, block.Len(), block.Bytes())
	gz := gzip.NewWriter(c)
	if _, err := gz.Write(rec.Bytes()); err != nil {
		return err
	}
	return gz.Close()
}

// capture copies the records of one, and notes what its payload needs.
func (c *copier) capture(ctx context.Context, x access.Capture) error {
	at := spot{x.Filename, x.Offset}
	if c.copied[at] {
		return nil
	}
	g, err := c.r.From.GroupOf(ctx, x)
	if err != nil {
		if salvor.ClassOf(err) == salvor.Internal { // damaged
			c.r.rep.miss(err.Error())
			return nil
		}
		return err
	}
	c.copied[at] = true
	l := x.Line
	l.Filename, l.Offset = c.name, c.n
	for _, p := range g.Parts {
		if p.Type == "request" && c.r.NoRequests {
			continue
		}
		if err := c.part(ctx, x.Filename, p); err != nil {
			return err
		}
	}
	l.Length = g.Parts[0].Length
	c.lines = append(c.lines, l)
	if x.IsRevisit() {
		c.wanting = append(c.wanting, x)
	}
	if x.IsPage() {
		p := wacz.Page{URL: x.URL, Time: x.Time}
		if g.Metadata != nil {
			p.Title = g.Metadata.Title
		}
		c.pages = append(c.pages, p)
	}
	return nil
}

// part copies one record.
func (c *copier) part(ctx context.Context, file string, p access.Part) (err error) {
	r, _, err := c.r.From.OpenSegment(ctx, file, p.Offset, p.Length)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var magic [2]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil {
		return salvor.Errorf(salvor.Internal, "%s ends before byte %d", file, p.Offset+p.Length)
	}
	var to io.Writer = c
	var gz *gzip.Writer
	if magic != [2]byte{0x1f, 0x8b} { // stored uncompressed
		gz = gzip.NewWriter(c)
		to = gz
	}
	if _, err := to.Write(magic[:]); err != nil {
		return err
	}
	if n, err := io.Copy(to, r); err != nil || n != p.Length-2 {
		return errors.Join(err, salvor.Errorf(salvor.Internal, "copy the record at byte %d of %s: %d bytes of %d", p.Offset, file, n+2, p.Length))
	}
	if gz != nil {
		return gz.Close()
	}
	return nil
}

// originals copies what revisits refer to and the query did not find.
func (c *copier) originals(ctx context.Context) error {
	for len(c.wanting) > 0 {
		x := c.wanting[0]
		c.wanting = c.wanting[1:]
		o, ok, err := c.r.From.OriginalOf(ctx, x)
		if err != nil {
			return err
		}
		if !ok {
			c.r.rep.miss("the original of the revisit of " + x.URL + " at " + x.Timestamp + " is not in the archive")
			continue
		}
		before := len(c.lines)
		if err := c.capture(ctx, o); err != nil {
			return err
		}
		c.r.rep.Originals += int64(len(c.lines) - before)
	}
	return nil
}

// warcWriter writes a WARC file.
type warcWriter struct{ *copier }

func newWARCWriter(r *run, out io.Writer) (writer, error) {
	c, err := newCopier(r, out)
	return &warcWriter{c}, err
}

func (w *warcWriter) write(ctx context.Context, x access.Capture) error { return w.capture(ctx, x) }
func (w *warcWriter) finish(ctx context.Context) error                  { return w.originals(ctx) }

// waczWriter writes a WACZ package with one WARC file.
type waczWriter struct {
	*copier
	zip  *wacz.Writer
	done func()
}

func newWACZWriter(r *run, out io.Writer) (writer, error) {
	z := wacz.NewWriter(out, wacz.About{Title: r.Title, Description: "Exported from " + r.From.Name, Software: r.Software, Created: r.Now})
	to, done, err := z.WARC(r.Name + ".warc.gz")
	if err != nil {
		return nil, err
	}
	c, err := newCopier(r, to)
	return &waczWriter{c, z, done}, err
}

func (w *waczWriter) write(ctx context.Context, x access.Capture) error { return w.capture(ctx, x) }

func (w *waczWriter) finish(ctx context.Context) error {
	if err := w.originals(ctx); err != nil {
		return err
	}
	w.done()
	return w.zip.Finish(w.lines, w.pages)
}
