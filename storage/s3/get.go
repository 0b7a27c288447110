package s3

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math"
	"strings"

	"github.com/minio/minio-go/v7"

	"salvor"
	"salvor/storage"
)

// Get implements storage.Store. Reading to the end checks the length, and the
// checksum that the server keeps of the whole object.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, storage.Info, error) {
	if err := s.start(ctx, "get", key); err != nil {
		return nil, storage.Info{}, err
	}
	b, h, err := s.open(ctx, key, "")
	if err != nil {
		return nil, storage.Info{}, err
	}
	b.expect(h)
	return b, h.info(key), nil
}

// open asks for an object or a range of it ("bytes=..."). The request is made
// here, not with the first Read, so that its errors come at once.
func (s *Store) open(ctx context.Context, key, rng string) (b *body, h head, err error) {
	err = s.retry(ctx, "get", key, func() error {
		o := minio.GetObjectOptions{}
		o.Set("x-amz-checksum-mode", "ENABLED")
		if rng != "" {
			o.Set("Range", rng)
		}
		in, info, hd, err := s.core.GetObject(ctx, s.cfg.Bucket, s.object(key), o)
		if err != nil {
			return s.fail(ctx, err, "get", key)
		}
		if err := rightRange(key, rng, hd.Get("Content-Range")); err != nil {
			in.Close()
			return err
		}
		h = headOf(info)
		b = &body{ctx: ctx, s: s, key: key, in: in, left: info.Size}
		return nil
	})
	return b, h, err
}

// rightRange refuses an answer that holds other bytes than were asked for.
func rightRange(key, asked, got string) error {
	if asked == "" {
		return nil
	}
	from, _, _ := strings.Cut(strings.TrimPrefix(asked, "bytes="), "-")
	if !strings.HasPrefix(got, "bytes "+from+"-") {
		return salvor.Errorf(salvor.Internal, "get %s: the store answered with the range %q to %q", key, got, asked).
			WithHint("the server or a proxy before it cannot do ranges")
	}
	return nil
}

// Range implements storage.Store. It costs one request, and a second one when
// the range holds nothing or begins beyond the end.
func (s *Store) Range(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if err := s.start(ctx, "get", key); err != nil {
		return nil, err
	}
	if off >= 0 && n != 0 {
		b, _, err := s.open(ctx, key, rangeOf(off, n))
		if err == nil {
			return b, nil
		}
		if code(err) != codeRange {
			return nil, err
		}
	}
	h, err := s.head(ctx, "get", key)
	if err != nil {
		return nil, err
	}
	left, err := storage.CheckRange(key, h.size, off, n)
	if err != nil {
		return nil, err
	}
	if left > 0 {
		return nil, salvor.Errorf(salvor.Unavailable, "get %s: the store said that %d of %d bytes are none", key, off, h.size)
	}
	return io.NopCloser(strings.NewReader("")), nil
}

func rangeOf(off, n int64) string {
	switch {
	case off == 0 && n < 0:
		return "bytes=0-"
	case n < 0 || n-1 > math.MaxInt64-off:
		return fmt.Sprintf("bytes=%d-", off)
	}
	return fmt.Sprintf("bytes=%d-%d", off, off+n-1)
}

// body reads an object. A body that is too short is an error, never an end.
type body struct {
	ctx  context.Context
	s    *Store
	key  string
	in   io.ReadCloser
	left int64
	h    hash.Hash // nil when nothing is to be compared
	want string    // base64
}

// expect sets what the whole object must hash to.
func (b *body) expect(h head) {
	switch {
	case h.sum != [32]byte{}:
		b.h, b.want = sha256.New(), base64Of(h.sum)
	case h.crc != "":
		b.h, b.want = newCRC(), h.crc
	}
}

func (b *body) Read(p []byte) (int, error) {
	if err := storage.ContextError(b.ctx, "read", b.key); err != nil {
		return 0, err // what is in a buffer already would come without asking
	}
	n, err := b.in.Read(p)
	b.left -= int64(n)
	if b.h != nil {
		b.h.Write(p[:n])
	}
	switch {
	case err == io.EOF && b.left != 0:
		err = io.ErrUnexpectedEOF
		fallthrough
	case err != nil && err != io.EOF:
		return n, b.s.fail(b.ctx, err, "read", b.key)
	case b.left == 0 && b.h != nil:
		if got := text64(b.h); got != b.want {
			return n, salvor.Errorf(salvor.Internal, "read %s: the bytes that came have the checksum %s, the store keeps %s", b.key, got, b.want).
				WithHint("read it again; if it stays so, the object is damaged")
		}
		b.h = nil
	}
	return n, err
}

func (b *body) Close() error {
	if err := b.in.Close(); err != nil {
		return b.s.fail(b.ctx, err, "read", b.key)
	}
	return nil
}

// digest reads an object for its SHA-256.
func (s *Store) digest(ctx context.Context, key string) (sum [32]byte, err error) {
	err = s.retry(ctx, "checksum", key, func() error {
		b, h, err := s.open(ctx, key, "")
		if err != nil {
			return err
		}
		defer b.Close()
		b.expect(head{crc: h.crc})
		d := sha256.New()
		if _, err := io.CopyBuffer(d, b, make([]byte, 256<<10)); err != nil {
			return err
		}
		sum = [32]byte(d.Sum(nil))
		return nil
	})
	return sum, err
}
