// Package storage is where finished segments, indexes and reports live: one
// narrow interface over a directory (storage/file) or an object store.
//
// It is for everything that must outlive a process. What it guarantees, for
// every implementation, storage/storagetest checks:
//
//   - A successful Put is durable: it survives a crash of the process and of
//     the machine.
//   - Objects never change. Put is "put if absent": of many concurrent writers
//     of one key exactly one content wins, and every writer learns the truth.
//   - No reader sees half an object. A key is absent or whole.
//
// Errors are *salvor.Error values: Invalid for a bad key or range, NotFound,
// Conflict when another content is there, Exhausted when the disk or quota is
// full, Unavailable when the same call may succeed later. After Unavailable or
// a context error the outcome of a Put or Delete is unknown; repeating it is
// always right. Errors that name none of these are Internal.
package storage

import (
	"context"
	"io"
	"iter"
	"time"
)

// Store keeps immutable objects under keys that CheckKey accepts. Its methods
// are safe for concurrent use, by any number of processes as well.
type Store interface {
	// Put stores a blob under a key unless there is one. The same content
	// there already is success, another content is Conflict and changes
	// nothing. When Put returns nil the object is durable and its SHA-256 was
	// confirmed to be the blob's.
	Put(ctx context.Context, key string, b Blob, o PutOptions) (Info, error)
	// Get opens an object for reading from its start.
	Get(ctx context.Context, key string) (io.ReadCloser, Info, error)
	// Range opens n bytes from off; a negative n means to the end. Fewer come
	// when the object ends before; off at its end gives none, off beyond its
	// end or below 0 is Invalid.
	Range(ctx context.Context, key string, off, n int64) (io.ReadCloser, error)
	// List yields the objects whose key begins with prefix and is greater
	// than after, in byte order of their keys. An error ends the sequence.
	// Objects put or deleted meanwhile may or may not be seen.
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]
	// Delete removes an object; a missing one is success.
	Delete(ctx context.Context, key string) error
	// Stat describes an object without reading it.
	Stat(ctx context.Context, key string) (Info, error)
	// Checksum is the SHA-256 of the stored bytes. It is computed from the
	// bytes themselves, or confirmed by a server that did so.
	Checksum(ctx context.Context, key string) ([32]byte, error)
}

// Info describes a stored object.
type Info struct {
	Key      string
	Size     int64
	Modified time.Time
	// SHA256 is known after Put; elsewhere only where the Store keeps it.
	// The zero value means unknown: ask Checksum.
	SHA256 [32]byte
	// Claimed says that SHA256 is its writer's word alone: the Store keeps no
	// checksum of the whole object that stands behind it.
	Claimed bool
	// Existed says that Put found the same content there already.
	Existed bool
}

// PutOptions are wishes; the zero value is right for most.
type PutOptions struct {
	Type string // media type, for Stores that keep one
}
