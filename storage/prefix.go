package storage

import (
	"context"
	"io"
	"iter"
	"strings"
)

// Under is the part of a Store below a prefix, as a Store of its own: its keys
// are those of s without the prefix and the slash after it. The prefix is itself
// a key; "" is all of s. With a prefix keys may be shorter by its length than
// MaxKey.
func Under(s Store, prefix string) Store {
	if prefix == "" {
		return s
	}
	return under{s, prefix + "/"}
}

type under struct {
	s      Store
	prefix string
}

// key is where an object lies; the empty key must not become the prefix.
func (u under) key(key string) (string, error) {
	if err := CheckKey(key); err != nil {
		return "", err
	}
	return u.prefix + key, nil
}

func (u under) info(i Info) Info {
	i.Key = strings.TrimPrefix(i.Key, u.prefix)
	return i
}

func (u under) Put(ctx context.Context, key string, b Blob, o PutOptions) (Info, error) {
	k, err := u.key(key)
	if err != nil {
		return Info{}, err
	}
	i, err := u.s.Put(ctx, k, b, o)
	return u.info(i), err
}

func (u under) Get(ctx context.Context, key string) (io.ReadCloser, Info, error) {
	k, err := u.key(key)
	if err != nil {
		return nil, Info{}, err
	}
	r, i, err := u.s.Get(ctx, k)
	return r, u.info(i), err
}

func (u under) Range(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	k, err := u.key(key)
	if err != nil {
		return nil, err
	}
	return u.s.Range(ctx, k, off, n)
}

func (u under) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	if after != "" {
		after = u.prefix + after
	}
	return func(yield func(Info, error) bool) {
		for i, err := range u.s.List(ctx, u.prefix+prefix, after) {
			if !yield(u.info(i), err) {
				return
			}
		}
	}
}

func (u under) Delete(ctx context.Context, key string) error {
	k, err := u.key(key)
	if err != nil {
		return err
	}
	return u.s.Delete(ctx, k)
}

func (u under) Stat(ctx context.Context, key string) (Info, error) {
	k, err := u.key(key)
	if err != nil {
		return Info{}, err
	}
	i, err := u.s.Stat(ctx, k)
	return u.info(i), err
}

func (u under) Checksum(ctx context.Context, key string) ([32]byte, error) {
	k, err := u.key(key)
	if err != nil {
		return [32]byte{}, err
	}
	return u.s.Checksum(ctx, k)
}
