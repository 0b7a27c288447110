package fetch

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"os"
	"sync"
	"time"

	"salvor"
)

const (
	maxInterim      = 64 << 10 // bytes of 1xx answers before they are a storm
	maxInterimCount = 64
)

// ErrCut, as the cause of a context's end, ends an exchange with what came so
// far: a record that is marked as truncated by time, where anything came.
var ErrCut = errors.New("exchange was cut off")

// errSlow ends an answer that stays below Timeouts.MinRate.
var errSlow = errors.New("below the minimum rate")

// exchange is one request and its answer on one connection. One goroutine
// runs it from begin to end.
type exchange struct {
	c      *Client
	ctx    context.Context
	cn     *conn
	cap    *Capture
	method string
	sums   *sums

	begun    bool      // a byte of the answer came
	window   time.Time // begin of the minimum-rate window
	inWindow int64
	interims int

	// The body as far as it was read; see body.go.
	frame
	chunks chunkParser
	left   int64 // with Length
	wire   int64 // bytes of the body
	raw    bool  // the chunked coding broke: what follows is kept, not understood
}

// sums are the running digests, pooled because their state is large.
type sums struct{ block, entity hash.Hash }

var sumsPool = sync.Pool{New: func() any { return &sums{sha256.New(), sha1.New()} }}

// run makes the exchange. An error means that no byte of a final answer came,
// or that there is nowhere to put it.
func (x *exchange) run(m *message) error {
	x.cap.Begin = time.Now()
	x.cap.Request = m.recorded()
	writeErr := x.cn.write(m.bytes, x.cap.Begin, x.c.cfg.Timeouts.FirstByte)
	in := headBuffer{b: x.cap.Block.tail(), inPlace: true}
	more, err := x.readHead(&in, writeErr)
	if err == nil && more {
		err = x.readBody(&in)
	}
	if err == nil && writeErr != nil {
		x.odd("server did not read the whole request")
	}
	if err != nil {
		return err
	}
	return x.finish()
}

// read reads once, within the limits of time and rate. It may return bytes
// and an error.
func (x *exchange) read(p []byte, wait time.Duration) (int, error) {
	x.cn.extend(time.Now(), wait)
	n, err := x.cn.nc.Read(p[:x.c.most(len(p))])
	if n == 0 {
		return 0, err
	}
	now := time.Now()
	if !x.begun {
		x.begun, x.window = true, now
		x.cap.FirstByte = now.Sub(x.cap.Begin)
	}
	x.cap.Duration = now.Sub(x.cap.Begin)
	x.inWindow += int64(n)
	x.c.received.Add(int64(n))
	if held := x.c.pay(x.ctx, n); held > 0 {
		x.window = x.window.Add(held) // our own brake is not the server's slowness
	}
	if spent := now.Sub(x.window); spent >= x.c.cfg.Timeouts.RateWindow {
		if err == nil && float64(x.inWindow) < float64(x.c.cfg.Timeouts.MinRate)*spent.Seconds() {
			err = errSlow
		}
		x.window, x.inWindow = now, 0
	}
	return n, err
}

// headBuffer collects a head: in the spool's buffer as long as it fits there.
type headBuffer struct {
	b       []byte
	n       int  // bytes in b
	seen    int  // of these, looked through for the end of the head
	inPlace bool // b is the spool's tail
}

func (in *headBuffer) bytes() []byte { return in.b[:in.n] }

// room is where the next bytes go.
func (in *headBuffer) room() []byte {
	if in.n == len(in.b) {
		grown := make([]byte, 2*len(in.b))
		copy(grown, in.b)
		in.b, in.inPlace = grown, false
	}
	return in.b[in.n:]
}

// drop takes the first n bytes away.
func (in *headBuffer) drop(n int) {
	copy(in.b, in.b[n:in.n])
	in.n, in.seen = in.n-n, 0
}

// readHead reads the head of the final answer. What came behind it stays in
// the buffer; more reports whether there is a body to read.
func (x *exchange) readHead(in *headBuffer, writeErr error) (more bool, err error) {
	for {
		done, more, err := x.tryHead(in)
		if done || err != nil {
			return more, err
		}
		t := &x.c.cfg.Timeouts
		wait := t.FirstByte
		if x.begun {
			wait = t.Silence
		}
		n, err := x.read(in.room(), wait)
		in.n += n
		if err == nil {
			continue
		}
		if n > 0 {
			if done, more, err := x.tryHead(in); done || err != nil {
				return more, err
			}
		}
		return false, x.brokenHead(in, errors.Join(writeErr, err))
	}
}

// tryHead looks whether the buffer holds a whole head and, if so, begins the
// record with it.
func (x *exchange) tryHead(in *headBuffer) (done, more bool, err error) {
	for in.n > 0 {
		start, v := lookAt(in.bytes())
		if v == isHTTP09 {
			x.beginHTTP09()
			return true, true, nil
		}
		end := 0
		if v == isHead {
			end = headEnd(in.b[start:in.n], in.seen-start)
		}
		in.seen = in.n
		limit := int(x.c.cfg.MaxHead)
		switch {
		case end == 0 && in.n < limit:
			return false, false, nil
		case end == 0 || start+end > limit:
			x.cap.Truncated = TruncatedLength
			return true, false, x.beginCut(in, min(in.n, limit), start)
		}
		h := parseHead(in.b[:start+end], start)
		if h.status < 100 || h.status >= 200 || h.status == 101 {
			return true, true, x.beginWith(in, start+end, h)
		}
		if err := x.interim(in, start+end); err != nil {
			return false, false, err
		}
	}
	return false, false, nil
}

