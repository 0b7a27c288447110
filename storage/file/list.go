package file

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"salvor/storage"
	"salvor/storage/durable"
)

// List implements storage.Store. It reads one directory at a time, only those
// that can hold a wanted key. Files whose names are no keys are not objects.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		l := lister{s, ctx, prefix, after, yield}
		l.dir("")
	}
}

type lister struct {
	s      *Store
	ctx    context.Context
	prefix string
	after  string
	yield  func(storage.Info, error) bool
}

// dir lists the directory whose keys begin with base ("" or ending in a
// slash); false when the listing is over.
func (l lister) dir(base string) bool {
	if err := storage.ContextError(l.ctx, "list", l.prefix); err != nil {
		l.yield(storage.Info{}, err)
		return false
	}
	entries, err := os.ReadDir(l.s.Path(base))
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		l.yield(storage.Info{}, durable.Error(err, "list", l.s.Path(base)))
		return false
	}
	for _, e := range l.sort(base, entries) {
		if !l.entry(e) {
			return false
		}
	}
	return true
}

type entry struct {
	key string // a directory's ends in a slash
	de  fs.DirEntry
}

// sort keeps what can hold a wanted key, in the order of keys: directories
// sort by their name with the slash, since that is what their keys have.
func (l lister) sort(base string, entries []fs.DirEntry) []entry {
	out := make([]entry, 0, len(entries))
	for _, de := range entries {
		e := entry{base + de.Name(), de}
		if storage.CheckKey(e.key) != nil {
			continue
		}
		if l.isDir(e) {
			e.key += "/"
		}
		if l.wanted(e.key) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	return out
}

// isDir follows symbolic links: an operator may keep a part of the archive on
// another disk.
func (l lister) isDir(e entry) bool {
	if e.de.Type()&fs.ModeSymlink == 0 {
		return e.de.IsDir()
	}
	return isDir(l.s.Path(e.key))
}

// wanted reports whether a key, or any key below a directory, has the prefix
// and comes after.
func (l lister) wanted(key string) bool {
	if !strings.HasSuffix(key, "/") {
		return strings.HasPrefix(key, l.prefix) && key > l.after
	}
	return (strings.HasPrefix(key, l.prefix) || strings.HasPrefix(l.prefix, key)) &&
		(key > l.after || strings.HasPrefix(l.after, key))
}

func (l lister) entry(e entry) bool {
	if strings.HasSuffix(e.key, "/") {
		return l.dir(e.key)
	}
	if err := storage.ContextError(l.ctx, "list", l.prefix); err != nil {
		l.yield(storage.Info{}, err)
		return false
	}
	st, err := os.Stat(filepath.Join(l.s.root, filepath.FromSlash(e.key)))
	if err != nil || !st.Mode().IsRegular() {
		return true // deleted meanwhile, or never an object
	}
	return l.yield(infoOf(e.key, st), nil)
}
