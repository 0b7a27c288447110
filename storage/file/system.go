package file

import (
	"io"
	"os"
	"syscall"

	"salvor/storage/durable"
)

// system is the calls on which durability hangs. The Store makes them through
// it so that tests can keep a record of their order and make each one fail.
type system interface {
	Tmpfile(dir string) (output, error)      // O_TMPFILE: a file without a name
	Create(path string) (output, error)      // O_CREAT|O_EXCL
	LinkTmpfile(f output, path string) error // linkat(/proc/self/fd/N, path)
	Link(from, to string) error              // linkat(from, to)
	RenameNoReplace(from, to string) error   // renameat2(RENAME_NOREPLACE)
	Open(path string) (input, error)         // for reading and fsync
	Mkdir(path string) error                 // one directory
	Unlink(path string) error                // unlink: never a directory
	SyncDir(path string) error               // fsync of a directory
}

type output interface {
	io.WriteCloser
	Sync() error
	Fd() uintptr
}

type input interface {
	io.ReadCloser
	Sync() error
	Stat() (os.FileInfo, error)
}

type osSystem struct{}

func (osSystem) Create(path string) (output, error) {
	return opened(os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644))
}

func (osSystem) Link(from, to string) error { return os.Link(from, to) }

func (osSystem) Open(path string) (input, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osSystem) Mkdir(path string) error { return os.Mkdir(path, 0o755) }

func (osSystem) Unlink(path string) error { return syscall.Unlink(path) }

func (osSystem) SyncDir(path string) error { return durable.SyncDir(path) }

// opened avoids an interface that holds a nil file.
func opened(f *os.File, err error) (output, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}