// interim cuts a 1xx answer out (RFC 9110 15.2): left in the block, readers
// would take the final answer for its body.
func (x *exchange) interim(in *headBuffer, n int) error {
	x.cap.Interim = append(x.cap.Interim, in.b[:n]...)
	if x.interims++; x.interims > maxInterimCount || len(x.cap.Interim) > maxInterim {
		return failf(ClassInterim, "%d interim answers without a final one", x.interims)
	}
	in.drop(n)
	return nil
}

// beginCut starts the record with the first n bytes as a head that did not
// end. Only its whole lines count.
func (x *exchange) beginCut(in *headBuffer, n, start int) error {
	h := head{version: "http/1.0", old: true}
	if whole := bytes.LastIndexByte(in.b[:n], '\n') + 1; whole > start {
		h = parseHead(in.b[:whole], start)
	}
	h.note("response head was cut")
	if err := x.beginWith(in, n, h); err != nil {
		return err
	}
	x.framing, x.cap.Framing = None, None
	return nil
}

func (x *exchange) beginWith(in *headBuffer, n int, h head) error {
	c := x.cap
	x.frame = frameOf(x.method, &h)
	x.left = x.length
	c.HeadLen, c.Status, c.Header, c.Framing = n, h.status, h.header, x.framing
	c.Protocol = protocols[[2]string{h.version, x.cn.tls}]
	for _, note := range h.notes {
		x.odd(note)
	}
	if err := x.keep(in, n); err != nil {
		return err
	}
	in.b, in.n = in.b[n:], in.n-n
	return nil
}

// beginHTTP09 starts a record that has no head: the answer of an HTTP/0.9
// server is its entity (RFC 1945 3.1), and its success is not stated.
func (x *exchange) beginHTTP09() {
	c := x.cap
	x.frame = frame{framing: UntilClose, length: -1}
	c.Status, c.Framing = 200, UntilClose
	c.Protocol = protocols[[2]string{"http/0.9", x.cn.tls}]
	x.odd("HTTP/0.9: no status line")
}

// brokenHead ends an answer whose head did not end. Without one byte there is
// nothing to record.
func (x *exchange) brokenHead(in *headBuffer, err error) error {
	if cancelled := x.cancelled(err); cancelled != nil {
		return cancelled
	}
	if in.n == 0 && x.cut() {
		return &Error{Class: ClassCancelled, Err: ErrCut}
	}
	if in.n == 0 {
		return &Error{Class: classOfSilence(err), Err: err}
	}
	start, _ := lookAt(in.bytes())
	if rest := in.b[min(start, in.n):in.n]; len(rest) > 0 && matchStatus(rest) == isHTTP09 && start == 0 {
		x.beginHTTP09()
		return x.takeAll(in, err)
	}
	x.cap.Truncated = x.reasonOfEnd(err)
	return x.beginCut(in, in.n, start)
}

// cancelled is the Error for an exchange that was ended from here, or nil.
func (x *exchange) cancelled(err error) error {
	if x.cut() {
		return nil
	}
	if x.ctx.Err() != nil {
		return &Error{Class: ClassCancelled, Err: context.Cause(x.ctx)}
	}
	if x.c.ctx.Err() != nil {
		return failf(ClassCancelled, "client was closed: %w", err)
	}
	return nil
}

// cut reports that the exchange was ended, but what came is wanted.
func (x *exchange) cut() bool { return context.Cause(x.ctx) == ErrCut }

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, errSlow)
}

func classOfSilence(err error) Class {
	switch {
	case isTimeout(err):
		return ClassTimeout
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return ClassEmpty
	}
	return ClassReset
}

func (x *exchange) reasonOfEnd(err error) string {
	if isTimeout(err) || x.cut() {
		return TruncatedTime
	}
	return TruncatedDisconnect
}

// odd notes a deviation after which the connection is not trusted with
// another request.
func (x *exchange) odd(note string) {
	x.reuse = false
	x.cap.note(note)
}

// keep records the first n bytes of the buffer.
func (x *exchange) keep(in *headBuffer, n int) error {
	x.sums.block.Write(in.b[:n])
	if in.inPlace {
		return spoolError(x.cap.Block.advance(n))
	}
	for p := in.b[:n]; len(p) > 0; {
		k := copy(x.cap.Block.tail(), p)
		if err := x.cap.Block.advance(k); err != nil {
			return spoolError(err)
		}
		p = p[k:]
	}
	return nil
}

func spoolError(err error) error {
	if err == nil {
		return nil
	}
	return fail(ClassSpool, err)
}

// finish completes the capture.
func (x *exchange) finish() error {
	c := x.cap
	if err := c.Block.seal(); err != nil {
		return spoolError(err)
	}
	x.sums.block.Sum(c.BlockSHA256[:0])
	if c.HasPayload() {
		x.sums.entity.Sum((*salvor.SHA1)(&c.PayloadSHA1)[:0])
	}
	for _, n := range x.chunks.notes {
		x.odd(n)
	}
	if c.Truncated != "" {
		x.reuse = false
	}
	c.IP, c.Cipher = x.cn.ip, x.cn.cipher
	for _, n := range x.cn.notes {
		c.note(n)
	}
	c.DNS = x.cn.dns.claim()
	x.cn.served++
	c.identify(x.c.cfg.MaxView)
	return nil
}
