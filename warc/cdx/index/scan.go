package index

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"salvor"
	"salvor/warc/cdx"
)

// Span is a part of the index: the lines that begin with From or come after it and
// come before To. Both are beginnings of lines, "com,example)/ 2026" say; an empty
// To is the end.
type Span struct {
	From, To []byte
	Reverse  bool // last line first
}

// Entry is a line. Its bytes are good until the next.
type Entry struct {
	key    []byte // of the database, without its kind
	Object []byte // {"url": ...}
}

// Prefix is SURT and timestamp, with a blank between.
func (e *Entry) Prefix() []byte { return e.key[:len(e.key)-9] }

// Key is the SURT.
func (e *Entry) Key() []byte { return e.key[:bytes.IndexByte(e.key, ' ')] }

// Timestamp has 14 digits.
func (e *Entry) Timestamp() []byte {
	p := e.Prefix()
	return p[bytes.IndexByte(p, ' ')+1:]
}

// Append writes the line and its end.
func (e *Entry) Append(b []byte) []byte {
	b = append(append(b, e.Prefix()...), ' ')
	return append(append(b, e.Object...), '\n')
}

// Line is the line, read.
func (e *Entry) Line() (cdx.Line, error) { return cdx.Parse(e.Append(nil)) }

// Place is where the entry stands: a Span from here begins with it.
func (e *Entry) Place() []byte { return bytes.Clone(e.key) }

// Scan gives the lines of a span to f, in order, until f returns false. It sees the
// index as it was when Scan began.
func (x *Index) Scan(ctx context.Context, s Span, f func(*Entry) bool) (err error) {
	o := &pebble.IterOptions{LowerBound: lineKey(s.From), UpperBound: []byte{keyLine + 1}}
	if len(s.To) > 0 {
		o.UpperBound = lineKey(s.To)
	}
	whole := x.whole.Load() // before the iterator: what is in it is in that
	it, err := x.db.NewIterWithContext(ctx, o)
	if err != nil {
		return failed(err)
	}
	defer func() { err = errors.Join(err, failed(it.Close())) }()
	first, next := it.First, it.Next
	if s.Reverse {
		first, next = it.Last, it.Prev
	}
	var e Entry
	n := 0
	for ok := first(); ok; ok = next() {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		e.key, e.Object = it.Key()[1:], it.Value()
		if len(e.key) < 9 || !whole.has(binary.BigEndian.Uint32(e.key[len(e.key)-8:])) {
			continue
		}
		if !f(&e) {
			break
		}
	}
	return failed(it.Error())
}

func lineKey(b []byte) []byte { return append([]byte{keyLine}, b...) }

func readLines(r io.Reader, f func([]byte) error) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 64<<10), cdx.MaxLine)
	for sc.Scan() {
		if err := f(sc.Bytes()); err != nil {
			return err
		}
	}
	if errors.Is(sc.Err(), bufio.ErrTooLong) {
		return salvor.Errorf(salvor.Invalid, "a CDXJ line is longer than %d bytes", cdx.MaxLine)
	}
	return sc.Err()
}

func opened(dir string, err error) error {
	if errors.Is(err, syscall.EAGAIN) || strings.Contains(err.Error(), "lock held by current process") {
		return salvor.Errorf(salvor.Conflict, "the index %s is in use by another process", dir).
			WithHint("ask that one, or end it first")
	}
	return salvor.Errorf(salvor.Internal, "open the index %s: %w", dir, err).
		WithHint("it holds nothing of its own: delete the directory, and it is made again")
}

func failed(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.ENOSPC) {
		return salvor.Errorf(salvor.Exhausted, "index: %w", err)
	}
	return salvor.Errorf(salvor.Internal, "index: %w", err)
}

// Record finds a line by the id of its record, urn:uuid:...; false if no line here
// has it.
func (x *Index) Record(id string) (e *Entry, ok bool, err error) {
	uuid, ok := parseUUID([]byte(id))
	if !ok {
		return nil, false, salvor.Errorf(salvor.Invalid, "%.80q is no record id", id).WithHint("it looks like urn:uuid:d7ae5c10-e6b3-4d27-967d-34780c58ba39")
	}
	place, ok, err := x.get(append([]byte{keyRecord}, uuid[:]...))
	if !ok || err != nil || len(place) < 9 || !x.whole.Load().has(binary.BigEndian.Uint32(place[len(place)-8:])) {
		return nil, false, err
	}
	object, ok, err := x.get(lineKey(place))
	return &Entry{place, object}, ok, err
}

func (x *Index) get(key []byte) (v []byte, ok bool, err error) {
	v, closer, err := x.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, failed(err)
	}
	v = bytes.Clone(v)
	return v, true, failed(closer.Close())
}

var idField = []byte(`"id": "`)

// idOf finds the record's id in a line of ours.
func idOf(object []byte) ([16]byte, bool) {
	i := bytes.LastIndex(object, idField)
	if i < 0 {
		return [16]byte{}, false
	}
	rest := object[i+len(idField):]
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return [16]byte{}, false
	}
	return parseUUID(rest[:end])
}

// parseUUID reads urn:uuid:... (RFC 9562, 4).
func parseUUID(b []byte) (out [16]byte, ok bool) {
	b = bytes.TrimPrefix(b, []byte("urn:uuid:"))
	if len(b) != 36 || b[8] != '-' || b[13] != '-' || b[18] != '-' || b[23] != '-' {
		return out, false
	}
	digits := append(append(append(append(append(make([]byte, 0, 32), b[:8]...), b[9:13]...), b[14:18]...), b[19:23]...), b[24:]...)
	_, err := hex.Decode(out[:], digits)
	return out, err == nil
}

// EntryAt is an entry that was seen before: its Place and its object.
func EntryAt(place, object []byte) *Entry { return &Entry{key: place, Object: object} }
