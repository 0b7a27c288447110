package durable

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"salvor"
)

// Error gives a file system's error its class and the remedy: "doing path:
// cause". nil stays nil, and an error that has a class already stays as it is.
func Error(err error, doing, path string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*salvor.Error](err); ok {
		return err
	}
	e := salvor.Errorf(class(err), "%s %s: %w", doing, path, cause(err))
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return e.WithHint("the file system that holds %s is full: free some space, then run the same command again", path)
	case errors.Is(err, syscall.EDQUOT):
		return e.WithHint("the disk quota for %s is used up: free some space or raise the quota, then run the same command again", path)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return e.WithHint("too many files are open: raise the limit (ulimit -n), then run the same command again")
	case errors.Is(err, syscall.ENOTDIR):
		return e.WithHint("a file is in the way: choose another directory")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return e.WithHint("make %s writable for this user, or choose another directory", path)
	}
	return e
}

func class(err error) salvor.ErrorClass {
	for _, no := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.EFBIG} {
		if errors.Is(err, no) {
			return salvor.Exhausted
		}
	}
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return salvor.Invalid
	case errors.Is(err, fs.ErrNotExist):
		return salvor.NotFound
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return salvor.Forbidden
	}
	return salvor.Internal
}

// cause strips the path that os puts into its errors: ours is the one that
// means something to the reader.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
