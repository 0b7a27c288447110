// Package mirror keeps a second copy of what a Store holds.
//
// It is for archives that must outlive their first bucket. Sync fills the
// second Store behind the first and can be repeated at any time; Both puts
// into two Stores before it says that anything is stored. What either
// guarantees of an object is what the second Store's Put does: it is durable
// there, and its SHA-256 was confirmed to be that of the first.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"salvor"
	"salvor/storage"
)

// Done is what a Sync found and did.
type Done struct {
	Objects int64 // that the second Store holds now
	Bytes   int64
	Copied  int64 // by this Sync
	Missing int64 // that could not be copied
}

// Sync copies into to what from has below the prefixes and to has not. It goes
// on after an object that cannot be copied and returns the first such error.
func Sync(ctx context.Context, from, to storage.Store, prefixes ...string) (d Done, err error) {
	for _, prefix := range prefixes {
		for pair, lerr := range missing(ctx, from, to, prefix) {
			if lerr != nil {
				return d, errors.Join(err, lerr)
			}
			if !pair.there {
				if cerr := one(ctx, from, to, pair.info); cerr != nil {
					d.Missing++
					err = firstError(err, cerr)
					if ctx.Err() != nil {
						return d, err
					}
					continue
				}
				d.Copied++
			}
			d.Objects++
			d.Bytes += pair.info.Size
		}
	}
	return d, err
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

type pair struct {
	info  storage.Info
	there bool
}

// missing walks both listings side by side: they come in the same order.
func missing(ctx context.Context, from, to storage.Store, prefix string) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		next, stop := iter.Pull2(to.List(ctx, prefix, ""))
		defer stop()
		have, err, more := next()
		for info, ferr := range from.List(ctx, prefix, "") {
			for more && err == nil && have.Key < info.Key {
				have, err, more = next()
			}
			if ferr = firstError(ferr, err); ferr != nil {
				yield(pair{}, ferr)
				return
			}
			there := more && have.Key == info.Key && have.Size == info.Size
			if !yield(pair{info, there}, nil) {
				return
			}
		}
	}
}

// one copies an object. The digest is that of the first Store's bytes, read or
// confirmed there; the second confirms it again.
func one(ctx context.Context, from, to storage.Store, info storage.Info) error {
	sum, err := from.Checksum(ctx, info.Key)
	if err == nil {
		_, err = to.Put(ctx, info.Key, &object{ctx, from, info.Key, info.Size, sum}, storage.PutOptions{})
	}
	if err != nil {
		return fmt.Errorf("mirror %s: %w", info.Key, err)
	}
	return nil
}

// object is a blob that lies in a Store.
type object struct {
	ctx  context.Context
	s    storage.Store
	key  string
	size int64
	sum  [32]byte
}

func (o *object) Size() int64                      { return o.size }
func (o *object) SHA256() [32]byte                 { return o.sum }
func (o *object) Open() (io.ReadSeekCloser, error) { return &reader{o: o}, nil }

// reader opens a range where it is asked to read.
type reader struct {
	o   *object
	at  int64
	now io.ReadCloser
}

func (r *reader) Read(p []byte) (n int, err error) {
	if r.at >= r.o.size {
		return 0, io.EOF
	}
	if r.now == nil {
		if r.now, err = r.o.s.Range(r.o.ctx, r.o.key, r.at, -1); err != nil {
			return 0, err
		}
	}
	n, err = r.now.Read(p)
	r.at += int64(n)
	return n, err
}

func (r *reader) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += r.at
	case io.SeekEnd:
		off += r.o.size
	}
	if off < 0 {
		return 0, salvor.Errorf(salvor.Invalid, "seek to %d in %s", off, r.o.key)
	}
	if off == r.at {
		return off, nil
	}
	r.at = off
	return off, r.Close()
}

func (r *reader) Close() error {
	if r.now == nil {
		return nil
	}
	err := r.now.Close()
	r.now = nil
	return err
}

// Both is a Store that is two: what is put is in both, or the put has failed
// and is to be repeated. Reads ask the first, and the second where the first
// cannot answer.
func Both(first, second storage.Store) storage.Store { return both{first, second} }

type both struct{ first, second storage.Store }

// Put asks the first Store first: of many writers of a key it has one win, and
// only that one goes on to the second.
func (b both) Put(ctx context.Context, key string, blob storage.Blob, o storage.PutOptions) (storage.Info, error) {
	info, err := b.first.Put(ctx, key, blob, o)
	if err != nil {
		return info, err
	}
	_, err = b.second.Put(ctx, key, blob, o)
	return info, err
}

// elsewhere reports whether the other Store should be asked.
func elsewhere(err error) bool {
	c := salvor.ClassOf(err)
	return err != nil && (c == salvor.Unavailable || c == salvor.NotFound || c == salvor.Internal)
}

func (b both) Get(ctx context.Context, key string) (io.ReadCloser, storage.Info, error) {
	r, info, err := b.first.Get(ctx, key)
	if elsewhere(err) {
		if r, info, serr := b.second.Get(ctx, key); serr == nil {
			return r, info, nil
		}
	}
	return r, info, err
}

func (b both) Range(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r, err := b.first.Range(ctx, key, off, n)
	if elsewhere(err) {
		if r, serr := b.second.Range(ctx, key, off, n); serr == nil {
			return r, nil
		}
	}
	return r, err
}

// List is the first Store's.
func (b both) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return b.first.List(ctx, prefix, after)
}

func (b both) Delete(ctx context.Context, key string) error {
	return firstError(b.second.Delete(ctx, key), b.first.Delete(ctx, key))
}

func (b both) Stat(ctx context.Context, key string) (storage.Info, error) {
	info, err := b.first.Stat(ctx, key)
	if elsewhere(err) {
		if info, serr := b.second.Stat(ctx, key); serr == nil {
			return info, nil
		}
	}
	return info, err
}

func (b both) Checksum(ctx context.Context, key string) ([32]byte, error) {
	sum, err := b.first.Checksum(ctx, key)
	if elsewhere(err) {
		if sum, serr := b.second.Checksum(ctx, key); serr == nil {
			return sum, nil
		}
	}
	return sum, err
}
