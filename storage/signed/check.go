package signed

import (
	"context"

	"salvor"
	"salvor/api"
	"salvor/storage"
)

// Check makes sure that an object is in the Store as its writer says: what a
// coordinator does before it believes that something is stored. It costs one
// Stat, and reads the object only where the Store keeps no checksum of it.
//
// What nil proves depends on the Store and on how the object came there:
//
//   - In a bucket, sent in one piece: the server computed this SHA-256 over the
//     bytes it keeps.
//   - In a bucket, sent in parts: the object has this size, the upload that
//     made it was signed for this SHA-256, and a CRC64NVME of the whole, which
//     the server computed over the bytes it keeps, is the one that the upload
//     was signed with. That CRC and the SHA-256 were computed by the writer
//     over the same bytes in one pass. A writer that lies about its own digest
//     is not found out; bytes that were damaged or exchanged later are.
//   - Elsewhere (a directory, a server without checksums): the bytes were read
//     here and have this SHA-256.
//
// NotFound when there is no object, Conflict when it is another one. Other
// classes are the Store's, and prove nothing.
func Check(ctx context.Context, store storage.Store, key string, size int64, sum [32]byte) error {
	info, err := store.Stat(ctx, key)
	if salvor.ClassOf(err) == salvor.NotFound {
		return salvor.Errorf(salvor.NotFound, "check %s: %w", key, err).
			WithHint("the worker has not put it yet, or somebody removed it: the worker's spool still has it, and puts it again")
	}
	if err != nil {
		return err
	}
	if info.Size != size {
		return different(key, "has %d bytes, its writer says %d", info.Size, size)
	}
	got := info.SHA256
	if got == [32]byte{} || info.Claimed {
		if got, err = store.Checksum(ctx, key); err != nil {
			return err
		}
	}
	if got != sum {
		return different(key, "has the SHA-256 %x, its writer says %x", got, sum)
	}
	return nil
}

// CheckSegment is Check for a segment that a worker reports as stored.
func CheckSegment(ctx context.Context, store storage.Store, s api.Segment) error {
	if s.State != api.SegmentStored || s.Object == "" {
		return salvor.Errorf(salvor.Invalid, "segment %s is not said to be stored", s.Name)
	}
	return Check(ctx, store, s.Object, s.Bytes, s.SHA256)
}

func different(key, format string, args ...any) error {
	return salvor.Errorf(salvor.Conflict, "check %s: the object in the store "+format, append([]any{key}, args...)...).
		WithHint("keep both: the object in the store, and the file in the worker's spool; find out who else wrote this key")
}
