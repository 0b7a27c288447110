// Package index keeps the CDXJ lines of an archive's segments sorted on disk, so
// that a capture is found in a millisecond however many there are.
//
// It is for access nodes and for `salvor serve`. The index holds nothing that the
// Store does not: it may be deleted at any time and is made again from the .cdxj
// objects. A segment is in it whole or not at all, also after a kill; adding one
// again changes nothing. Lines come out in the order of a sorted CDXJ file
// (LC_ALL=C), byte for byte as they were written.
package index

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"salvor"
	"salvor/warc/cdx"
)

// Keys, by their first byte:
//
//	l SURT ' ' TIMESTAMP ' ' segment(4) number(4)   the JSON object of a line
//	r record id(16)                                 the rest of its line's key
//	s NAME                                          segment(4) lines(8) bytes of its CDXJ(8)
//	n                                               the next segment number(4)
const (
	keyLine    = 'l'
	keyRecord  = 'r'
	keySegment = 's'
	keyNext    = 'n'
)

// Index is an index on disk. Its methods may be called at the same time.
type Index struct {
	db     *pebble.DB
	room   func() error // Exhausted where there is none for more
	mu     sync.Mutex   // one segment is added or removed at a time
	next   uint32
	whole  atomic.Pointer[bitset] // the numbers of segments that are here whole
	synced *pebble.WriteOptions
}

// bitset is a set of segment numbers. It is never changed, but replaced.
type bitset []uint64

func (b bitset) has(n uint32) bool { return int(n/64) < len(b) && b[n/64]&(1<<(n%64)) != 0 }

// with is the set with a number, or without it.
func (b bitset) with(n uint32, in bool) *bitset {
	out := make(bitset, max(len(b), int(n/64)+1))
	copy(out, b)
	if out[n/64] &^= 1 << (n % 64); in {
		out[n/64] |= 1 << (n % 64)
	}
	return &out
}

const (
	cacheSize = 64 << 20
	// batchSize is how much of a segment is written at once. Its name is written with
	// the last batch: what a kill leaves without a name is removed by the next Add.
	batchSize = 4 << 20
)

// Open opens the index in a directory, which is made when missing. Conflict if
// another process has it open.
func Open(dir string) (*Index, error) {
	x, err := open(dir, vfs.Default)
	if err == nil {
		x.room = func() error { return roomIn(dir, free) }
	}
	return x, err
}

// leastRoom is what must be free for a segment to be added: a database whose disk is
// full ends its process, which may have other things to do.
const leastRoom = 256 << 20

func roomIn(dir string, free func(string) (uint64, bool)) error {
	if n, known := free(dir); known && n < leastRoom {
		return salvor.Errorf(salvor.Exhausted, "only %d MB are free for the index in %s, and %d are wanted", n>>20, dir, leastRoom>>20).
			WithHint("make room on that disk: what was captured is safe, and is found again after that")
	}
	return nil
}

// OpenMemory opens an empty index that is gone with the process.
func OpenMemory() (*Index, error) { return open("index", vfs.NewMem()) }

func open(dir string, on vfs.FS) (*Index, error) {
	cache := pebble.NewCache(cacheSize)
	defer cache.Unref()
	o := &pebble.Options{Cache: cache, FS: on, Logger: quiet{}, FormatMajorVersion: pebble.FormatNewest, MemTableSize: 16 << 20}
	o.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	db, err := pebble.Open(dir, o)
	if err != nil {
		return nil, opened(dir, err)
	}
	x := &Index{db: db, synced: pebble.Sync, room: func() error { return nil }}
	v, closer, err := db.Get([]byte{keyNext})
	switch {
	case err == nil:
		x.next = binary.BigEndian.Uint32(v)
		err = closer.Close()
	case errors.Is(err, pebble.ErrNotFound):
		err = nil
	}
	if err != nil {
		return nil, errors.Join(failed(err), db.Close())
	}
	whole := &bitset{}
	for _, s := range x.segments(context.Background()) {
		whole = whole.with(s.number, true)
	}
	x.whole.Store(whole)
	return x, nil
}

// Close ends it.
func (x *Index) Close() error { return failed(x.db.Close()) }

// Add takes the lines of a segment, from its CDXJ. It is done when Add returns; false
// says that the segment was there already. Invalid if a line is none, or the last has no
// end; then nothing of the segment is in the index. Keys are made anew from the URLs:
// other tools have other rules for them.
func (x *Index) Add(ctx context.Context, segment string, cdxj io.Reader) (added bool, lines int64, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, has, err := x.Has(segment); has || err != nil {
		return false, 0, err
	}
	if err := x.room(); err != nil {
		return false, 0, err
	}
	a := adding{x: x, number: x.next, batch: x.db.NewBatch()}
	defer func() { err = errors.Join(err, failed(a.batch.Close())) }()
	// The number is used up first: lines of an Add that was cut off have one that no
	// segment will ever have, and Scan passes over them.
	if err := x.db.Set([]byte{keyNext}, binary.BigEndian.AppendUint32(nil, a.number+1), x.synced); err != nil {
		return false, 0, failed(err)
	}
	x.next++
	size, err := eachLine(ctx, cdxj, a.line)
	if err != nil {
		return false, 0, err
	}
	row := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, a.number), uint64(a.lines))
	row = binary.BigEndian.AppendUint64(row, uint64(size))
	if err := a.batch.Set(append([]byte{keySegment}, segment...), row, nil); err != nil {
		return false, 0, failed(err)
	}
	if err := a.batch.Commit(x.synced); err != nil {
		return false, 0, failed(err)
	}
	x.whole.Store(x.whole.Load().with(a.number, true))
	return true, int64(a.lines), nil
}

