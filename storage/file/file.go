// Package file is a Store in a directory: an object's key is its path below
// the root, so that every tool of the field can read an archive without us.
//
// It is the embedded default. Puts are atomic and durable by this order of
// system calls, of which a test keeps the record:
//
//	open(O_TMPFILE) in the object's directory; the file has no name yet
//	write(...), hashing what is written; a difference from the blob's size or
//	  SHA-256 ends it here and nothing was ever visible
//	fsync(file)
//	linkat(/proc/self/fd/N, NAME): fails with EEXIST when the name is taken,
//	  which is what makes Put "put if absent" between processes
//	fsync(file) again: btrfs may not flush a file that had no name
//	fsync(directory)
//
// A missing directory is made before, and a directory that this process has
// not used yet is fsynced with all its parents up to the root. A blob in a
// file on the same file system is not copied: it is read once to confirm its
// digest, then fsync(file), linkat(FILE, NAME), fsync(directory); where that
// is not possible (EXDEV, EPERM, EMLINK) it is copied as above. File systems
// without O_TMPFILE get a named file in ROOT/.salvor-tmp instead, and those
// without hard links (FAT, exFAT) renameat2(RENAME_NOREPLACE) instead of
// linkat. When a name is taken, its content is compared with the blob's, and
// is fsynced with its directory before "the same" is reported: whoever put it
// may not have come so far.
//
// After a crash there is nothing but whole objects, and perhaps named
// temporary files of processes that are gone, which Open removes. Several
// processes may use one root.
package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"salvor/storage"
	"salvor/storage/durable"
)

// tmpDir holds the named temporary files. Its name is no key.
const tmpDir = ".salvor-tmp"

// Store keeps objects below a directory.
type Store struct {
	root string
	sys  system
	dirs sync.Map // directories known to be durable
	temp temps
}

var _ storage.Store = (*Store)(nil)

// Open opens the Store in a directory, which is made when missing, and removes
// what crashed processes left unfinished there.
func Open(root string) (*Store, error) { return open(root, osSystem{}) }

func open(root string, sys system) (*Store, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, durable.Error(err, "find", root)
	}
	if err := durable.MkdirAll(root); err != nil {
		return nil, err
	}
	s := &Store{root: root, sys: sys, temp: temps{dir: filepath.Join(root, tmpDir)}}
	return s, s.temp.clean()
}

// Close gives back what the Store holds; objects being read stay readable.
func (s *Store) Close() error { return s.temp.close() }

// Path is where an object lies, or would.
func (s *Store) Path(key string) string { return filepath.Join(s.root, filepath.FromSlash(key)) }

// start is what every call begins with.
func (s *Store) start(ctx context.Context, doing, key string) (path string, err error) {
	if err := storage.CheckKey(key); err != nil {
		return "", err
	}
	return s.Path(key), storage.ContextError(ctx, doing, key)
}

// Get implements storage.Store.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, storage.Info, error) {
	f, info, err := s.open(ctx, "get", key)
	if err != nil {
		return nil, storage.Info{}, err
	}
	return reader{storage.ContextReader(ctx, key, f), f}, info, nil
}

// Range implements storage.Store.
func (s *Store) Range(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	f, info, err := s.open(ctx, "read", key)
	if err != nil {
		return nil, err
	}
	n, err = storage.CheckRange(key, info.Size, off, n)
	if err != nil {
		f.Close()
		return nil, err
	}
	return reader{storage.ContextReader(ctx, key, io.NewSectionReader(f, off, n)), f}, nil
}

type reader struct {
	io.Reader
	io.Closer
}

func (s *Store) open(ctx context.Context, doing, key string) (*os.File, storage.Info, error) {
	path, err := s.start(ctx, doing, key)
	if err != nil {
		return nil, storage.Info{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, storage.Info{}, s.missing(err, doing, key)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, storage.Info{}, s.missing(err, doing, key)
	}
	return f, infoOf(key, st), nil
}

// Stat implements storage.Store.
func (s *Store) Stat(ctx context.Context, key string) (storage.Info, error) {
	path, err := s.start(ctx, "stat", key)
	if err != nil {
		return storage.Info{}, err
	}
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return storage.Info{}, s.missing(err, "stat", key)
	}
	return infoOf(key, st), nil
}

func infoOf(key string, st fs.FileInfo) storage.Info {
	return storage.Info{Key: key, Size: st.Size(), Modified: st.ModTime()}
}

// missing turns what the system says of an absent file into ErrMissing.
func (s *Store) missing(err error, doing, key string) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return storage.ErrMissing(key)
	}
	return durable.Error(err, doing, s.Path(key))
}

// Checksum implements storage.Store.
func (s *Store) Checksum(ctx context.Context, key string) ([32]byte, error) {
	f, _, err := s.open(ctx, "checksum", key)
	if err != nil {
		return [32]byte{}, err
	}
	defer f.Close()
	sum, _, err := digest(ctx, key, f)
	return sum, err
}

// Delete implements storage.Store. Directories stay.
func (s *Store) Delete(ctx context.Context, key string) error {
	path, err := s.start(ctx, "delete", key)
	if err != nil {
		return err
	}
	switch err := s.sys.Unlink(path); {
	case err == nil:
		return s.sys.SyncDir(filepath.Dir(path))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), isDir(path):
		return nil
	default:
		return durable.Error(err, "delete", path)
	}
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}
