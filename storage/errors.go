package storage

import "salvor"

// ErrMissing says that there is no such object.
func ErrMissing(key string) error {
	return salvor.Errorf(salvor.NotFound, "no object %s in the store", key)
}

// ErrDifferent says that a key is taken by another content.
func ErrDifferent(key string) error {
	return salvor.Errorf(salvor.Conflict, "the store has another content at %s already", key).
		WithHint("objects are never overwritten: find out who wrote %s, or put under another key", key)
}

// CheckBlob compares what was read of a blob with what it said of itself.
// A difference means that its source changed or was read wrongly, so nothing
// may be stored.
func CheckBlob(key string, b Blob, size int64, sum [32]byte) error {
	if size != b.Size() {
		return salvor.Errorf(salvor.Internal, "put %s: the blob has %d bytes, its writer said %d", key, size, b.Size())
	}
	if sum != b.SHA256() {
		return salvor.Errorf(salvor.Internal, "put %s: the blob's SHA-256 is %x, its writer said %x", key, sum, b.SHA256())
	}
	return nil
}
