package crawler

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"salvor/storage"
	"salvor/warc"
)

// steppedStore makes a step of each put.
type steppedStore struct {
	storage.Store
	w *world
}

func (s *steppedStore) Put(ctx context.Context, key string, b storage.Blob, o storage.PutOptions) (storage.Info, error) {
	name := "put " + what(key)
	if err := s.w.step(name); err != nil {
		return storage.Info{}, err
	}
	info, err := s.Store.Put(ctx, key, b, o)
	if err == nil {
		err = s.w.step(name + " answer")
	}
	return info, err
}

// what is a file's kind, for the names of steps.
func what(path string) string {
	base := strings.TrimSuffix(filepath.Base(path), "journal.gz")
	if base != filepath.Base(path) {
		return "journal"
	}
	for _, end := range []string{"journal", "cdxj", "serial", "serial.tmp"} {
		if strings.HasSuffix(base, end) {
			return strings.TrimSuffix(end, ".tmp")
		}
	}
	if strings.HasSuffix(base, ".tmp") {
		return "other"
	}
	return "segment"
}

// steppedFS makes a step of each change of a file. What is written while the
// process dies is written by half.
type steppedFS struct{ w *world }

type steppedFile struct {
	*os.File
	w    *world
	path string
}

func (f *steppedFS) OpenFile(path string, flag int) (warc.File, error) {
	if flag&os.O_CREATE != 0 {
		if err := f.w.step("create " + what(path)); err != nil {
			return nil, err
		}
	}
	o, err := os.OpenFile(path, flag, 0o644)
	if err != nil {
		return nil, err
	}
	return &steppedFile{o, f.w, path}, nil
}

func (f *steppedFS) Rename(from, to string) error {
	if err := f.w.step("rename " + what(from)); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func (f *steppedFS) Remove(path string) error {
	if err := f.w.step("remove " + what(path)); err != nil {
		return err
	}
	return os.Remove(path)
}

func (f *steppedFS) ReadDir(dir string) (names []string, err error) {
	es, err := os.ReadDir(dir)
	for _, e := range es {
		names = append(names, e.Name())
	}
	return names, err
}

func (f *steppedFS) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o755) }
func (f *steppedFS) SyncDir(string) error      { return nil } // of a machine that goes on

func (f *steppedFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (f *steppedFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.w.step("write " + what(f.path)); err != nil {
		if f.w.halfWritten() {
			f.File.WriteAt(p[:len(p)/2], off)
		}
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

// halfWritten is true once: for the write in whose midst the process died.
func (w *world) halfWritten() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := w.dead && strings.HasPrefix(w.dieAt, "write ")
	if first {
		w.dieAt = ""
	}
	return first
}

func (f *steppedFile) Truncate(size int64) error {
	if err := f.w.step("truncate " + what(f.path)); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

// Sync covers what was written before it began.
func (f *steppedFile) Sync() error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	if err := f.w.step("sync " + what(f.path)); err != nil {
		return err
	}
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	name := strings.TrimSuffix(filepath.Base(f.path), ".open")
	f.w.synced[name] = max(f.w.synced[name], size)
	return nil
}
