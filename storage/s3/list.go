package s3

import (
	"context"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"

	"salvor"
	"salvor/storage"
)

// List implements storage.Store. Objects whose names are no keys are not
// shown. A listing that breaks off goes on where it was.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		after, t := after, s.newTries()
		for {
			before := after
			over, err := s.listFrom(ctx, prefix, &after, yield)
			if over || err == nil {
				return
			}
			if after != before {
				t = s.newTries() // it does move
			}
			if salvor.ClassOf(err) != salvor.Unavailable || ctx.Err() != nil {
				yield(storage.Info{}, err)
				return
			}
			if err := t.wait(ctx, "list", prefix, err); err != nil {
				yield(storage.Info{}, err)
				return
			}
		}
	}
}

// listFrom lists until the end, an error, or the caller had enough (over).
// after follows the last key that was yielded.
func (s *Store) listFrom(ctx context.Context, prefix string, after *string, yield func(storage.Info, error) bool) (over bool, err error) {
	if err := storage.ContextError(ctx, "list", prefix); err != nil {
		return false, err
	}
	o := minio.ListObjectsOptions{Prefix: s.object(prefix), Recursive: true, FetchOwner: new(bool)}
	if *after != "" {
		o.StartAfter = s.object(*after)
	}
	lctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for obj := range s.core.ListObjectsIter(lctx, s.cfg.Bucket, o) {
		if obj.Err != nil {
			return false, s.fail(ctx, obj.Err, "list", prefix)
		}
		if err := storage.ContextError(ctx, "list", prefix); err != nil {
			return false, err
		}
		key := strings.TrimPrefix(obj.Key, s.object(""))
		if storage.CheckKey(key) != nil || key <= *after {
			continue
		}
		if !yield(storage.Info{Key: key, Size: obj.Size, Modified: obj.LastModified}, nil) {
			return true, nil
		}
		*after = key
	}
	return false, storage.ContextError(ctx, "list", prefix) // the library ends quietly
}
