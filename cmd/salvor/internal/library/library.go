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
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/job"
	"salvor/storage"
	"salvor/storage/durable"
	"salvor/storage/file"
	"salvor/warc/access"
	"salvor/warc/access/fulltext"
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
	Dir    string
	Opened access.Change   // what the index had to learn
	words  *fulltext.Index // nil: it was not opened
}

// Close ends it.
func (b *Book) Close() error {
	if b.words != nil {
		return errors.Join(b.words.Close(), b.Index.Close())
	}
	return b.Index.Close()
}

// OpenWords lets pages be found by their words too, from what is there now on.
func (b *Book) OpenWords(ctx context.Context, progress func(segment string, pages int)) error {
	x, err := b.FullText(ctx, progress)
	if err != nil {
		return err
	}
	b.words, b.Words = x, x
	return nil
}

// wordsEvery is how soon what was stored is found by its words.
const wordsEvery = 5 * time.Second

// Follow brings the indexes up to the archive until ctx ends.
func (b *Book) Follow(ctx context.Context) {
	if b.words != nil {
		done := make(chan struct{})
		defer func() { <-done }()
		go func() {
			defer close(done)
			b.followWords(ctx)
		}()
	}
	b.Collection.Follow(ctx)
}

func (b *Book) followWords(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wordsEvery):
		}
		if err := b.words.Update(ctx, b.Collection, func(string, int) {}); err != nil && ctx.Err() == nil && b.Logger != nil {
			b.Logger.Warn("the full-text index is behind", "archive", b.Name, "error", err)
		}
	}
}

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
	b := &Book{Dir: dir, Collection: &access.Collection{Name: NameOf(dir), Index: x, Store: store, Logger: l.Logger}}
	if b.Opened, err = b.Update(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Forget deletes the indexes of an archive. Conflict while another process uses them.
func Forget(dir string) error {
	for _, path := range indexPaths(dir) {
		x, err := index.Open(path)
		if salvor.ClassOf(err) == salvor.Conflict && err != nil {
			return err
		}
		if err == nil {
			err = x.Close()
		}
		_ = err // one that cannot be opened is deleted all the more
		for _, p := range []string{path, path + ".text.db", filepath.Join(filepath.Dir(path), "text.db")} {
			for _, end := range []string{"", "-wal", "-shm"} {
				if err := os.RemoveAll(p + end); err != nil {
					return durable.Error(err, "delete", p)
				}
			}
		}
	}
	return nil
}

// indexPaths are the places where an index of an archive may lie.
func indexPaths(dir string) (out []string) {
	if _, err := os.Stat(IndexDir(dir)); err == nil && !isURL(dir) {
		out = append(out, IndexDir(dir))
	}
	if path, err := cached(dir); err == nil {
		out = append(out, path)
	}
	return out
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

// NameOf is the name of an archive's collection, as it stands in addresses.
func NameOf(dir string) string {
	if isURL(dir) { // by its prefix
		dir, _, _ = strings.Cut(dir, "?")
	}
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

// FullText is the full-text index of an archive, brought up to what is there. It lies
// beside the index of captures.
func (b *Book) FullText(ctx context.Context, progress func(segment string, pages int)) (*fulltext.Index, error) {
	path := filepath.Join(filepath.Dir(IndexDir(b.Dir)), "text.db")
	if _, err := os.Stat(filepath.Dir(path)); err != nil || isURL(b.Dir) {
		dir, err := cached(b.Dir)
		if err != nil {
			return nil, salvor.Errorf(salvor.Invalid, "there is no place for the full-text index: %w", err)
		}
		path = dir + ".text.db"
	}
	x, err := fulltext.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := x.Update(ctx, b.Collection, progress); err != nil {
		return nil, errors.Join(err, x.Close())
	}
	return x, nil
}

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
