package warc

import (
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	crand "crypto/rand"

	"github.com/klauspost/compress/gzip"

	"salvor"
)

// DefaultLevel is the gzip level while crawling; docs/decisions/0008 has the
// measurement behind it.
const DefaultLevel = 1

const (
	// maxHead bounds a response's head; fetch cuts at 1 MiB.
	maxHead = 1 << 20
	// smallBlock is what is packed in memory before it meets a segment.
	smallBlock = 1 << 20
	// keepBuffer is the largest buffer a packer keeps for the next exchange.
	keepBuffer = 4 << 20
)

// revisitProfile is WARC 1.1, 6.7.2.
const revisitProfile = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"

// packer turns exchanges into gzip members, one a record. It is used by one
// goroutine at a time and kept in a pool.
type packer struct {
	gz   *gzip.Writer
	rng  *rand.ChaCha8
	hdr  header
	date []byte
	head []byte // the response's head
	meta []byte
	buf  []byte // packed members of a small exchange
	out  counter
}

// packers is a pool of packers of one gzip level.
type packers struct{ pool sync.Pool }

func newPackers(level int) (*packers, error) {
	if _, err := gzip.NewWriterLevel(io.Discard, level); err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "gzip level %d: %w", level, err)
	}
	ps := &packers{}
	ps.pool.New = func() any {
		gz, _ := gzip.NewWriterLevel(io.Discard, level) // the level was tried above
		var seed [32]byte
		crand.Read(seed[:]) // never fails (crypto/rand)
		return &packer{gz: gz, rng: rand.NewChaCha8(seed)}
	}
	return ps, nil
}

func (ps *packers) get() *packer { return ps.pool.Get().(*packer) }

func (ps *packers) put(p *packer) {
	if cap(p.buf) > keepBuffer {
		p.buf = nil
	}
	if cap(p.head) > smallBlock/4 {
		p.head = nil
	}
	if cap(p.meta) > keepBuffer {
		p.meta = nil
	}
	p.out.w = nil
	ps.pool.Put(p)
}

// counter counts what reaches the segment.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// buffer collects packed members in memory.
type buffer struct{ p *packer }

func (b buffer) Write(p []byte) (int, error) {
	b.p.buf = append(b.p.buf, p...)
	return len(p), nil
}

// layout is what a packed exchange looks like.
type layout struct {
	form    form
	revisit bool
	resp    int64 // compressed length of the first record
	meta    int64 // offset of the metadata record from the first; 0 none
	size    int64 // of all members
	mime    string
	hasPD   bool // the record carries a WARC-Payload-Digest
	id      recordID
}

// small packs an exchange into p.buf.
func (p *packer) small(e *Exchange, info recordID) (layout, error) {
	p.buf = p.buf[:0]
	return p.exchange(buffer{p}, e, info)
}

// exchange writes response (or revisit, or resource), request and metadata.
func (p *packer) exchange(w io.Writer, e *Exchange, info recordID) (layout, error) {
	p.out = counter{w: w}
	p.date = appendDate(p.date[:0], e.Begin)
	in, err := p.readHead(e)
	if err != nil {
		return layout{}, err
	}
	x := packing{packer: p, e: e, in: in, info: info, resp: newRecordID(p.rng), req: newRecordID(p.rng)}
	x.l.form, x.l.mime, x.l.id = in.form, in.mime, x.resp
	x.l.hasPD = x.payloadDigest()
	x.l.revisit = e.Revisit != nil && x.l.hasPD
	if err := x.response(); err != nil {
		return layout{}, err
	}
	x.l.resp = p.out.n
	if len(e.Request) > 0 {
		if err := x.request(); err != nil {
			return layout{}, err
		}
	}
	if e.Metadata != nil {
		x.l.meta = p.out.n
		if err := x.metadata(); err != nil {
			return layout{}, err
		}
	}
	x.l.size = p.out.n
	return x.l, nil
}

