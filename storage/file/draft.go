package file

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"salvor"
	"salvor/storage/durable"
)

// draft is a file being written that nobody can see yet.
type draft struct {
	out     output
	publish func() error // gives it its name, or fs.ErrExist
	drop    func()       // forgets it unless published, and closes it
}

// draft begins a file that is to become path.
func (s *Store) draft(key, path string) (*draft, error) {
	out, err := s.sys.Tmpfile(filepath.Dir(path))
	switch {
	case err == nil:
		return &draft{out, func() error { return s.sys.LinkTmpfile(out, path) }, func() { out.Close() }}, nil
	case unsupported(err):
		return s.namedDraft(path)
	case errors.Is(err, syscall.ENOTDIR):
		return nil, salvor.Errorf(salvor.Conflict, "put %s: a part of its path is an object already", key)
	}
	return nil, durable.Error(err, "create", path) // fs.ErrNotExist shows through
}

// unsupported covers the answers of file systems and kernels that have no
// O_TMPFILE: EOPNOTSUPP, and from old kernels EISDIR or EINVAL.
func unsupported(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.EINVAL)
}

func (s *Store) namedDraft(path string) (*draft, error) {
	name, err := s.temp.name()
	if err != nil {
		return nil, err
	}
	out, err := s.sys.Create(name)
	if err != nil {
		return nil, durable.Error(err, "create", path)
	}
	publish := func() error {
		err := s.sys.Link(name, path)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return err
		}
		return s.sys.RenameNoReplace(name, path)
	}
	drop := func() {
		out.Close()
		s.sys.Unlink(name) // gone already after a rename
	}
	return &draft{out, publish, drop}, nil
}

// temps names temporary files in a directory of this Store's own, which it
// holds by a lock: whoever can take the lock knows that the owner is gone.
type temps struct {
	dir string

	mu   sync.Mutex
	own  *os.File
	next int
}

func (t *temps) name() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.own == nil {
		if err := t.claim(); err != nil {
			return "", err
		}
	}
	t.next++
	return filepath.Join(t.own.Name(), fmt.Sprint(t.next)), nil
}

// claim makes and locks a directory. own stays nil when another Store cleaned
// it away before it was locked.
func (t *temps) claim() error {
	dir := filepath.Join(t.dir, fmt.Sprintf("%08x", rand.Uint32()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return durable.Error(err, "make directory", dir)
	}
	f, err := lock(dir)
	if err != nil {
		return durable.Error(err, "lock", dir)
	}
	if f == nil {
		return nil
	}
	if _, err := os.Stat(dir); err != nil {
		f.Close()
		return nil
	}
	t.own = f
	return nil
}

// lock opens and locks a directory; nil when it is locked by another or gone.
func lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = nil
		}
		return nil, err
	}
	return f, nil
}

// clean removes the temporary directories of Stores that are gone.
func (t *temps) clean() error {
	entries, err := os.ReadDir(t.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return durable.Error(err, "read directory", t.dir)
	}
	for _, e := range entries {
		if err := t.cleanOne(filepath.Join(t.dir, e.Name())); err != nil {
			return durable.Error(err, "clean up", t.dir)
		}
	}
	os.Remove(t.dir) // fails while another Store uses it, as it should
	return nil
}

func (t *temps) cleanOne(dir string) error {
	f, err := lock(dir)
	if f == nil || err != nil {
		return err
	}
	defer f.Close()
	return os.RemoveAll(dir)
}

func (t *temps) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.own == nil {
		return nil
	}
	err := os.RemoveAll(t.own.Name())
	t.own.Close()
	t.own = nil
	os.Remove(t.dir)
	return durable.Error(err, "clean up", t.dir)
}
