package fetch

import (
	"errors"
	"io"
	"strconv"
	"time"
)

// readBody reads the body, which may have begun in the buffer.
func (x *exchange) readBody(in *headBuffer) error {
	if !in.inPlace {
		if done, err := x.takeCopy(in.bytes()); done || err != nil {
			return err
		}
		in.n = 0
	}
	p, n := in.b, in.n
	if n == 0 {
		p = x.cap.Block.tail()
	}
	var readErr error
	for {
		done, err := x.takeKeep(p[:n])
		if done || err != nil {
			return err
		}
		if readErr != nil {
			return x.end(readErr)
		}
		p = x.cap.Block.tail()
		n, readErr = x.read(p, x.wait())
	}
}

// takeAll takes an answer that already ended.
func (x *exchange) takeAll(in *headBuffer, readErr error) error {
	if done, err := x.takeCopy(in.bytes()); done || err != nil {
		return err
	}
	return x.end(readErr)
}

// takeCopy takes bytes that do not lie in the spool yet.
func (x *exchange) takeCopy(p []byte) (done bool, err error) {
	for {
		t := x.cap.Block.tail()
		n := copy(t, p)
		if done, err = x.takeKeep(t[:n]); done || err != nil {
			x.stray(len(p) - n)
			return done, err
		}
		if p = p[n:]; len(p) == 0 {
			return false, nil
		}
	}
}

// takeKeep takes what belongs to the body from p, the spool's tail, and
// records it.
func (x *exchange) takeKeep(p []byte) (done bool, err error) {
	used, done := x.take(p)
	x.sums.block.Write(p[:used])
	if err := x.cap.Block.advance(used); err != nil {
		return true, spoolError(err)
	}
	if done {
		x.stray(len(p) - used)
	}
	return done, nil
}

// stray notes bytes behind the end of the message. They are not part of it.
func (x *exchange) stray(n int) {
	if n > 0 && x.cap.Truncated == "" {
		x.odd("stray bytes after the body")
	}
}

// take says how many bytes of p belong to the body and whether it ends there.
func (x *exchange) take(p []byte) (used int, done bool) {
	cut := false
	if limit := x.c.cfg.MaxBody; limit > 0 && x.wire+int64(len(p)) > limit {
		p, cut = p[:limit-x.wire], true
	}
	switch x.framing {
	case None:
		return 0, true
	case Length:
		used = int(min(int64(len(p)), x.left))
		x.entity(p[:used])
		x.left -= int64(used)
		done = x.left == 0
	case Chunked:
		used, done = x.takeChunks(p)
	case UntilClose:
		used = len(p)
		x.entity(p)
	}
	x.wire += int64(used)
	if cut && !done {
		x.cap.Truncated = TruncatedLength
		return used, true
	}
	return used, done
}

// entity takes bytes of the body with its transfer coding removed.
func (x *exchange) entity(p []byte) {
	x.sums.entity.Write(p)
	x.cap.PayloadLen += int64(len(p))
}

func (x *exchange) takeChunks(p []byte) (used int, done bool) {
	if x.raw {
		return len(p), false
	}
	for used < len(p) {
		n, data := x.chunks.next(p[used:])
		if len(data) > 0 {
			x.entity(data)
		}
		used += n
		if x.chunks.state == chunkDone {
			return used, true
		}
		if x.chunks.bad() {
			return x.unchunk(p)
		}
	}
	return used, false
}

// unchunk goes on after bytes that are no chunked coding. Where not even the
// first size could be read, the body was never chunked, and all of it is the
// entity. Later, the rest is kept but belongs to no entity.
func (x *exchange) unchunk(p []byte) (used int, done bool) {
	if x.chunks.any {
		x.raw = true
		x.odd("broken chunked coding after " + strconv.FormatInt(x.cap.PayloadLen, 10) + " bytes of the entity")
		return len(p), false
	}
	x.odd("body is not chunked although announced")
	x.framing, x.left = UntilClose, 0
	if x.length >= 0 {
		x.framing, x.left = Length, x.length
	}
	x.cap.Framing = x.framing
	b := x.cap.Block
	n, err := b.writeRange(entityWriter{x}, int64(x.cap.HeadLen), b.Size())
	if err != nil {
		x.odd("digest of the body is wrong: " + err.Error()) // a spool file that cannot be read back
	}
	if x.framing == UntilClose {
		x.entity(p)
		return len(p), false
	}
	x.left = max(0, x.left-n)
	used = int(min(int64(len(p)), x.left))
	x.entity(p[:used])
	x.left -= int64(used)
	return used, x.left == 0
}

type entityWriter struct{ x *exchange }

func (w entityWriter) Write(p []byte) (int, error) {
	w.x.entity(p)
	return len(p), nil
}

// perhaps reports whether the body may already be complete although more was
// announced.
func (x *exchange) perhaps() bool {
	switch x.framing {
	case Length:
		return x.least < x.length && x.wire >= x.least
	case Chunked:
		return x.raw || x.chunks.lastSeen()
	}
	return false
}

func (x *exchange) wait() time.Duration {
	t := &x.c.cfg.Timeouts
	if x.perhaps() {
		return min(t.Grace, t.Silence)
	}
	return t.Silence
}

// end decides what the end of reading means for the body.
func (x *exchange) end(err error) error {
	if cancelled := x.cancelled(err); cancelled != nil {
		return cancelled
	}
	x.reuse = false
	closed := errors.Is(err, io.EOF)
	switch {
	case closed && x.framing == UntilClose:
	case x.framing == Chunked && !x.raw && x.chunks.lastSeen():
		x.odd("no blank line after the last chunk")
	case x.perhaps() && (closed || isTimeout(err)):
	default:
		x.cap.Truncated = x.reasonOfEnd(err)
	}
	return nil
}
