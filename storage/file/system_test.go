package file

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// recorder is the real system with a record of its calls, without some of its
// abilities, and with errors where a test wants them.
type recorder struct {
	system
	noTmpfile, noLink bool
	root              string
	fail              map[string]error // by call and path, as in the record

	mu    sync.Mutex
	calls []string
}

func newRecorder(root string) *recorder {
	return &recorder{system: osSystem{}, root: root, fail: map[string]error{}}
}

// note records a call and says how it is to fail.
func (r *recorder) note(call string, paths ...string) error {
	for i, p := range paths {
		rel, err := filepath.Rel(r.root, p)
		switch {
		case err != nil || strings.HasPrefix(rel, ".."):
			paths[i] = "OUTSIDE"
		case strings.HasPrefix(rel, tmpDir+"/"):
			paths[i] = tmpDir + "/N"
		default:
			paths[i] = rel
		}
	}
	line := strings.Join(append([]string{call}, paths...), " ")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, line)
	return r.fail[line]
}

// take returns the record and begins a new one.
func (r *recorder) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.calls = nil }()
	return strings.Join(r.calls, "\n") + "\n"
}

func (r *recorder) Tmpfile(dir string) (output, error) {
	if r.noTmpfile {
		return nil, syscall.EOPNOTSUPP
	}
	if err := r.note("tmpfile", dir); err != nil {
		return nil, err
	}
	f, err := r.system.Tmpfile(dir)
	if err != nil {
		return nil, err
	}
	return &recordedFile{f, r, "the file"}, nil
}

func (r *recorder) Create(path string) (output, error) {
	if err := r.note("create", path); err != nil {
		return nil, err
	}
	f, err := r.system.Create(path)
	if err != nil {
		return nil, err
	}
	return &recordedFile{f, r, "the file"}, nil
}

func (r *recorder) LinkTmpfile(f output, path string) error {
	if err := r.note("linkat fd", path); err != nil {
		return err
	}
	return r.system.LinkTmpfile(f.(*recordedFile).output, path)
}

func (r *recorder) Link(from, to string) error {
	if r.noLink {
		return &fs.PathError{Op: "link", Path: from, Err: syscall.EPERM}
	}
	if err := r.note("link", from, to); err != nil {
		return err
	}
	return r.system.Link(from, to)
}

func (r *recorder) RenameNoReplace(from, to string) error {
	if err := r.note("renameat2 noreplace", from, to); err != nil {
		return err
	}
	return r.system.RenameNoReplace(from, to)
}

func (r *recorder) Open(path string) (input, error) {
	f, err := r.system.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err // looking whether a name is taken is no step
	}
	if nerr := r.note("open", path); nerr != nil {
		return nil, nerr
	}
	if err != nil {
		return nil, err
	}
	return &recordedInput{f, r}, nil
}

func (r *recorder) Mkdir(path string) error {
	if err := r.note("mkdir", path); err != nil {
		return err
	}
	return r.system.Mkdir(path)
}

func (r *recorder) Unlink(path string) error {
	if err := r.note("unlink", path); err != nil {
		return err
	}
	return r.system.Unlink(path)
}

func (r *recorder) SyncDir(path string) error {
	if err := r.note("fsync directory", path); err != nil {
		return err
	}
	return r.system.SyncDir(path)
}

type recordedFile struct {
	output
	r    *recorder
	name string
}

func (f *recordedFile) Write(p []byte) (int, error) {
	if err := f.r.note(fmt.Sprintf("write %d bytes", len(p))); err != nil {
		return 0, err
	}
	return f.output.Write(p)
}

func (f *recordedFile) Sync() error {
	if err := f.r.note("fsync " + f.name); err != nil {
		return err
	}
	return f.output.Sync()
}

type recordedInput struct {
	input
	r *recorder
}

func (f *recordedInput) Sync() error {
	if err := f.r.note("fsync what was there"); err != nil {
		return err
	}
	return f.input.Sync()
}
