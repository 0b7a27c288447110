package s3

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"io"

	"github.com/minio/minio-go/v7"

	"salvor"
	"salvor/storage"
)

// source reads a blob for sending. It holds the last bytes back until the
// whole is what the blob's writer said, so that a server never gets a complete
// request with other content, whatever it checks itself.
type source struct {
	key  string
	blob storage.Blob
	in   io.ReadCloser
	r    io.Reader
	h    hash.Hash
	n    int64
	err  error // what was wrong with the blob, as opposed to the network
}

func openSource(ctx context.Context, key string, b storage.Blob) (*source, error) {
	if err := storage.ContextError(ctx, "put", key); err != nil {
		return nil, err
	}
	in, err := b.Open()
	if err != nil {
		return nil, salvor.Errorf(salvor.Internal, "put %s: open the blob: %w", key, err)
	}
	return &source{key: key, blob: b, in: in, r: storage.ContextReader(ctx, key, in), h: sha256.New()}, nil
}

func (s *source) Close() error { return s.in.Close() }

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if left := s.blob.Size() - s.n; int64(len(p)) > left {
		p = p[:left]
	}
	if len(p) == 0 {
		return 0, io.EOF
	}
	n, err := s.r.Read(p)
	s.h.Write(p[:n])
	s.n += int64(n)
	switch {
	case s.n == s.blob.Size(), err == io.EOF:
		s.err = storage.CheckBlob(s.key, s.blob, s.n, [32]byte(s.h.Sum(nil)))
	case err != nil:
		s.err = salvor.Errorf(salvor.ClassOf(err), "put %s: %w", s.key, err).WithHint("%s", salvor.HintOf(err))
	}
	if s.err != nil {
		return 0, s.err
	}
	return n, nil
}

// drain checks a blob that is said to be empty.
func (s *source) drain() error {
	n, err := io.Copy(s.h, s.r)
	if err == nil {
		err = storage.CheckBlob(s.key, s.blob, n, [32]byte(s.h.Sum(nil)))
	}
	s.err = err
	return err
}

// readCRC reads the blob for its CRC64NVME, unless it is known.
func (w *write) readCRC(ctx context.Context) error {
	if w.crc != "" {
		return nil
	}
	src, err := openSource(ctx, w.key, w.blob)
	if err != nil {
		return err
	}
	defer src.Close()
	h := newCRC()
	if _, err := io.CopyBuffer(h, src, make([]byte, 256<<10)); err != nil {
		return err
	}
	w.crc = text64(h)
	return nil
}

func newCRC() hash.Hash { return minio.ChecksumCRC64NVME.Hasher() }

func text64(h hash.Hash) string { return base64.StdEncoding.EncodeToString(h.Sum(nil)) }