// readHead takes the head out of the block and judges it.
func (p *packer) readHead(e *Exchange) (headInfo, error) {
	switch {
	case e.Response == nil:
		return headInfo{}, salvor.Errorf(salvor.Invalid, "exchange of %.200s has no response block", e.URL)
	case e.HeadLen < 0 || int64(e.HeadLen) > e.Response.Size():
		return headInfo{}, salvor.Errorf(salvor.Invalid, "exchange of %.200s has a head of %d bytes in a block of %d", e.URL, e.HeadLen, e.Response.Size())
	case e.HeadLen > maxHead:
		return headInfo{}, nil
	}
	want := e.HeadLen
	if want == 0 {
		want = int(min(e.Response.Size(), 5))
	}
	head, err := p.prefix(e.Response, want)
	if err != nil {
		return headInfo{}, salvor.Errorf(salvor.Internal, "read head of %.200s: %w", e.URL, err)
	}
	switch {
	case e.HeadLen > 0:
		return parseHead(head), nil
	case want > 0 && string(head) != "HTTP/":
		return headInfo{form: formBare}, nil
	}
	return headInfo{}, nil
}

var errEnough = errors.New("enough")

// limited keeps the first cap(b) bytes, then stops its writer.
type limited struct{ b []byte }

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), cap(l.b)-len(l.b))
	l.b = append(l.b, p[:n]...)
	if n < len(p) {
		return n, errEnough
	}
	return n, nil
}

func (p *packer) prefix(b Block, n int) ([]byte, error) {
	if cap(p.head) < n {
		p.head = make([]byte, n, max(n, 4<<10))
	}
	if r, ok := b.(io.ReaderAt); ok {
		got, err := r.ReadAt(p.head[:n], 0)
		if got < n {
			return nil, errors.Join(io.ErrUnexpectedEOF, err)
		}
		return p.head[:n], nil
	}
	l := &limited{p.head[:0:n]}
	if _, err := b.WriteTo(l); err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	if len(l.b) < n {
		return nil, io.ErrUnexpectedEOF
	}
	return l.b, nil
}

// packing is one exchange on its way through a packer.
type packing struct {
	*packer
	e               *Exchange
	in              headInfo
	info, resp, req recordID
	l               layout
}

// payloadDigest says whether every checker would compute the same one: see
// docs/decisions/0008.
func (x *packing) payloadDigest() bool {
	e := x.e
	switch {
	case !e.HasPayload || e.Chunked || e.PayloadDigest == (salvor.SHA1{}):
		return false
	case x.in.form == formBare:
		return true
	case x.in.form != formStrict || e.Truncated != "":
		return false
	}
	return x.in.length < 0 || x.in.length == e.Response.Size()-int64(e.HeadLen)
}

func (x *packing) response() error {
	typ, contentType := "response", "application/http;msgtype=response"
	switch {
	case x.l.revisit:
		return x.revisit()
	case x.in.form == formNone:
		contentType = "application/octet-stream"
	case x.in.form == formBare:
		typ, contentType = "resource", mediaType(x.e.Type)
		if contentType == "" {
			contentType = "application/octet-stream"
		}
	}
	x.hdr.start(typ, x.resp, x.date)
	sum, err := x.blockDigest()
	if err != nil {
		return err
	}
	x.common(true)
	x.hdr.sha256(sum)
	if x.l.hasPD {
		x.hdr.payload(x.e.PayloadDigest)
	}
	x.hdr.field("WARC-Identified-Payload-Type", mediaType(x.e.Type))
	x.hdr.field("WARC-Truncated", x.e.Truncated)
	return x.record(contentType, x.e.Response)
}

// blockDigest trusts the recorder's digest and computes a missing one.
func (x *packing) blockDigest() ([32]byte, error) {
	if x.e.BlockDigest != ([32]byte{}) {
		return x.e.BlockDigest, nil
	}
	h := sha256.New()
	if _, err := x.e.Response.WriteTo(h); err != nil {
		return [32]byte{}, salvor.Errorf(salvor.Internal, "read block of %.200s: %w", x.e.URL, err)
	}
	return [32]byte(h.Sum(nil)), nil
}

