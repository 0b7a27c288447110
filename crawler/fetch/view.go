package fetch

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// view is the lazily decoded entity of a Capture.
type view struct {
	max    int64
	packed bool // the entity itself is a gzip file worth a look
	done   bool
	body   []byte
	pooled *[]byte // what body lies in, to give back
	large  bool    // it has one of the slots
}

// largeViews are the slots for views over largeView, of all Clients: a page may
// hold a list of 50 MB, but not each of hundreds at the same time.
var largeViews = make(chan struct{}, 2)

const largeView = 4 << 20

var viewPool = sync.Pool{New: func() any { b := make([]byte, 0, 64<<10); return &b }}

// noteViewCut is a Capture's note when its View is not all of the entity.
const noteViewCut = "view cut for link extraction"

// Cut reports whether the View, once made, ended before the entity.
func (c *Capture) Cut() bool { return slices.Contains(c.Notes, noteViewCut) }

const maxPooledView = 1 << 20

// View is the entity with its content coding removed, at most Config.MaxView
// bytes, where ViewType says that it can hold links; nil for all others. It is
// made on the first call, by one goroutine, and belongs to the Capture: it
// must not be changed and is gone after Close. What could not be decoded is
// added to Notes, so call it before they are recorded.
func (c *Capture) View() []byte {
	if c.view.done || c.ViewType == "" {
		return c.view.body
	}
	c.view.done = true
	if c.view.body = c.plain(); c.view.body != nil {
		return c.view.body
	}
	r, done := c.decoded(c.note)
	defer done()
	c.view.pooled = viewPool.Get().(*[]byte)
	c.view.body = c.fill((*c.view.pooled)[:0], r)
	if len(c.view.body) == 0 && !c.view.packed { // not one byte decoded: better what came
		c.view.body = c.fill(c.view.body, c.Entity())
	}
	return c.view.body
}

// fill reads up to the view's limit.
func (c *Capture) fill(b []byte, r io.Reader) []byte {
	for int64(len(b)) < c.view.max {
		if len(b) >= largeView && !c.view.large {
			largeViews <- struct{}{} // given back by drop
			c.view.large = true
		}
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):min(int64(cap(b)), c.view.max)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b
		}
		if err != nil {
			c.note("content coding: " + err.Error())
			return b
		}
	}
	c.note(noteViewCut)
	return b
}

// drop gives the view's memory back.
func (v *view) drop() {
	if v.large {
		<-largeViews
	}
	if v.pooled != nil && cap(v.body) <= maxPooledView {
		*v.pooled = v.body[:0]
		viewPool.Put(v.pooled)
	}
	*v = view{done: true}
}

// plain is the entity without a copy, where it has no coding of either kind
// and lies together in memory.
func (c *Capture) plain() []byte {
	if c.Framing == Chunked || c.view.packed || len(c.codings(func(string) {})) > 0 {
		return nil
	}
	from := int64(c.HeadLen)
	b := c.Block.slice(from, from+min(c.PayloadLen, c.view.max))
	if b != nil && c.PayloadLen > c.view.max {
		c.note(noteViewCut)
	}
	return b
}

// Entity reads the body with its transfer coding removed.
func (c *Capture) Entity() io.Reader {
	body := io.NewSectionReader(c.Block, int64(c.HeadLen), c.Block.Size()-int64(c.HeadLen))
	if c.Framing == None {
		return bytes.NewReader(nil)
	}
	if c.Framing != Chunked {
		return body
	}
	return &dechunker{r: body, buf: make([]byte, 4<<10)}
}

// dechunker takes the chunked coding off a recorded body.
type dechunker struct {
	r    io.Reader
	p    chunkParser
	buf  []byte
	in   []byte // of buf, not parsed yet
	data []byte // of buf, entity not given out yet
}

func (d *dechunker) Read(out []byte) (int, error) {
	for len(d.data) == 0 {
		if len(d.in) == 0 {
			n, err := d.r.Read(d.buf)
			if n == 0 {
				return 0, err
			}
			d.in = d.buf[:n]
		}
		n, data := d.p.next(d.in)
		d.in, d.data = d.in[n:], data
		if len(data) == 0 && (d.p.bad() || d.p.state == chunkDone) {
			return 0, io.EOF
		}
	}
	n := copy(out, d.data)
	d.data = d.data[n:]
	return n, nil
}