// adding is one segment being added.
type adding struct {
	x      *Index
	number uint32
	lines  uint32
	batch  *pebble.Batch
	key    []byte
}

func (a *adding) line(prefix, object []byte) error {
	stamp := prefix[bytes.IndexByte(prefix, ' ')+1:]
	a.key = append(append(append(append(append(a.key[:0], keyLine), keyOf(prefix, object)...), ' '), stamp...), ' ')
	a.key = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(a.key, a.number), a.lines)
	a.lines++
	if err := a.batch.Set(a.key, object, nil); err != nil {
		return failed(err)
	}
	if id, ok := idOf(object); ok {
		if err := a.batch.Set(append([]byte{keyRecord}, id[:]...), a.key[1:], nil); err != nil {
			return failed(err)
		}
	}
	if a.batch.Len() < batchSize {
		return nil
	}
	if err := a.batch.Commit(pebble.NoSync); err != nil {
		return failed(err)
	}
	a.batch.Reset()
	return nil
}

// Has says whether a segment is in the index, and of how many bytes its CDXJ was.
func (x *Index) Has(segment string) (size int64, ok bool, err error) {
	row, ok, err := x.get(append([]byte{keySegment}, segment...))
	if len(row) == 20 {
		size = int64(binary.BigEndian.Uint64(row[12:]))
	}
	return size, ok, err
}

// Remove drops a segment: a larger one has its captures now, or they may not be
// seen any more. It walks the whole index.
func (x *Index) Remove(ctx context.Context, segments ...string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	gone := map[uint32]bool{}
	b := x.db.NewBatch()
	defer b.Close()
	for name, s := range x.segments(ctx) {
		for _, g := range segments {
			if name == g {
				gone[s.number] = true
				if err := b.Delete(append([]byte{keySegment}, name...), nil); err != nil {
					return failed(err)
				}
			}
		}
	}
	if len(gone) == 0 {
		return nil
	}
	err := x.each(ctx, []byte{keyLine}, []byte{keySegment}, func(key, v []byte) error {
		place := key // of a line
		switch key[0] {
		case keyRecord:
			place = v
		case keyNext:
			return nil
		}
		if gone[binary.BigEndian.Uint32(place[len(place)-8:])] {
			return failed(b.Delete(key, nil))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := b.Commit(x.synced); err != nil {
		return failed(err)
	}
	for n := range gone {
		x.whole.Store(x.whole.Load().with(n, false))
	}
	return nil
}

type segment struct {
	number uint32
	lines  int64
}

// Segments are the names of all segments and how many lines each has.
func (x *Index) Segments(ctx context.Context) iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		for name, s := range x.segments(ctx) {
			if !yield(name, s.lines) {
				return
			}
		}
	}
}

func (x *Index) segments(ctx context.Context) iter.Seq2[string, segment] {
	return func(yield func(string, segment) bool) {
		done := errors.New("done")
		_ = x.each(ctx, []byte{keySegment}, []byte{keySegment + 1}, func(key, v []byte) error {
			s := segment{binary.BigEndian.Uint32(v), int64(binary.BigEndian.Uint64(v[4:]))}
			if !yield(string(key[1:]), s) {
				return done
			}
			return nil
		})
	}
}

func (x *Index) each(ctx context.Context, from, to []byte, f func(key, v []byte) error) error {
	it, err := x.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return failed(err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if err = ctx.Err(); err == nil {
			err = f(it.Key(), it.Value())
		}
	}
	return errors.Join(err, failed(it.Error()), failed(it.Close()))
}

// eachLine gives key and timestamp, and the object, of each line of a CDXJ. It returns
// how many bytes it read.
func eachLine(ctx context.Context, r io.Reader, f func(prefix, object []byte) error) (int64, error) {
	n, in := 0, &watched{r: r}
	err := readLines(in, func(line []byte) error {
		if n++; n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if len(line) == 0 || line[0] == '!' || line[0] == ' ' {
			return nil
		}
		i := bytes.IndexByte(line, ' ')
		j := -1
		if i > 0 {
			j = bytes.IndexByte(line[i+1:], ' ')
		}
		if j < 1 || len(line) < i+j+3 || line[i+j+2] != '{' {
			return salvor.Errorf(salvor.Invalid, "CDXJ line %d, %.80q, has no key, timestamp and object", n, line)
		}
		return f(line[:i+1+j], line[i+j+2:])
	})
	if err == nil && in.n > 0 && in.last != '\n' {
		err = salvor.Errorf(salvor.Invalid, "the CDXJ ends within line %d", n)
	}
	return in.n, err
}

// watched knows how much was read, and the last byte of it.
type watched struct {
	r    io.Reader
	n    int64
	last byte
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if w.n += int64(n); n > 0 {
		w.last = p[n-1]
	}
	return n, err
}

var urlField = []byte(`"url": "`)

// keyOf is the key of a line by our rule.
func keyOf(prefix, object []byte) []byte {
	key := prefix[:bytes.IndexByte(prefix, ' ')]
	url, ok := plainURL(object)
	if !ok {
		var o struct{ URL string }
		if json.Unmarshal(object, &o) != nil || o.URL == "" {
			return key
		}
		url = o.URL
	}
	return []byte(cdx.SURT(url))
}

// plainURL finds the URL in a line of ours; false where it is escaped.
func plainURL(object []byte) (string, bool) {
	i := bytes.Index(object, urlField)
	if i < 0 {
		return "", false
	}
	rest := object[i+len(urlField):]
	end := bytes.IndexByte(rest, '"')
	if end < 0 || bytes.IndexByte(rest[:end], '\\') >= 0 {
		return "", false
	}
	return string(rest[:end]), true
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(f string, a ...any) {
	panic(salvor.Errorf(salvor.Internal, "index: "+f, a...))
}
