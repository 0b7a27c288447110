package archive

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"salvor/storage/durable"
)

// replacePrivate is durable.WriteFile for a file that only its owner may
// read: at no moment does another user see it, not even its temporary name.
// Whoever may write here holds the archive's lock, so that one temporary name
// is enough; a left-over of a killed process is replaced.
func replacePrivate(path string, write func(io.Writer) error) error {
	tmp := path + durable.TempSuffix
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return durable.Error(err, "remove", tmp)
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return durable.Error(err, "create", path)
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return durable.Error(errors.Join(err, os.Remove(tmp)), "write", path)
	}
	if err := os.Rename(tmp, path); err != nil {
		return durable.Error(err, "rename to", path)
	}
	return durable.SyncDir(filepath.Dir(path))
}
