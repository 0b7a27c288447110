package report

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"salvor/api"
	"salvor/storage"
	"salvor/storage/durable"
)

// unlisted is what changes after the crawl: its state, the switches people
// turn, and this program's own log, which tells the end of the run too.
var unlisted = map[string]bool{"state": true, "control": true, "salvor.log": true}

// Manifest writes manifest-sha256.txt: a line "<hex>  <path>" for every file of
// the archive but itself, state/, control/, salvor.log and hidden files, in the order of
// their paths. `sha256sum -c manifest-sha256.txt` in dir checks it (RFC 8493
// 2.1.3 has the same form).
//
// Segments whose digest is known are not read again; everything else is. One
// that is gone is listed at the end all the same: the check must miss it.
func Manifest(ctx context.Context, dir string, segments []api.Segment) error {
	known := map[string]api.Segment{}
	for _, s := range segments {
		if s.State == api.SegmentStored && s.Object != "" && s.Base == 0 && s.SHA256 != [32]byte{} {
			known[s.Object] = s
		}
	}
	return durable.WriteFile(filepath.Join(dir, ManifestFile), func(w io.Writer) error {
		m := manifest{ctx, dir, known, map[string]bool{}, bufio.NewWriter(w)}
		if err := filepath.WalkDir(dir, m.visit); err != nil {
			return durable.Error(err, "read", dir)
		}
		for _, key := range slices.Sorted(maps.Keys(known)) {
			if m.listed[key] {
				continue
			}
			if err := m.line(known[key].SHA256, key); err != nil {
				return err
			}
		}
		return m.w.Flush()
	})
}

type manifest struct {
	ctx    context.Context
	dir    string
	known  map[string]api.Segment
	listed map[string]bool // of these
	w      *bufio.Writer
}

func (m manifest) visit(path string, e fs.DirEntry, err error) error {
	if err != nil || path == m.dir {
		return err
	}
	rel, err := filepath.Rel(m.dir, path)
	if err != nil {
		return err
	}
	rel = filepath.ToSlash(rel)
	switch {
	case strings.HasPrefix(e.Name(), "."), unlisted[rel]:
		if e.IsDir() {
			return fs.SkipDir
		}
		return nil
	case !e.Type().IsRegular(), rel == ManifestFile:
		return nil
	}
	sum, err := m.sum(path, rel, e)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed meanwhile
	}
	if err != nil {
		return err
	}
	m.listed[rel] = true
	return m.line(sum, rel)
}

func (m manifest) sum(path, rel string, e fs.DirEntry) (sum [32]byte, err error) {
	if s, ok := m.known[rel]; ok {
		if st, err := e.Info(); err == nil && st.Size() == s.Bytes {
			return s.SHA256, nil
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, storage.ContextReader(m.ctx, path, f)); err != nil {
		return sum, err
	}
	return [32]byte(h.Sum(nil)), nil
}

// line writes as sha256sum does: a name with a backslash or a line break is
// escaped, and the line says so by a backslash at its start.
func (m manifest) line(sum [32]byte, name string) error {
	escaped := strings.NewReplacer("\\", "\\\\", "\n", "\\n", "\r", "\\r").Replace(name)
	mark := ""
	if escaped != name {
		mark = "\\"
	}
	_, err := fmt.Fprintf(m.w, "%s%s  %s\n", mark, hex.EncodeToString(sum[:]), escaped)
	return err
}
