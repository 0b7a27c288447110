package coordinator

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"salvor"
	"salvor/coordinator/frontier"
	"salvor/storage/durable"
)

// machine is the replicated state as the Raft side sees it.
type machine interface {
	ApplyBatch([]frontier.Entry) []frontier.Outcome
	AppliedIndex() uint64
	Flush() error
	Checkpoint(dir string) (uint64, error)
	Close() error
}

// state owns the directory of a group's machine: numbered directories, of
// which the file CURRENT names the one in use. A restored snapshot goes into a
// new one; the switch is the renaming of CURRENT, so that a crash leaves the
// old state or the new one (protocol 10).
type state[M machine] struct {
	dir  string
	open func(dir string) (M, error)

	mu     sync.Mutex
	idle   *sync.Cond // uses fell
	now    *opened[M]
	closed bool
}

// opened is a machine and who still uses it.
type opened[M machine] struct {
	m    M
	dir  string
	uses int // the state itself counts as one
}

const currentFile = "CURRENT"

// openState opens the directory's current machine, or makes the first.
func openState[M machine](dir string, open func(string) (M, error)) (*state[M], error) {
	s := &state[M]{dir: dir, open: open}
	s.idle = sync.NewCond(&s.mu)
	if err := durable.MkdirAll(dir); err != nil {
		return nil, err
	}
	if err := durable.RemoveTemps(dir); err != nil {
		return nil, err
	}
	name, err := s.current()
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = stateName(1)
	}
	s.sweep(name)
	m, err := open(filepath.Join(dir, name))
	if err != nil {
		return nil, durable.Error(err, "open state in", dir)
	}
	// The pointer is written after the first open: a crash between leaves a
	// directory without pointer, which sweep removes.
	if err := s.point(name); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	s.now = &opened[M]{m: m, dir: filepath.Join(dir, name), uses: 1}
	return s, nil
}

func stateName(n int) string { return fmt.Sprintf("%06d", n) }

// current is the name in CURRENT; "" in a new directory.
func (s *state[M]) current() (string, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, currentFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", durable.Error(err, "read", currentFile)
	}
	name := strings.TrimSpace(string(b))
	if _, err := strconv.Atoi(name); err != nil {
		return "", salvor.Errorf(salvor.Internal, "state: %s holds %q, not a directory's name", currentFile, name)
	}
	return name, nil
}

func (s *state[M]) point(name string) error {
	return durable.WriteFile(filepath.Join(s.dir, currentFile), func(w io.Writer) error {
		_, err := io.WriteString(w, name+"\n")
		return err
	})
}

// sweep removes directories a crash left beside the current one.
func (s *state[M]) sweep(keep string) {
	entries, _ := os.ReadDir(s.dir)
	current, _ := s.current()
	for _, e := range entries {
		if e.IsDir() && (e.Name() != keep || current == "") {
			os.RemoveAll(filepath.Join(s.dir, e.Name()))
		}
	}
}

// use lends the current machine; done gives it back. A machine that was
// replaced meanwhile closes when its last user is done. It is for those who
// end before the state is closed.
func (s *state[M]) use() (m M, done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.take()
}

// take counts one more user. s.mu is held.
func (s *state[M]) take() (m M, done func()) {
	o := s.now
	o.uses++
	return o.m, func() { s.release(o) }
}

// lend is use for everyone else: it fails once the state is being closed.
func (s *state[M]) lend() (m M, done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return m, nil, errClosed
	}
	m, done = s.take()
	return m, done, nil
}

var errClosed = salvor.Errorf(salvor.Unavailable, "coordinator: closed")

func (s *state[M]) release(o *opened[M]) error {
	s.mu.Lock()
	o.uses--
	s.idle.Broadcast()
	last, replaced := o.uses == 0, s.now != o
	s.mu.Unlock()
	if !last {
		return nil
	}
	err := durable.Error(o.m.Close(), "close state in", o.dir)
	if replaced {
		err = errors.Join(err, os.RemoveAll(o.dir))
	}
	return err
}

// restore replaces the machine by the one in an archive.
func (s *state[M]) restore(r io.Reader) error {
	name, err := s.current()
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(name)
	next := stateName(n + 1)
	dir := filepath.Join(s.dir, next)
	if err := os.RemoveAll(dir); err != nil {
		return durable.Error(err, "remove", dir)
	}
	if err := unpack(r, dir); err != nil {
		return err
	}
	m, err := s.open(dir)
	if err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	if err := s.point(next); err != nil {
		return errors.Join(err, m.Close())
	}
	s.mu.Lock()
	old := s.now
	s.now = &opened[M]{m: m, dir: dir, uses: 1}
	s.mu.Unlock()
	return s.release(old)
}

// close lends no more, waits until nobody uses the machine and closes it.
func (s *state[M]) close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	o := s.now
	for o.uses > 1 {
		s.idle.Wait()
	}
	s.mu.Unlock()
	return s.release(o)
}
