package coordinator

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func writeFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
}

func readFiles(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	files := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
		files[e.Name()] = string(b)
	}
	return files
}

func TestArchiveRoundTrip(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"empty": {},
		"sizes": {"none": "", "one": "x", "block": strings.Repeat("b", 512), "more": strings.Repeat("m", 513), "big": strings.Repeat("g", 100_000)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, files)
			a, err := openArchive(dir)
			must(t, err)
			all, err := io.ReadAll(iotest.HalfReader(a))
			must(t, err)
			must(t, a.Close())
			if int64(len(all)) != a.Size() {
				t.Errorf("%d bytes, %d were promised", len(all), a.Size())
			}
			to := filepath.Join(t.TempDir(), "to")
			must(t, unpack(iotest.OneByteReader(bytes.NewReader(all)), to))
			if d := cmp.Diff(files, readFiles(t, to)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestArchiveOfShrunkFileFails(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"f": strings.Repeat("x", 1000)})
	a, err := openArchive(dir)
	must(t, err)
	must(t, os.Truncate(filepath.Join(dir, "f"), 10))
	if _, err := io.ReadAll(a); err == nil {
		t.Error("a file that shrank went unnoticed")
	}
}

// hostile is an archive of one entry.
func hostile(t testing.TB, h tar.Header, body string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	h.Size = int64(len(body))
	must(t, w.WriteHeader(&h))
	_, err := io.WriteString(w, body)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

func TestUnpackRefuses(t *testing.T) {
	good := hostile(t, tar.Header{Name: "f", Typeflag: tar.TypeReg}, strings.Repeat("x", 1000))
	for name, stream := range map[string][]byte{
		"parent":   hostile(t, tar.Header{Name: "../f", Typeflag: tar.TypeReg}, "x"),
		"absolute": hostile(t, tar.Header{Name: "/f", Typeflag: tar.TypeReg}, "x"),
		"folder":   hostile(t, tar.Header{Name: "a/f", Typeflag: tar.TypeReg}, "x"),
		"dots":     hostile(t, tar.Header{Name: "..", Typeflag: tar.TypeReg}, "x"),
		"link":     hostile(t, tar.Header{Name: "f", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, ""),
		"twice":    append(bytes.Clone(good[:1536]), good...),
		"cut":      good[:900],
		"garbage":  bytes.Repeat([]byte("garbage "), 200),
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			if err := unpack(bytes.NewReader(stream), filepath.Join(parent, "to")); err == nil {
				t.Error("unpacked")
			}
			if _, err := os.Lstat(filepath.Join(parent, "f")); err == nil {
				t.Error("wrote out of its directory")
			}
		})
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(hostile(f, tar.Header{Name: "f", Typeflag: tar.TypeReg}, "content"))
	f.Add(hostile(f, tar.Header{Name: "../f", Typeflag: tar.TypeReg}, "content"))
	f.Add(hostile(f, tar.Header{Name: strings.Repeat("n", 300), Typeflag: tar.TypeReg}, "x"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		parent := t.TempDir()
		_ = unpack(bytes.NewReader(stream), filepath.Join(parent, "to"))
		if left := readDirNames(t, parent); len(left) > 1 {
			t.Errorf("wrote %v", left)
		}
	})
}

func readDirNames(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
