package storage

import (
	"context"
	"errors"
	"io"

	"salvor"
)

// ContextError is nil while ctx lives, else an error of class Interrupted
// (cancelled) or Unavailable (out of time) that says what was being done.
func ContextError(ctx context.Context, doing, key string) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	class := salvor.Interrupted
	if errors.Is(err, context.DeadlineExceeded) {
		class = salvor.Unavailable
	}
	return salvor.Errorf(class, "%s %s: %w", doing, key, err)
}

// ContextReader ends the reading of an object when ctx does: a disk read
// cannot be interrupted, but no further one is begun.
func ContextReader(ctx context.Context, key string, r io.Reader) io.Reader {
	return &contextReader{ctx, key, r}
}

type contextReader struct {
	ctx context.Context
	key string
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := ContextError(c.ctx, "read", c.key); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
