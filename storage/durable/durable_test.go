package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"salvor"
)

func TestWriteFileReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	for _, want := range []string{"old", "new and longer", ""} {
		err := WriteFile(path, func(w io.Writer) error {
			_, err := io.WriteString(w, want)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != want {
			t.Fatalf("read %q, wrote %q", got, want)
		}
	}
	if st, _ := os.Stat(path); st.Mode().Perm()&0o022 != 0 {
		t.Errorf("others may write the file: %v", st.Mode())
	}
}

func TestWritePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.key")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := WritePrivate(path, func(w io.Writer) error {
		tmp, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"+TempSuffix))
		if len(tmp) != 1 {
			t.Fatalf("unfinished files: %v", tmp)
		}
		if st, err := os.Stat(tmp[0]); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("the unfinished file has mode %v (%v)", st.Mode(), err)
		}
		_, err := io.WriteString(w, "secret")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v (%v)", st.Mode(), err)
	}
}

// A writer that fails half-way, even after more than a buffer full, leaves the
// old file and nothing else.
func TestWriteFileFailureChangesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	err := WriteFile(path, func(w io.Writer) error {
		io.WriteString(w, strings.Repeat("x", 1<<20))
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatalf("got %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("the old content is gone: %.20q", got)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func TestWriteFileErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plain"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"missing/f", "plain/f", "d"} {
		err := WriteFile(filepath.Join(dir, path), func(w io.Writer) error { return nil })
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), TempSuffix) {
			t.Errorf("%s: %v: want an error that names the file, not the temporary one", path, err)
		}
	}
	if names, _ := filepath.Glob(filepath.Join(dir, ".*")); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

func TestMkdirAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 {
		if err := MkdirAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if err := MkdirAll(path); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestRemoveTemps(t *testing.T) {
	dir := t.TempDir()
	keep := []string{"report.json", ".hidden", "x" + TempSuffix}
	for _, n := range append(keep, ".report.json.1234abcd"+TempSuffix) {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveTemps(dir); err != nil {
		t.Fatal(err)
	}
	names, _ := os.ReadDir(dir)
	if len(names) != len(keep) {
		t.Errorf("left %v, want %v", names, keep)
	}
	if err := RemoveTemps(filepath.Join(dir, "missing")); salvor.ClassOf(err) != salvor.NotFound {
		t.Errorf("missing directory: %v", err)
	}
}

func TestError(t *testing.T) {
	for _, c := range []struct {
		err   error
		class salvor.ErrorClass
		hint  string
	}{
		{&fs.PathError{Op: "write", Path: "/x/.tmp", Err: syscall.ENOSPC}, salvor.Exhausted, "free some space"},
		{syscall.EDQUOT, salvor.Exhausted, "quota"},
		{syscall.EMFILE, salvor.Exhausted, "ulimit"},
		{syscall.EFBIG, salvor.Exhausted, ""},
		{syscall.EROFS, salvor.Forbidden, "writable"},
		{&os.LinkError{Op: "link", Old: "a", New: "b", Err: syscall.EACCES}, salvor.Forbidden, "writable"},
		{fs.ErrNotExist, salvor.NotFound, ""},
		{io.ErrUnexpectedEOF, salvor.Internal, ""},
		{salvor.Errorf(salvor.Conflict, "mine"), salvor.Conflict, ""},
	} {
		err := Error(c.err, "write", "/data/f")
		if salvor.ClassOf(err) != c.class {
			t.Errorf("%v: class %v, want %v", c.err, salvor.ClassOf(err), c.class)
		}
		if hint := salvor.HintOf(err); (c.hint == "") != (hint == "") || !strings.Contains(hint, c.hint) {
			t.Errorf("%v: hint %q, want %q in it", c.err, hint, c.hint)
		}
		if strings.Contains(err.Error(), "/x/.tmp") {
			t.Errorf("%v: the temporary path shows: %v", c.err, err)
		}
	}
	if err := Error(nil, "write", "f"); err != nil {
		t.Errorf("nil became %v", err)
	}
}

// A full disk, for real where the machine has Linux' /dev/full.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	err = fill(full, "/archive/report.json", func(w io.Writer) error {
		_, err := w.Write(make([]byte, 1<<20))
		return err
	})
	if salvor.ClassOf(err) != salvor.Exhausted || !strings.Contains(salvor.HintOf(err), "/archive/report.json") {
		t.Errorf("got %v, hint %q", err, salvor.HintOf(err))
	}
}