// revisit stores the head only and says where the payload is (WARC 1.1, 6.7.2).
func (x *packing) revisit() error {
	head := x.head[:x.e.HeadLen]
	x.hdr.start("revisit", x.resp, x.date)
	x.common(true)
	x.hdr.sha256(sha256.Sum256(head))
	x.hdr.payload(x.e.PayloadDigest)
	x.hdr.field("WARC-Identified-Payload-Type", mediaType(x.e.Type))
	x.hdr.field("WARC-Profile", revisitProfile)
	if err := checkURI(x.e.Revisit.URL); err != nil {
		return err
	}
	x.hdr.field("WARC-Refers-To-Target-URI", x.e.Revisit.URL)
	x.hdr.field("WARC-Refers-To-Date", string(appendDate(nil, x.e.Revisit.Date)))
	x.hdr.field("WARC-Truncated", "length")
	return x.record("application/http;msgtype=response", bytesBlock(head))
}

func (x *packing) request() error {
	x.hdr.start("request", x.req, x.date)
	x.common(false)
	x.hdr.sha256(sha256.Sum256(x.e.Request))
	return x.record("application/http;msgtype=request", bytesBlock(x.e.Request))
}

func (x *packing) metadata() error {
	x.packer.meta = x.e.Metadata.appendFields(x.packer.meta[:0])
	x.hdr.start("metadata", newRecordID(x.rng), x.date)
	x.hdr.uri(x.e.URL)
	x.hdr.id("WARC-Concurrent-To", x.resp)
	x.hdr.id("WARC-Warcinfo-ID", x.info)
	x.hdr.sha256(sha256.Sum256(x.packer.meta))
	return x.record("application/warc-fields", bytesBlock(x.packer.meta))
}

// common writes the fields of both halves of an exchange.
func (x *packing) common(response bool) {
	x.hdr.uri(x.e.URL)
	x.hdr.id("WARC-Warcinfo-ID", x.info)
	switch {
	case !response:
		x.hdr.id("WARC-Concurrent-To", x.resp)
	case len(x.e.Request) > 0:
		x.hdr.id("WARC-Concurrent-To", x.req)
	}
	x.hdr.field("WARC-IP-Address", x.e.IP)
	for _, p := range x.e.Protocol {
		x.hdr.field("WARC-Protocol", p)
	}
	x.hdr.field("WARC-Cipher-Suite", x.e.Cipher)
}

// record writes one gzip member: header, block, two line ends (WARC 1.1, 4).
func (x *packing) record(contentType string, b Block) error {
	head, err := x.hdr.end(contentType, b.Size())
	if err != nil {
		return err
	}
	return x.member(head, b)
}

func (p *packer) member(head []byte, b Block) error {
	p.gz.Reset(&p.out)
	if _, err := p.gz.Write(head); err != nil {
		return err
	}
	n, err := b.WriteTo(p.gz)
	if err != nil {
		return err
	}
	if n != b.Size() {
		return salvor.Errorf(salvor.Internal, "block of %d bytes gave %d", b.Size(), n)
	}
	if _, err := p.gz.Write([]byte("\r\n\r\n")); err != nil {
		return err
	}
	return p.gz.Close()
}

// bytesBlock is a block in memory.
type bytesBlock []byte

func (b bytesBlock) Size() int64 { return int64(len(b)) }

func (b bytesBlock) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b)
	return int64(n), err
}

func (b bytesBlock) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// BytesBlock is a block of bytes, which must not change any more.
func BytesBlock(b []byte) Block { return bytesBlock(b) }

// dns packs a resolution as WARC 1.1, 6.4.3 and RFC 4501 have it.
func (p *packer) dns(host string, at time.Time, server, answers string, info recordID) error {
	p.buf = p.buf[:0]
	p.out = counter{w: buffer{p}}
	p.hdr.start("resource", newRecordID(p.rng), appendDate(p.date[:0], at))
	p.hdr.uri("dns:" + host)
	p.hdr.id("WARC-Warcinfo-ID", info)
	p.hdr.field("WARC-IP-Address", server)
	block := []byte(answers)
	p.hdr.sha256(sha256.Sum256(block))
	p.hdr.payload(sha1.Sum(block))
	head, err := p.hdr.end("text/dns", int64(len(block)))
	if err != nil {
		return err
	}
	return p.member(head, bytesBlock(block))
}
