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

func inUse(d *Dir) bool {
	f, err := acquire(d.path, d.State(lockFile))
	if err != nil {
		return salvor.ClassOf(err) == salvor.Conflict
	}
	_ = release(f)
	return false
}
