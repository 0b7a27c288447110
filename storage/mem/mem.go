// Package mem is a Store in memory, for tests and for trying things out. It
// keeps every promise of a Store but durability.
package mem

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"salvor"
	"salvor/storage"
)

// Store is an empty Store when zero.
type Store struct {
	mu      sync.RWMutex
	objects map[string]object
}

type object struct {
	info storage.Info
	data []byte
}

// New returns an empty Store.
func New() *Store { return &Store{} }

var _ storage.Store = (*Store)(nil)

// Put implements storage.Store.
func (s *Store) Put(ctx context.Context, key string, b storage.Blob, _ storage.PutOptions) (storage.Info, error) {
	if err := check(ctx, "put", key); err != nil {
		return storage.Info{}, err
	}
	data, err := read(ctx, key, b)
	if err != nil {
		return storage.Info{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.objects[key]; ok {
		if o.info.SHA256 != b.SHA256() {
			return storage.Info{}, storage.ErrDifferent(key)
		}
		o.info.Existed = true
		return o.info, nil
	}
	if s.objects == nil {
		s.objects = make(map[string]object)
	}
	info := storage.Info{Key: key, Size: b.Size(), SHA256: b.SHA256(), Modified: time.Now()}
	s.objects[key] = object{info, data}
	return info, nil
}

func read(ctx context.Context, key string, b storage.Blob) ([]byte, error) {
	r, err := b.Open()
	if err != nil {
		return nil, salvor.Errorf(salvor.Internal, "put %s: open the blob: %w", key, err)
	}
	defer r.Close()
	data, err := io.ReadAll(storage.ContextReader(ctx, key, r))
	if err != nil {
		return nil, err
	}
	return data, storage.CheckBlob(key, b, int64(len(data)), sha256.Sum256(data))
}

// Get implements storage.Store.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, storage.Info, error) {
	o, err := s.find(ctx, "get", key)
	if err != nil {
		return nil, storage.Info{}, err
	}
	return reader(ctx, key, o.data), o.info, nil
}

func reader(ctx context.Context, key string, data []byte) io.ReadCloser {
	return io.NopCloser(storage.ContextReader(ctx, key, bytes.NewReader(data)))
}

// Range implements storage.Store.
func (s *Store) Range(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	o, err := s.find(ctx, "read", key)
	if err != nil {
		return nil, err
	}
	n, err = storage.CheckRange(key, int64(len(o.data)), off, n)
	if err != nil {
		return nil, err
	}
	return reader(ctx, key, o.data[off:off+n]), nil
}

// List implements storage.Store.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		s.mu.RLock()
		keys := slices.Sorted(maps.Keys(s.objects))
		s.mu.RUnlock()
		for _, k := range keys {
			if k <= after || !strings.HasPrefix(k, prefix) {
				continue
			}
			if err := storage.ContextError(ctx, "list", prefix); err != nil {
				yield(storage.Info{}, err)
				return
			}
			if o, err := s.find(ctx, "list", k); err == nil && !yield(o.info, nil) {
				return
			}
		}
		if err := storage.ContextError(ctx, "list", prefix); err != nil {
			yield(storage.Info{}, err)
		}
	}
}

// Delete implements storage.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := check(ctx, "delete", key); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, key)
	return nil
}

// Stat implements storage.Store.
func (s *Store) Stat(ctx context.Context, key string) (storage.Info, error) {
	o, err := s.find(ctx, "stat", key)
	return o.info, err
}

// Checksum implements storage.Store.
func (s *Store) Checksum(ctx context.Context, key string) ([32]byte, error) {
	o, err := s.find(ctx, "checksum", key)
	if err != nil {
		return [32]byte{}, err
	}
	return sha256.Sum256(o.data), nil
}

func (s *Store) find(ctx context.Context, doing, key string) (object, error) {
	if err := check(ctx, doing, key); err != nil {
		return object{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.objects[key]
	if !ok {
		return object{}, storage.ErrMissing(key)
	}
	return o, nil
}

func check(ctx context.Context, doing, key string) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	return storage.ContextError(ctx, doing, key)
}
