package signed

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"

	"salvor"
	"salvor/storage"
)

// outgoing reads a blob, or one part of it, for sending. Of a whole blob it
// holds the last bytes back until their SHA-256 is what the blob's writer said;
// a part's checksum was signed, and the Store compares it.
type outgoing struct {
	key  string
	blob storage.Blob
	in   io.ReadCloser
	r    io.Reader
	h    hash.Hash // nil of a part
	left int64
	err  error // what was wrong with the blob, as opposed to the network
}

// wholeOf opens a blob, partOf n bytes of it.
func wholeOf(ctx context.Context, key string, b storage.Blob) (*outgoing, error) {
	o, err := partOf(ctx, key, b, 0, b.Size())
	if err == nil {
		o.h = sha256.New()
	}
	return o, err
}

func partOf(ctx context.Context, key string, b storage.Blob, off, n int64) (*outgoing, error) {
	in, err := b.Open()
	if err != nil {
		return nil, salvor.Errorf(salvor.Internal, "put %s: open the blob: %w", key, err)
	}
	if off > 0 {
		if _, err := in.Seek(off, io.SeekStart); err != nil {
			in.Close()
			return nil, salvor.Errorf(salvor.Internal, "put %s: read the blob from %d on: %w", key, off, err)
		}
	}
	return &outgoing{key: key, blob: b, in: in, r: storage.ContextReader(ctx, key, in), left: n}, nil
}

func (o *outgoing) Close() error { return o.in.Close() }

func (o *outgoing) Read(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	if int64(len(p)) > o.left {
		p = p[:o.left]
	}
	if len(p) == 0 {
		return 0, io.EOF
	}
	n, err := o.r.Read(p)
	o.left -= int64(n)
	if o.h != nil {
		o.h.Write(p[:n])
	}
	switch {
	case o.left == 0:
		o.err = o.check()
	case err == io.EOF:
		o.err = salvor.Errorf(salvor.Internal, "put %s: the blob ends %d bytes before the %d that its writer said", o.key, o.left, o.blob.Size())
	case err != nil:
		o.err = salvor.Errorf(salvor.ClassOf(err), "put %s: %w", o.key, err).WithHint("%s", salvor.HintOf(err))
	}
	if o.err != nil {
		return 0, o.err
	}
	return n, nil
}

// check compares a whole blob with what its writer said; it must end here.
func (o *outgoing) check() error {
	if o.h == nil {
		return nil
	}
	size := o.blob.Size()
	var more [1]byte
	n, err := io.ReadFull(o.r, more[:])
	if err != io.EOF {
		if n == 0 {
			return salvor.Errorf(salvor.ClassOf(err), "put %s: %w", o.key, err).WithHint("%s", salvor.HintOf(err))
		}
		size++
	}
	return storage.CheckBlob(o.key, o.blob, size, [32]byte(o.h.Sum(nil)))
}

// incoming reads an object. One that breaks off or is not what was announced
// is an error, never an end.
type incoming struct {
	ctx  context.Context
	key  string
	in   io.ReadCloser
	size int64 // -1 not announced
	n    int64
	h    hash.Hash
	want [32]byte // zero: not known
}

func newIncoming(ctx context.Context, key string, in io.ReadCloser, size int64, want [32]byte) *incoming {
	return &incoming{ctx: ctx, key: key, in: in, size: size, h: sha256.New(), want: want}
}

func (i *incoming) Read(p []byte) (int, error) {
	if err := storage.ContextError(i.ctx, "read", i.key); err != nil {
		return 0, err
	}
	n, err := i.in.Read(p)
	i.n += int64(n)
	known := i.want != [32]byte{}
	if known {
		i.h.Write(p[:n])
	}
	switch {
	case err == nil:
		return n, nil
	case err != io.EOF:
		if ctxErr := storage.ContextError(i.ctx, "read", i.key); ctxErr != nil {
			return n, ctxErr
		}
		return n, salvor.Errorf(salvor.Unavailable, "read %s: it broke off after %d bytes: %w", i.key, i.n, err)
	case i.size >= 0 && i.n != i.size:
		return n, salvor.Errorf(salvor.Unavailable, "read %s: %d bytes came of %d", i.key, i.n, i.size)
	case known && [32]byte(i.h.Sum(nil)) != i.want:
		return n, salvor.Errorf(salvor.Internal, "read %s: its bytes have another SHA-256 than the store says", i.key)
	}
	return n, io.EOF
}

func (i *incoming) Close() error { return i.in.Close() }
