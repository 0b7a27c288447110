package warc

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

var errCrash = errors.New("the machine is gone")

// faultFS is the spool's file system with a switch for each calamity.
type faultFS struct {
	osFS
	mu      sync.Mutex
	ops     int   // that change something
	crashAt int   // from this one on nothing happens any more; 0 never
	room    int64 // bytes until the disk is full; negative: no end
	failing func(op, path string) error
	synced  map[string]int64 // sizes that an fsync covered
	wrote   map[string]int64
}

func newFaultFS() *faultFS {
	return &faultFS{room: -1, synced: map[string]int64{}, wrote: map[string]int64{}}
}

// step counts an operation and says whether it may happen.
func (f *faultFS) step(op, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops++
	if f.crashAt > 0 && f.ops >= f.crashAt {
		return errCrash
	}
	if f.failing != nil {
		return f.failing(op, filepath.Base(path))
	}
	return nil
}

func (f *faultFS) setRoom(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.room = n
}

// take gives as much of n bytes as the disk has room for.
func (f *faultFS) take(n int) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.room < 0 {
		return n, nil
	}
	if int64(n) > f.room {
		n = int(f.room)
		f.room = 0
		return n, &os.PathError{Op: "write", Path: "spool", Err: syscall.ENOSPC}
	}
	f.room -= int64(n)
	return n, nil
}

func (f *faultFS) OpenFile(path string, flag int) (File, error) {
	if flag&os.O_CREATE != 0 {
		if err := f.step("create", path); err != nil {
			return nil, err
		}
	}
	file, err := f.osFS.OpenFile(path, flag)
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, fs: f, path: path}, nil
}

func (f *faultFS) Rename(from, to string) error {
	if err := f.step("rename", from); err != nil {
		return err
	}
	f.mu.Lock()
	f.synced[to], f.wrote[to] = f.synced[from], f.wrote[from]
	f.mu.Unlock()
	return f.osFS.Rename(from, to)
}

func (f *faultFS) Remove(path string) error {
	if err := f.step("remove", path); err != nil {
		return err
	}
	return f.osFS.Remove(path)
}

func (f *faultFS) SyncDir(dir string) error {
	if err := f.step("syncdir", dir); err != nil {
		return err
	}
	return nil
}

// powerCut loses some of what no fsync covered: files keep a random part of
// their unsynced tail, or get zeros there, as file systems do.
func (f *faultFS) powerCut(rng *rand.Rand) error {
	for path, size := range f.wrote {
		synced := f.synced[path]
		if size <= synced {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			continue
		}
		keep := synced + rng.Int64N(size-synced+1)
		if err := os.Truncate(path, keep); err != nil {
			return err
		}
		if rng.IntN(3) == 0 {
			if err := os.Truncate(path, size); err != nil {
				return err
			}
		}
	}
	return nil
}

type faultFile struct {
	File
	fs   *faultFS
	path string
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.step("write", f.path); err != nil {
		if errors.Is(err, errCrash) && len(p) > 1 { // killed in the midst of it
			f.File.WriteAt(p[:len(p)/2], off)
		}
		return 0, err
	}
	n, full := f.fs.take(len(p))
	n, err := f.File.WriteAt(p[:n], off)
	f.fs.mu.Lock()
	f.fs.wrote[f.path] = max(f.fs.wrote[f.path], off+int64(n))
	f.fs.mu.Unlock()
	if err == nil {
		err = full
	}
	return n, err
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.fs.step("truncate", f.path); err != nil {
		return err
	}
	f.fs.mu.Lock()
	f.fs.wrote[f.path] = size
	f.fs.synced[f.path] = min(f.fs.synced[f.path], size)
	f.fs.mu.Unlock()
	return f.File.Truncate(size)
}

func (f *faultFile) Sync() error {
	if err := f.fs.step("sync", f.path); err != nil {
		return err
	}
	f.fs.mu.Lock()
	covered := f.fs.wrote[f.path]
	f.fs.mu.Unlock()
	f.fs.mu.Lock() // the machine under test is not this one: no real fsync
	f.fs.synced[f.path] = max(f.fs.synced[f.path], covered)
	f.fs.mu.Unlock()
	return nil
}
