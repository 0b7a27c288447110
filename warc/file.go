package warc

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"salvor"
)

// FS is what a spool needs of a file system. Tests put one between that fills
// up or fails; nobody else replaces it.
type FS interface {
	OpenFile(path string, flag int) (File, error)
	Rename(from, to string) error
	Remove(path string) error
	ReadDir(dir string) ([]string, error)
	MkdirAll(dir string) error
	SyncDir(dir string) error
}

// File is an open file of an FS.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Truncate(size int64) error
	Size() (int64, error)
}

type osFS struct{}

func (osFS) OpenFile(path string, flag int) (File, error) {
	f, err := os.OpenFile(path, flag, 0o644)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }
func (osFS) Remove(path string) error     { return os.Remove(path) }
func (osFS) MkdirAll(dir string) error    { return os.MkdirAll(dir, 0o755) }

func (osFS) ReadDir(dir string) ([]string, error) {
	es, err := os.ReadDir(dir)
	names := make([]string, 0, len(es))
	for _, e := range es {
		if e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// SyncDir makes names in a directory durable: fsync of a file does not say
// that its directory entry is on disk (fsync(2)).
func (osFS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// diskError gives an error of the file system its class and, where a person
// can help, the remedy.
func diskError(op, path string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return salvor.Errorf(salvor.Exhausted, "%s %s: %w", op, path, err).
			WithHint("Free space on the file system of %s or raise its quota, then resume: nothing that was saved is lost.", filepath.Dir(path))
	}
	if errors.Is(err, os.ErrNotExist) {
		return salvor.Errorf(salvor.NotFound, "%s %s: %w", op, path, err)
	}
	return salvor.Errorf(salvor.Internal, "%s %s: %w", op, path, err)
}

// writeDurably replaces a small file: write beside, fsync, rename, fsync the
// directory.
func writeDurably(fs FS, path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := fs.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return diskError("create", tmp, err)
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return diskError("write", tmp, err)
	}
	if err := fs.Rename(tmp, path); err != nil {
		return diskError("rename", tmp, err)
	}
	if err := fs.SyncDir(filepath.Dir(path)); err != nil {
		return diskError("sync", filepath.Dir(path), err)
	}
	return nil
}

// readAll reads a small file whole.
func readAll(fs FS, path string, max int64) ([]byte, error) {
	f, err := fs.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n, err := f.Size()
	if err != nil {
		return nil, err
	}
	if n > max {
		return nil, salvor.Errorf(salvor.Invalid, "%s has %d bytes, at most %d were expected", path, n, max)
	}
	b := make([]byte, n)
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, err
	}
	return b, nil
}

// ctxLock is a mutex whose waiters can give up.
type ctxLock chan struct{}

func newCtxLock() ctxLock { return make(ctxLock, 1) }

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// remove is Remove of a file that may be gone already.
func remove(fs FS, path string) error {
	if err := fs.Remove(path); err != nil && !os.IsNotExist(err) {
		return diskError("remove", path, err)
	}
	return nil
}
