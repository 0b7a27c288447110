package archive

import (
	"fmt"
	"path/filepath"
	"time"

	"salvor"
)

// Unfinished is the archive directly under root that was worked on last and
// still has something to do. Archives another process works on are passed over.
func Unfinished(root string) (string, error) {
	found, err := filepath.Glob(filepath.Join(root, "*", "state", settingsFile))
	if err != nil {
		return "", fmt.Errorf("look for archives: %w", err)
	}
	var newest string
	var at time.Time
	busy := 0
	for _, f := range found {
		d := &Dir{path: filepath.Dir(filepath.Dir(f))}
		s, err := d.Status()
		if err != nil || s.Final || !s.Updated.After(at) {
			continue
		}
		if inUse(d) {
			busy++
			continue
		}
		newest, at = d.path, s.Updated
	}
	if newest != "" {
		return newest, nil
	}
	e := salvor.Errorf(salvor.NotFound, "no unfinished archive under the current directory")
	if busy > 0 {
		e = salvor.Errorf(salvor.Conflict, "every unfinished archive under the current directory is in use")
	}
	return "", e.WithHint("name it: salvor save --resume DIR")
}

func inUse(d *Dir) bool { return salvor.ClassOf(Usable(d.path)) == salvor.Conflict }

// Usable is the error that locking the archive in path, or beginning one there,
// would end with now, as far as that shows without making anything.
func Usable(path string) error {
	fresh, err := vacant(path)
	d := &Dir{path: path}
	if err != nil || fresh && !exists(d.State()) {
		return err
	}
	f, err := acquire(path, d.State(lockFile))
	if err != nil {
		return err
	}
	return release(f)
}
