// Package faulty wraps a Store and makes it fail by rule, for tests of what
// stands on a Store: errors before a call, answers lost after it, slowness,
// reads that break off.
package faulty

import (
	"context"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"salvor"
	"salvor/storage"
)

// Op is a method of a Store.
type Op string

// Operations that a Rule can name.
const (
	Put      Op = "put"
	Get      Op = "get"
	Range    Op = "range"
	List     Op = "list"
	Delete   Op = "delete"
	Stat     Op = "stat"
	Checksum Op = "checksum"
)

// Rule says which calls fail and how. Fields that are zero match everything
// and do nothing; the faults of one rule come in the order of its fields.
type Rule struct {
	Op     Op     // "" every operation
	Prefix string // of the key
	Skip   int    // let this many matching calls pass first
	Times  int    // then hit this many; 0 hits for ever

	Delay  time.Duration // wait, or until the context ends
	Before error         // fail without doing anything
	Short  int64         // Get and Range: break off with ShortErr after this many bytes
	// ShortErr defaults to io.ErrUnexpectedEOF; io.EOF makes the loss silent.
	ShortErr error
	After    error // do it, then say that it failed: the answer got lost
}

// Down is the error of a Store that cannot be reached.
func Down() error { return salvor.Errorf(salvor.Unavailable, "the store cannot be reached (injected)") }

// Full is the error of a Store without room.
func Full() error { return salvor.Errorf(salvor.Exhausted, "the store is full (injected)") }

// Store is a Store with rules. The first rule that matches a call applies.
type Store struct {
	storage.Store
	mu    sync.Mutex
	rules []*rule
	calls map[Op]int
}

type rule struct {
	Rule
	seen, hits int
}

var _ storage.Store = (*Store)(nil)

// Wrap wraps a Store. Without rules it behaves as the Store does.
func Wrap(s storage.Store, rules ...Rule) *Store {
	f := &Store{Store: s, calls: map[Op]int{}}
	f.Set(rules...)
	return f
}

// Set replaces the rules.
func (f *Store) Set(rules ...Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
	for _, r := range rules {
		f.rules = append(f.rules, &rule{Rule: r})
	}
}

// Calls counts the calls of an operation, failed ones too.
func (f *Store) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// match finds the rule that applies to a call.
func (f *Store) match(op Op, key string) Rule {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op]++
	for _, r := range f.rules {
		if r.Op != "" && r.Op != op || !strings.HasPrefix(key, r.Prefix) || r.Times > 0 && r.hits == r.Times {
			continue
		}
		if r.seen++; r.seen <= r.Skip {
			continue
		}
		r.hits++
		return r.Rule
	}
	return Rule{}
}

// before does what comes before the call.
func (f *Store) before(ctx context.Context, op Op, key string) (Rule, error) {
	r := f.match(op, key)
	if r.Delay > 0 {
		t := time.NewTimer(r.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return r, storage.ContextError(ctx, string(op), key)
		}
	}
	return r, r.Before
}

// Put implements storage.Store.
func (f *Store) Put(ctx context.Context, key string, b storage.Blob, o storage.PutOptions) (storage.Info, error) {
	r, err := f.before(ctx, Put, key)
	if err != nil {
		return storage.Info{}, err
	}
	info, err := f.Store.Put(ctx, key, b, o)
	if err == nil && r.After != nil {
		return storage.Info{}, r.After
	}
	return info, err
}

// Get implements storage.Store.
func (f *Store) Get(ctx context.Context, key string) (io.ReadCloser, storage.Info, error) {
	r, err := f.before(ctx, Get, key)
	if err != nil {
		return nil, storage.Info{}, err
	}
	body, info, err := f.Store.Get(ctx, key)
	body, err = r.read(body, err)
	return body, info, err
}

// Range implements storage.Store.
func (f *Store) Range(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r, err := f.before(ctx, Range, key)
	if err != nil {
		return nil, err
	}
	return r.read(f.Store.Range(ctx, key, off, n))
}

// read applies what the rule does to a body.
func (r Rule) read(body io.ReadCloser, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	if r.After != nil {
		body.Close()
		return nil, r.After
	}
	if r.Short == 0 && r.ShortErr == nil {
		return body, nil
	}
	if r.ShortErr == nil {
		r.ShortErr = io.ErrUnexpectedEOF
	}
	return &shortReader{body, r.Short, r.ShortErr}, nil
}

type shortReader struct {
	io.ReadCloser
	left int64
	err  error
}

func (s *shortReader) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, s.err
	}
	n, err := s.ReadCloser.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	return n, err
}

// List implements storage.Store; After comes when all was listed.
func (f *Store) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		r, err := f.before(ctx, List, prefix)
		if err != nil {
			yield(storage.Info{}, err)
			return
		}
		for info, err := range f.Store.List(ctx, prefix, after) {
			if !yield(info, err) || err != nil {
				return
			}
		}
		if r.After != nil {
			yield(storage.Info{}, r.After)
		}
	}
}

// Delete implements storage.Store.
func (f *Store) Delete(ctx context.Context, key string) error {
	r, err := f.before(ctx, Delete, key)
	if err != nil {
		return err
	}
	if err := f.Store.Delete(ctx, key); err != nil {
		return err
	}
	return r.After
}

// Stat implements storage.Store.
func (f *Store) Stat(ctx context.Context, key string) (storage.Info, error) {
	r, err := f.before(ctx, Stat, key)
	if err != nil {
		return storage.Info{}, err
	}
	info, err := f.Store.Stat(ctx, key)
	if err == nil && r.After != nil {
		return storage.Info{}, r.After
	}
	return info, err
}

// Checksum implements storage.Store.
func (f *Store) Checksum(ctx context.Context, key string) ([32]byte, error) {
	r, err := f.before(ctx, Checksum, key)
	if err != nil {
		return [32]byte{}, err
	}
	sum, err := f.Store.Checksum(ctx, key)
	if err == nil && r.After != nil {
		return [32]byte{}, r.After
	}
	return sum, err
}
