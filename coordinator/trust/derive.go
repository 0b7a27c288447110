package trust

import (
	"crypto/hmac"
	"crypto/sha256"

	"salvor"
)

// Derive is a secret of 32 bytes for one purpose that every coordinator of the
// cluster has, and nobody else: it follows from the authority's key.
func (i *Identity) Derive(purpose string) ([]byte, error) {
	if i.ca == nil {
		return nil, salvor.Errorf(salvor.Invalid, "node %s is no coordinator, so it has no secrets of the cluster", i.Peer().Name)
	}
	key, err := i.ca.key.Bytes()
	if err != nil {
		return nil, salvor.Errorf(salvor.Internal, "derive a secret: %w", err)
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte("salvor/1/" + purpose))
	return h.Sum(nil), nil
}
