// Package library opens archives to be read: a directory that salvor save made, one
// whose files lie in an object store, or any directory with a warc/ in it.
//
// It is for the commands that find, show, check, export and serve what was saved. It
// changes nothing of an archive but the index in state/index, which holds nothing of
// its own; where that cannot be written, or is in use, it makes one elsewhere.
package library

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"salvor"
	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/job"
	"salvor/storage"
	"salvor/storage/file"
	"salvor/warc/access"
	"salvor/warc/cdx/index"
)

// Library opens archives.
type Library struct {
	OpenStore job.OpenStore
	Logger    *slog.Logger
}

// Book is an open archive. Close ends it.
type Book struct {
	*access.Collection
	Dir string
}

// Close ends it.
func (b *Book) Close() error { return b.Index.Close() }

// Open opens an archive and brings its index up to what is there. An index that is in
// use by another process is made anew in memory.
func (l *Library) Open(ctx context.Context, dir string) (*Book, error) {
	store, err := l.Store(ctx, dir)
	if err != nil {
		return nil, err
	}
	x, err := openIndex(dir)
	if err != nil {
		return nil, err
	}
	b := &Book{Dir: dir, Collection: &access.Collection{Name: nameOf(dir), Index: x, Store: store, Logger: l.Logger}}
	if _, err := b.Update(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Store is where the files of an archive lie.
func (l *Library) Store(ctx context.Context, dir string) (storage.Store, error) {
	if isURL(dir) {
		return l.OpenStore(ctx, job.StoreRequest{URL: dir})
	}
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, salvor.Errorf(salvor.NotFound, "there is no directory %s", dir).WithHint("name the directory of an archive, that has warc/ in it")
	case err != nil:
		return nil, salvor.Errorf(salvor.Invalid, "%w", err)
	case !st.IsDir():
		return nil, salvor.Errorf(salvor.Invalid, "%s is not a directory", dir).WithHint("name the directory that has warc/ in it")
	}
	url, err := storeOf(dir)
	if err != nil {
		return nil, err
	}
	if url != "" {
		return l.OpenStore(ctx, job.StoreRequest{URL: url})
	}
	if _, err := os.Stat(filepath.Join(dir, "warc")); err != nil {
		return nil, salvor.Errorf(salvor.NotFound, "%s has no warc/ in it: it is no archive, or nothing was stored yet", dir).
			WithHint("name the directory that salvor save made; while it crawls, its first files come after minutes")
	}
	return file.Open(dir)
}

// storeOf is the object store of an archive; "" its directory.
func storeOf(dir string) (string, error) {
	d, err := archive.OpenRead(dir)
	if salvor.ClassOf(err) == salvor.NotFound {
		return "", nil // made by somebody else
	}
	if err != nil {
		return "", err
	}
	var s job.Settings
	err = d.LoadSettings(&s)
	return s.Store, err
}

// nameOf is the name of an archive's collection, as it stands in addresses.
func nameOf(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, filepath.Base(abs))
	if strings.Trim(name, "-.") == "" {
		return "archive"
	}
	return name
}

// isURL tells an object store from a directory.
func isURL(dir string) bool { return strings.HasPrefix(dir, "s3://") }

// IndexDir is where the index of an archive lies.
func IndexDir(dir string) string { return archive.At(dir).State("index") }

func openIndex(dir string) (*index.Index, error) {
	path := IndexDir(dir)
	err := os.ErrInvalid
	if _, has := os.Stat(archive.At(dir).State()); has == nil && !isURL(dir) {
		err = os.MkdirAll(path, 0o755)
	}
	if err != nil {
		if path, err = cached(dir); err != nil {
			return index.OpenMemory()
		}
	}
	x, err := index.Open(path)
	if salvor.ClassOf(err) == salvor.Conflict || errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission) {
		return index.OpenMemory()
	}
	return x, err
}

// cached is a place for the index of an archive that cannot be written.
func cached(dir string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(abs))
	path := filepath.Join(base, "salvor", "index", hex.EncodeToString(sum[:8]))
	return path, os.MkdirAll(path, 0o755)
}
