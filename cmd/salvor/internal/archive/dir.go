// Package archive is the directory of one archive: its layout, its lock, its
// format version and the small files that say what was asked for.
//
// It is for the command and the engine. One process at a time holds a
// directory for writing; a directory written by a newer version is not
// touched. Small files are replaced atomically, so that a crash leaves the old
// or the new one.
package archive

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"salvor"
	"salvor/storage/durable"
)

// Format is the version of the directory's layout and files.
const Format = 1

// Dir is an archive directory, open for reading, or locked for writing.
type Dir struct {
	path string
	lock *os.File
}

// At is the directory in path, whatever is there: its layout, to look at.
func At(path string) *Dir { return &Dir{path: path} }

// Path is the directory as the user named it; Path("report.json") a file in it.
func (d *Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// WARC is where segments are stored, with a .cdxj beside each.
func (d *Dir) WARC(elem ...string) string { return d.under("warc", elem) }

// Stored counts the WARC files that are sealed and in their place.
func (d *Dir) Stored() (files int, bytes int64) {
	entries, err := os.ReadDir(d.WARC())
	if err != nil {
		return 0, 0 // none was ever sealed
	}
	for _, e := range entries {
		st, err := e.Info()
		if err == nil && st.Mode().IsRegular() && strings.HasSuffix(e.Name(), ".warc.gz") {
			files, bytes = files+1, bytes+st.Size()
		}
	}
	return files, bytes
}

// State is what a resume needs: settings, seeds, frontier, log, spool.
func (d *Dir) State(elem ...string) string { return d.under("state", elem) }

// Spool holds bodies under way and open segments.
func (d *Dir) Spool(elem ...string) string {
	return d.under("state", append([]string{"spool"}, elem...))
}

// Control is where the operator writes orders.
func (d *Dir) Control(elem ...string) string { return d.under("control", elem) }

// Log is the file of log lines, in the order they happened, over all runs.
func (d *Dir) Log() string { return d.Path("salvor.log") }

func (d *Dir) under(name string, elem []string) string {
	return filepath.Join(append([]string{d.path, name}, elem...)...)
}

// OpenOrCreate locks the archive in path, making one where there is nothing.
// fresh says that it holds no crawl yet.
func OpenOrCreate(path string) (d *Dir, fresh bool, err error) {
	fresh, err = vacant(path)
	if err != nil {
		return nil, false, err
	}
	if fresh {
		if err := mkdirs(path); err != nil {
			return nil, false, err
		}
	}
	d, err = Open(path)
	if err != nil {
		return nil, false, err
	}
	// Another process may have begun a crawl between the look and the lock.
	return d, !exists(d.State(settingsFile)), nil
}

// Open locks an existing archive.
func Open(path string) (*Dir, error) {
	d := &Dir{path: path}
	if !exists(d.State()) {
		return nil, notAnArchive(path)
	}
	lock, err := acquire(path, d.State(lockFile))
	if err != nil {
		return nil, err
	}
	d.lock = lock
	if err := d.checkFormat(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// OpenRead opens an archive that may be in use by another process, without
// locking it.
func OpenRead(path string) (*Dir, error) {
	d := &Dir{path: path}
	if !exists(d.State(settingsFile)) {
		return nil, notAnArchive(path)
	}
	if err := d.checkFormat(); err != nil {
		return nil, err
	}
	return d, nil
}

// Close gives the lock back.
func (d *Dir) Close() error {
	if d.lock == nil {
		return nil
	}
	lock := d.lock
	d.lock = nil
	return release(lock)
}

// vacant reports whether path can become a new archive: it is not there, or
// empty, or holds only what an attempt left that was killed before it wrote
// its settings. A directory with anything else must already be an archive.
func vacant(path string) (bool, error) {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, unusable(err, path)
	}
	d := Dir{path: path}
	if exists(d.State(settingsFile)) {
		return false, nil
	}
	// A restore that was killed leaves a log, and nothing yet that a run writes.
	halfRestored := exists(d.State()) && !exists(d.State("rescue.json"))
	for _, e := range entries {
		if halfRestored && e.Name() == "crawl.log" {
			continue
		}
		if e.Name() != "state" && e.Name() != "control" && e.Name() != "warc" && e.Name() != "salvor.log" {
			return false, salvor.Errorf(salvor.Invalid, "%s holds other files and is no archive", path).
				WithHint("name an empty directory with --dir, or one that does not exist yet")
		}
	}
	if exists(d.State("raft")) || exists(d.State("frontier")) {
		return false, salvor.Errorf(salvor.Invalid, "%s has crawl state but no %s", path, filepath.Join("state", settingsFile)).
			WithHint("restore that file, or choose another --dir")
	}
	return true, nil
}

func mkdirs(path string) error {
	d := Dir{path: path}
	for _, p := range []string{d.WARC(), d.Spool(), d.Control()} {
		if err := durable.MkdirAll(p); err != nil {
			return unusable(err, path)
		}
	}
	return nil
}

// unusable is the answer to a path that cannot become a directory.
func unusable(err error, path string) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return salvor.Errorf(salvor.Invalid, "%s, or what is above it, is a file", path).
			WithHint("name a directory with --dir")
	}
	err = durable.Error(err, "open archive directory", path)
	if salvor.HintOf(err) != "" {
		return err
	}
	class := salvor.ClassOf(err)
	if errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EINVAL) {
		class = salvor.Invalid
	}
	return salvor.Errorf(class, "%w", err).WithHint("choose another --dir: a place where this user can make a directory")
}

func notAnArchive(path string) error {
	return salvor.Errorf(salvor.NotFound, "%s is no archive", path).
		WithHint("start one with: salvor save --dir %s URL", path)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
