package file

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"salvor"
	"salvor/storage"
	"salvor/storage/durable"
)

// Put implements storage.Store; the package comment has the order of calls.
func (s *Store) Put(ctx context.Context, key string, b storage.Blob, _ storage.PutOptions) (storage.Info, error) {
	path, err := s.start(ctx, "put", key)
	if err != nil {
		return storage.Info{}, err
	}
	// A name that is taken may be free when we look, and the other way
	// round, while others delete: a few rounds settle any honest race.
	for range 8 {
		err = s.compare(ctx, key, path, b)
		if err == nil {
			return stored(key, b, true), nil
		}
		if !errors.Is(err, errAbsent) {
			return storage.Info{}, err
		}
		err = s.create(ctx, key, path, b)
		if err == nil {
			return stored(key, b, false), nil
		}
		if !errors.Is(err, fs.ErrExist) && !errors.Is(err, errDirGone) {
			return storage.Info{}, err
		}
	}
	return storage.Info{}, salvor.Errorf(salvor.Unavailable, "put %s: others put and delete it all the time", key)
}

func stored(key string, b storage.Blob, existed bool) storage.Info {
	return storage.Info{Key: key, Size: b.Size(), SHA256: b.SHA256(), Modified: time.Now(), Existed: existed}
}

// create gives the blob's bytes their name, or returns fs.ErrExist.
func (s *Store) create(ctx context.Context, key, path string, b storage.Blob) error {
	dir := filepath.Dir(path)
	if err := s.ready(dir); err != nil {
		return err
	}
	if f, ok := b.(storage.Filer); ok {
		err := s.link(ctx, key, path, f)
		if !errors.Is(err, errNoLink) {
			return err
		}
	}
	return s.copy(ctx, key, path, b)
}

// errDirGone says that somebody removed a directory behind our back.
var errDirGone = errors.New("directory was removed")

func (s *Store) forgetDirs() error {
	s.dirs.Clear()
	return errDirGone
}

// errNoLink says that a file cannot get a second name and has to be copied.
var errNoLink = errors.New("file cannot be linked")

// link stores a finished file by giving it a second name.
func (s *Store) link(ctx context.Context, key, path string, b storage.Filer) error {
	// A symbolic link would itself get the second name.
	if st, err := os.Lstat(b.Path()); err != nil || !st.Mode().IsRegular() {
		return errNoLink
	}
	f, err := s.sys.Open(b.Path())
	if err != nil {
		return durable.Error(err, "open", b.Path())
	}
	defer f.Close()
	sum, n, err := digest(ctx, key, f)
	if err == nil {
		err = storage.CheckBlob(key, b, n, sum)
	}
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return durable.Error(err, "fsync", b.Path())
	}
	switch err := s.sys.Link(b.Path(), path); {
	case errors.Is(err, fs.ErrExist):
		return fs.ErrExist
	case err != nil:
		return errNoLink // the copy finds out what is really wrong
	}
	return s.sys.SyncDir(filepath.Dir(path))
}

// copy stores a blob in a file of its own.
func (s *Store) copy(ctx context.Context, key, path string, b storage.Blob) error {
	d, err := s.draft(key, path)
	if errors.Is(err, fs.ErrNotExist) {
		return s.forgetDirs()
	}
	if err != nil {
		return err
	}
	defer d.drop()
	if err := fill(ctx, key, path, d.out, b); err != nil {
		return err
	}
	if err := d.out.Sync(); err != nil {
		return durable.Error(err, "fsync", path)
	}
	switch err := d.publish(); {
	case errors.Is(err, fs.ErrExist):
		return fs.ErrExist
	case errors.Is(err, fs.ErrNotExist):
		return s.forgetDirs()
	case err != nil:
		return durable.Error(err, "link", path)
	}
	if err := d.out.Sync(); err != nil {
		return durable.Error(err, "fsync", path)
	}
	return s.sys.SyncDir(filepath.Dir(path))
}

// fill writes the blob's bytes and makes sure that they are what was promised.
func fill(ctx context.Context, key, path string, out io.Writer, b storage.Blob) error {
	in, err := b.Open()
	if err != nil {
		return salvor.Errorf(salvor.Internal, "put %s: open the blob: %w", key, err)
	}
	defer in.Close()
	h := sha256.New()
	buf := make([]byte, min(max(b.Size(), 1)+1, 256<<10))
	w := io.MultiWriter(writer{out, path}, h)
	n, err := io.CopyBuffer(w, storage.ContextReader(ctx, key, in), buf)
	if err != nil {
		return salvor.Errorf(salvor.ClassOf(err), "put %s: %w", key, err).WithHint("%s", salvor.HintOf(err))
	}
	return storage.CheckBlob(key, b, n, [32]byte(h.Sum(nil)))
}

// writer tells errors of the disk from those of the blob.
type writer struct {
	w    io.Writer
	path string
}

func (w writer) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	return n, durable.Error(err, "write", w.path)
}

func digest(ctx context.Context, key string, f io.Reader) (sum [32]byte, n int64, err error) {
	h := sha256.New()
	n, err = io.CopyBuffer(h, storage.ContextReader(ctx, key, f), make([]byte, 256<<10))
	if err != nil {
		return sum, n, salvor.Errorf(salvor.ClassOf(err), "read %s: %w", key, err)
	}
	return [32]byte(h.Sum(nil)), n, nil
}

var errAbsent = errors.New("name is free")

// compare looks at what has the name already: nil when it is the blob's
// content and durable, errAbsent when there is nothing.
func (s *Store) compare(ctx context.Context, key, path string, b storage.Blob) error {
	f, err := s.sys.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errAbsent
	case errors.Is(err, syscall.ENOTDIR):
		return salvor.Errorf(salvor.Conflict, "put %s: a part of its path is an object already", key)
	case err != nil:
		return durable.Error(err, "open", path)
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return durable.Error(err, "stat", path)
	case st.IsDir():
		return salvor.Errorf(salvor.Conflict, "put %s: it is the directory of other objects", key)
	case !st.Mode().IsRegular() || st.Size() != b.Size():
		return storage.ErrDifferent(key)
	}
	sum, _, err := digest(ctx, key, f)
	if err != nil {
		return err
	}
	if sum != b.SHA256() {
		return storage.ErrDifferent(key)
	}
	return s.confirm(f, path)
}

// confirm makes durable what somebody else may only just have put.
func (s *Store) confirm(f input, path string) error {
	if err := f.Sync(); err != nil {
		return durable.Error(err, "fsync", path)
	}
	if err := s.ready(filepath.Dir(path)); err != nil {
		return err
	}
	return s.sys.SyncDir(filepath.Dir(path))
}

// ready makes a directory below the root, with its name and the names of its
// parents durable. Another process may have made it a moment ago, so each is
// fsynced once by every process that uses it.
func (s *Store) ready(dir string) error {
	if _, ok := s.dirs.Load(dir); ok || dir == s.root {
		return nil
	}
	at := s.root
	for part := range strings.SplitSeq(strings.TrimPrefix(dir, s.root+string(filepath.Separator)), string(filepath.Separator)) {
		parent := at
		at = filepath.Join(at, part)
		if _, ok := s.dirs.Load(at); ok {
			continue
		}
		if err := s.sys.Mkdir(at); err != nil && !errors.Is(err, fs.ErrExist) {
			return durable.Error(err, "make directory", at)
		}
		if err := s.sys.SyncDir(parent); err != nil {
			return err
		}
		s.dirs.Store(at, struct{}{})
	}
	return nil
}
