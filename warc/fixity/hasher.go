package fixity

import (
	"crypto/sha256"
	"hash"
	"io"
)

// hasher digests what is read through it.
type hasher struct {
	r   io.Reader
	sum hash.Hash
	n   int64
}

func newHasher(r io.Reader) *hasher { return &hasher{r: r, sum: sha256.New()} }

func (h *hasher) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.sum.Write(p[:n])
	h.n += int64(n)
	return n, err
}

// rest reads to the end.
func (h *hasher) rest() (n int64, sum [32]byte, err error) {
	_, err = io.Copy(io.Discard, h)
	return h.n, [32]byte(h.sum.Sum(nil)), err
}