// maxCodings is how many content codings are taken off one after the other.
const maxCodings = 3

// codings lists the content codings in the order they were applied, without
// those that change nothing.
func (c *Capture) codings(note func(string)) []string {
	var list []string
	for _, f := range c.Header {
		if !strings.EqualFold(f.Name, "Content-Encoding") {
			continue
		}
		for part := range strings.SplitSeq(f.Value, ",") {
			switch coding := strings.ToLower(strings.Trim(part, " \t\"")); coding {
			case "", "identity", "none":
			case "gzip", "x-gzip", "deflate", "br", "zstd":
				list = append(list, coding)
			default:
				note("unknown content coding " + coding)
			}
		}
	}
	return list
}

// decoded reads the entity with its content codings removed. done gives the
// decoders back.
func (c *Capture) decoded(note func(string)) (r io.Reader, done func()) {
	list := c.codings(note)
	if c.view.packed {
		list = append([]string{"gzip"}, list...)
	}
	if len(list) > maxCodings {
		note("too many content codings")
		list = list[len(list)-maxCodings:]
	}
	var undo []func()
	r = c.Entity()
	for i := len(list) - 1; i >= 0; i-- {
		// A layer that shrinks (empty gzip members) must not make the one
		// before it unpack for ever.
		var put func()
		if r, put = decoder(list[i], io.LimitReader(r, 8*c.view.max), note); put != nil {
			undo = append(undo, put)
		}
	}
	return r, func() {
		for _, f := range undo {
			f()
		}
	}
}

func isGzip(b []byte) bool { return len(b) > 2 && b[0] == 0x1f && b[1] == 0x8b && b[2] == 8 }

var (
	gzipPool   sync.Pool // of *gzip.Reader
	zstdPool   sync.Pool // of *zstd.Decoder
	brotliPool = sync.Pool{New: func() any { return brotli.NewReader(nil) }}
)

// decoder takes one coding off. Bytes that do not begin like the coding pass
// as they are: servers name codings they did not apply.
func decoder(coding string, in io.Reader, note func(string)) (r io.Reader, put func()) {
	b := bufio.NewReaderSize(in, 4<<10)
	start, _ := b.Peek(4) // shorter at the end of the entity
	switch coding {
	case "deflate":
		return inflate(b, start), nil
	case "br":
		d := brotliPool.Get().(*brotli.Reader)
		d.Reset(b) // never fails without a dictionary
		return d, func() { brotliPool.Put(d) }
	case "zstd":
		if len(start) == 4 && (bytes.Equal(start, []byte{0x28, 0xb5, 0x2f, 0xfd}) || start[0]&0xf0 == 0x50 && start[1] == 0x2a) {
			return unzstd(b, note)
		}
	default:
		if isGzip(start) {
			return gunzip(b, note)
		}
	}
	note("body is not " + coding + " although announced")
	return b, nil
}

func gunzip(b *bufio.Reader, note func(string)) (io.Reader, func()) {
	d, _ := gzipPool.Get().(*gzip.Reader)
	if d == nil {
		d = new(gzip.Reader)
	}
	if err := d.Reset(b); err != nil {
		note("content coding: " + err.Error())
		return bytes.NewReader(nil), nil
	}
	return d, func() { gzipPool.Put(d) }
}

func unzstd(b *bufio.Reader, note func(string)) (io.Reader, func()) {
	d, _ := zstdPool.Get().(*zstd.Decoder)
	var err error
	if d == nil {
		// RFC 9659: at most 8 MB of window on the web.
		d, err = zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	} else {
		err = d.Reset(b)
	}
	if err != nil {
		note("content coding: " + err.Error())
		return bytes.NewReader(nil), nil
	}
	return d, func() {
		if d.Reset(nil) == nil {
			zstdPool.Put(d)
		}
	}
}

// inflate is zlib (RFC 9110 8.4.1.2) or, from many servers, bare deflate.
func inflate(b *bufio.Reader, start []byte) io.Reader {
	if len(start) >= 2 && start[0]&0x0f == 8 && (int(start[0])<<8|int(start[1]))%31 == 0 {
		if z, err := zlib.NewReader(b); err == nil {
			return z
		}
	}
	return flate.NewReader(b)
}
