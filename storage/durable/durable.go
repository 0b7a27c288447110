// Package durable makes changes to a file system that survive a crash, and
// says in people's words what went wrong when it cannot.
//
// It is for everything in Salvor that writes a file somebody relies on later.
// POSIX promises little here: a file's bytes are safe after fsync(2) of the
// file, its name is safe after fsync(2) of the directory that holds it, and
// that directory's own name after fsync(2) of its parent. WriteFile and
// MkdirAll do all of it, in this order:
//
//	WriteFile  open(DIR/.NAME.RANDOM.salvor-tmp, O_CREAT|O_EXCL|O_WRONLY)
//	           write(...)
//	           fsync(file)
//	           close(file)
//	           rename(temporary name, NAME)
//	           open(DIR), fsync(DIR), close(DIR)
//	MkdirAll   for each missing directory from the top: mkdir, fsync(parent)
//
// Whoever opens NAME sees the old content or the new one, never a part.
package durable

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// TempSuffix ends the names of unfinished files.
const TempSuffix = ".salvor-tmp"

// WriteFile writes a file atomically and durably, replacing what was there.
// When write fails nothing changes and its error is returned as it is.
func WriteFile(path string, write func(io.Writer) error) error {
	return writeFile(path, 0o644, write)
}

// WritePrivate is WriteFile for secrets: at no moment can anybody but the
// owner read the file.
func WritePrivate(path string, write func(io.Writer) error) error {
	return writeFile(path, 0o600, write)
}

func writeFile(path string, mode fs.FileMode, write func(io.Writer) error) error {
	dir, name := filepath.Split(path)
	tmp := filepath.Join(dir, fmt.Sprintf(".%s.%08x%s", name, rand.Uint32(), TempSuffix))
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return Error(err, "create", path)
	}
	if err := fill(f, path, write); err != nil {
		os.Remove(tmp)
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return Error(err, "rename to", path)
	}
	return SyncDir(filepath.Dir(path))
}

// fill writes, flushes and closes f. Errors of the file get path's name, not
// that of the temporary file.
func fill(f *os.File, path string, write func(io.Writer) error) error {
	out := &classed{w: f, path: path}
	b := bufio.NewWriterSize(out, 64<<10)
	err := write(b)
	if err == nil {
		err = b.Flush()
	}
	if err == nil {
		err = Error(f.Sync(), "fsync", path)
	}
	if cerr := f.Close(); err == nil {
		err = Error(cerr, "close", path)
	}
	return err
}

// classed gives write errors their class where they happen, so that a caller
// who passes them on unchanged still says what to do.
type classed struct {
	w    io.Writer
	path string
}

func (c *classed) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	return n, Error(err, "write", c.path)
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return Error(err, "open directory", dir)
	}
	err = d.Sync()
	d.Close()
	return Error(err, "fsync directory", dir)
}

// MkdirAll makes a directory and its missing parents durable.
func MkdirAll(dir string) error {
	dir = filepath.Clean(dir)
	switch st, err := os.Stat(dir); {
	case err == nil && st.IsDir():
		return nil
	case err == nil:
		return Error(&fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}, "make directory", dir)
	case !errors.Is(err, fs.ErrNotExist):
		return Error(err, "make directory", dir)
	}
	parent := filepath.Dir(dir)
	if err := MkdirAll(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return Error(err, "make directory", dir)
	}
	return SyncDir(parent)
}

// RemoveTemps removes what WriteFile left in a directory when the process was
// killed. Nobody may be writing files there at the same time.
func RemoveTemps(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return Error(err, "read directory", dir)
	}
	for _, e := range entries {
		if n := e.Name(); !strings.HasPrefix(n, ".") || !strings.HasSuffix(n, TempSuffix) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Error(err, "remove", filepath.Join(dir, e.Name()))
		}
	}
	return nil
}
