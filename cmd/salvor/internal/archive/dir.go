// Package archive is the directory of one archive: its layout, its lock, its
// format version and the small files that say what was asked for.
//
// It is for the command and the engine. One process at a time holds a
// directory for writing; a directory written by a newer version is not
// touched. Small files are replaced atomically, so that a crash leaves the old
// or the new one.
package archive

import (
	"os"
	"path/filepath"
)

// Format is the version of the directory's layout and files.
const Format = 1

// Dir is an archive directory.
type Dir struct {
	path string
	lock *os.File
}

// Path is the directory, as the user named it; Path("report.json") a file in it.
func (d *Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// WARC is where segments are stored, with a .cdxj beside each.
func (d *Dir) WARC(elem ...string) string { return d.under("warc", elem) }

// State is what a resume needs: settings, seeds, frontier, log, spool.
func (d *Dir) State(elem ...string) string { return d.under("state", elem) }

// Spool holds bodies under way and open segments.
func (d *Dir) Spool(elem ...string) string {
	return d.under("state", append([]string{"spool"}, elem...))
}

// Control is where the operator writes orders.
func (d *Dir) Control(elem ...string) string { return d.under("control", elem) }

func (d *Dir) under(name string, elem []string) string {
	return filepath.Join(append([]string{d.path, name}, elem...)...)
}
