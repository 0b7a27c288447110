// Package s3 is a Store in a bucket of an object store that speaks S3:
// Amazon's, MinIO, Ceph, versitygw and others.
//
// It is for archives that outgrow one machine. What it promises beyond
// storage.Store, and what it needs of the server for it:
//
//   - Put if absent is the server's own: If-None-Match: * on the request that
//     makes the object visible, which is the PUT of a small object and the
//     Complete of one sent in parts. A server that ignores the condition would
//     overwrite: Probe finds out, so run it once for every new server.
//   - A lost answer is no failure. Every put carries a nonce; after an error
//     that leaves the outcome open, and after "it exists", the object is looked
//     at: the own nonce, or the same content, is success.
//   - Bytes are checked end to end. An object sent in one piece carries its
//     SHA-256, which the server compares with what arrived and keeps; the last
//     bytes are held back until this side has seen that the blob is what its
//     writer said. An object sent in parts carries the CRC64NVME of each part
//     and of the whole, since S3 knows no SHA-256 of a whole object in parts.
//     That CRC and the SHA-256 are computed here over the same bytes, in one
//     pass, and the object is only completed when the SHA-256 is the blob's:
//     together they confirm it. A server that does not answer with its checksum
//     has the object read back.
//   - Info.SHA256 of Stat is the server's for objects in one piece, and what
//     the writer said for objects in parts. Checksum trusts only the former,
//     and reads the latter.
//   - Requests that make no progress end. What may help is tried again, with
//     waits that grow and are random.
//
// Deleting in a bucket with versions hides an object and keeps its bytes, and
// the key is free again. An object under retention is not deleted.
//
// A Put that ends with Unavailable or is cancelled leaves its parts for the
// next Put of the same content under the same key, which goes on with them
// (Config.StateDir); AbortOrphans removes those nobody will come back for.
package s3

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"salvor"
	"salvor/storage"
)

// Store keeps objects in a bucket.
type Store struct {
	cfg    Config
	secure bool
	core   minio.Core
	notes  *notes
	memory *memory
}

var _ storage.Store = (*Store)(nil)

// openWithin bounds how long Open tries.
const openWithin = 20 * time.Second

// Open connects to a bucket. It fails when the server cannot be reached, the
// bucket is not there or the keys are wrong.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s, err := connect(cfg)
	if err != nil || cfg.Unasked {
		return s, err
	}
	// Who begins wants to know soon what is wrong.
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	if err := s.retry(ctx, "open", "", func() error { return s.hello(ctx) }); err != nil {
		return nil, err
	}
	return s, nil
}

// connect makes a Store without asking the server anything.
func connect(cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	u, err := cfg.endpoint()
	if err != nil {
		return nil, err
	}
	creds, err := cfg.creds()
	if err != nil {
		return nil, err
	}
	transport, err := cfg.transport()
	if err != nil {
		return nil, err
	}
	lookup := map[PathStyle]minio.BucketLookupType{StylePath: minio.BucketLookupPath, StyleVirtual: minio.BucketLookupDNS}
	core, err := minio.NewCore(u.Host, &minio.Options{
		Creds: creds, Secure: u.Scheme == "https", Transport: transport, Region: cfg.Region,
		BucketLookup: lookup[cfg.Style],
		MaxRetries:   1, // retry.go tries again, and looks first whether the last try did it
	})
	if err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "endpoint %s: %w", cfg.Endpoint, err)
	}
	core.SetAppInfo("salvor", "1")
	notes, err := openNotes(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	return &Store{cfg, u.Scheme == "https", *core, notes, newMemory(2*cfg.Parallel, cfg.PartSize)}, nil
}

// hello asks for one key: the cheapest request whose answer tells a wrong
// bucket from wrong keys. Not being allowed to list is no reason to fail.
func (s *Store) hello(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for o := range s.core.ListObjectsIter(ctx, s.cfg.Bucket, minio.ListObjectsOptions{Prefix: s.object(""), Recursive: true, MaxKeys: 1}) {
		if o.Err != nil && code(o.Err) != "AccessDenied" {
			return s.fail(ctx, o.Err, "open the bucket "+s.cfg.Bucket, "")
		}
		break
	}
	return storage.ContextError(ctx, "open the bucket", s.cfg.Bucket)
}

// object is the name in the bucket of a key, or of a prefix of keys.
func (s *Store) object(key string) string {
	if s.cfg.Prefix == "" {
		return key
	}
	return s.cfg.Prefix + "/" + key
}

// start is what every call begins with.
func (s *Store) start(ctx context.Context, doing, key string) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	return storage.ContextError(ctx, doing, key)
}

func (s *Store) startWrite(ctx context.Context, doing, key string) error {
	if err := s.start(ctx, doing, key); err != nil {
		return err
	}
	if s.cfg.ReadOnly {
		return salvor.Errorf(salvor.Forbidden, "%s %s: the store was opened for reading only", doing, key)
	}
	return nil
}

// Stat implements storage.Store.
func (s *Store) Stat(ctx context.Context, key string) (storage.Info, error) {
	if err := s.start(ctx, "stat", key); err != nil {
		return storage.Info{}, err
	}
	h, err := s.head(ctx, "stat", key)
	if err != nil {
		return storage.Info{}, err
	}
	return h.info(key), nil
}

// Checksum implements storage.Store: what a server computed over the whole
// object, else the object is read.
func (s *Store) Checksum(ctx context.Context, key string) ([32]byte, error) {
	if err := s.start(ctx, "checksum", key); err != nil {
		return [32]byte{}, err
	}
	h, err := s.head(ctx, "checksum", key)
	if err != nil {
		return [32]byte{}, err
	}
	if h.sum != ([32]byte{}) {
		return h.sum, nil
	}
	return s.digest(ctx, key)
}

// Delete implements storage.Store. In a bucket with versions the object is
// hidden, and its bytes stay until a lifecycle rule or an operator removes the
// version. An object under retention or legal hold is Conflict.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := s.startWrite(ctx, "delete", key); err != nil {
		return err
	}
	h, err := s.head(ctx, "delete", key)
	switch salvor.ClassOf(err) {
	case salvor.NotFound:
		return nil
	case salvor.Forbidden: // keys that may delete and not read
	default:
		if err != nil {
			return err
		}
	}
	if err := h.held(key, time.Now()); err != nil {
		return err
	}
	return s.retry(ctx, "delete", key, func() error {
		err := s.fail(ctx, s.core.RemoveObject(ctx, s.cfg.Bucket, s.object(key), minio.RemoveObjectOptions{}), "delete", key)
		if salvor.ClassOf(err) == salvor.NotFound && code(err) != "NoSuchBucket" {
			return nil
		}
		return err
	})
}

// held says that an object must not be deleted yet.
func (h head) held(key string, now time.Time) error {
	switch {
	case h.hold:
		return salvor.Errorf(salvor.Conflict, "delete %s: it is under a legal hold", key).
			WithHint("who set the legal hold has to lift it first")
	case h.retainUntil.After(now):
		return salvor.Errorf(salvor.Conflict, "delete %s: it is under retention (%s) until %s", key,
			strings.ToLower(h.retainMode), h.retainUntil.UTC().Format(time.RFC3339)).
			WithHint("it can be deleted after %s", h.retainUntil.UTC().Format(time.RFC3339))
	}
	return nil
}

// missing reports whether err says that there is no such object.
func missing(err error) bool {
	e, ok := errors.AsType[*salvor.Error](err)
	return ok && e.Class == salvor.NotFound && code(err) == ""
}
