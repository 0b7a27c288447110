package file

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/datadriven"

	"salvor"
	"salvor/storage"
	"salvor/storage/storagetest"
)

func mustOpen(t testing.TB, root string, sys system) *Store {
	t.Helper()
	s, err := open(root, sys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(s *Store, key, data string) error {
	_, err := s.Put(context.Background(), key, storage.BytesBlob([]byte(data)), storage.PutOptions{})
	return err
}

// The Store keeps its promises on every kind of file system.
func TestConformance(t *testing.T) {
	for name, set := range map[string]func(*recorder){
		"tmpfile":  func(r *recorder) {},
		"noTmp":    func(r *recorder) { r.noTmpfile = true },
		"noTmpFAT": func(r *recorder) { r.noTmpfile, r.noLink = true, true },
		"noLink":   func(r *recorder) { r.noLink = true },
	} {
		t.Run(name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storage.Store {
				root := t.TempDir()
				r := newRecorder(root)
				set(r)
				return mustOpen(t, root, r)
			})
		})
	}
}

// testdata/order is the record of system calls that the package comment
// promises. Rewrite it with -rewrite, and then the comment.
func TestOrder(t *testing.T) {
	datadriven.Walk(t, "testdata/order", func(t *testing.T, path string) {
		root := t.TempDir()
		r := newRecorder(root)
		s := mustOpen(t, root, r)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return runOrder(t, d, s, r)
		})
	})
}

func runOrder(t *testing.T, d *datadriven.TestData, s *Store, r *recorder) string {
	var key string
	if d.Cmd != "system" {
		key = d.CmdArgs[0].Key
	}
	var err error
	switch d.Cmd {
	case "system":
		r.noTmpfile, r.noLink = d.HasArg("no-tmpfile"), d.HasArg("no-link")
		return ""
	case "put":
		err = put(s, key, d.Input)
	case "put-file":
		err = putFile(t, s, key, d.Input)
	case "put-elsewhere": // as if another process did it
		err = put(mustOpen(t, s.root, osSystem{}), key, d.Input)
	case "delete":
		err = s.Delete(t.Context(), key)
	default:
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
	out := r.take()
	if err != nil {
		out += "error: " + salvor.ClassOf(err).String() + "\n"
	}
	return strings.TrimPrefix(out, "\n")
}

func putFile(t *testing.T, s *Store, key, data string) error {
	path := filepath.Join(t.TempDir(), "segment.open")
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	b := storage.FileBlob(path, int64(len(data)), sha256.Sum256([]byte(data)))
	_, err := s.Put(t.Context(), key, b, storage.PutOptions{})
	return err
}

// Every step may fail. The error says what, where and what to do; nothing is
// visible unless the name was given; nothing is left over; and the next try
// succeeds.
func TestFailingSteps(t *testing.T) {
	for i, c := range []struct {
		step    string
		set     func(*recorder)
		visible bool
	}{
		{"mkdir d", nil, false},
		{"fsync directory .", nil, false},
		{"tmpfile d", nil, false},
		{"write 3 bytes", nil, false},
		{"linkat fd d/k", nil, false},
		{"fsync directory d", nil, true},
		{"create " + tmpDir + "/N", func(r *recorder) { r.noTmpfile = true }, false},
		{"renameat2 noreplace " + tmpDir + "/N d/k", func(r *recorder) { r.noTmpfile, r.noLink = true, true }, false},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			root := t.TempDir()
			r := newRecorder(root)
			if c.set != nil {
				c.set(r)
			}
			s := mustOpen(t, root, r)
			r.fail[c.step] = syscall.ENOSPC
			err := put(s, "d/k", "abc")
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("%s: got %v; calls:\n%s", c.step, err, r.take())
			}
			checkFull(t, c.step, err, root)
			if _, err := s.Stat(t.Context(), "d/k"); (err == nil) != c.visible {
				t.Errorf("stat after the failure: %v", err)
			}
			if left, _ := filepath.Glob(filepath.Join(root, tmpDir, "*", "*")); len(left) != 0 {
				t.Errorf("left over: %v", left)
			}
			r.fail = nil
			if err := put(s, "d/k", "abc"); err != nil {
				t.Errorf("second try: %v", err)
			}
		})
	}
}

// checkFull wants the class, the path and the remedy; a test's SyncDir fails
// without going through durable, so only the cause is wanted there.
func checkFull(t *testing.T, step string, err error, root string) {
	t.Helper()
	if strings.HasPrefix(step, "fsync directory") {
		return
	}
	if salvor.ClassOf(err) != salvor.Exhausted {
		t.Errorf("class %v", salvor.ClassOf(err))
	}
	if !strings.Contains(err.Error(), filepath.Join(root, "d")) || !strings.Contains(salvor.HintOf(err), "free some space") {
		t.Errorf("error %q, hint %q", err, salvor.HintOf(err))
	}
	if strings.Contains(err.Error(), tmpDir) {
		t.Errorf("the error speaks of a temporary file: %v", err)
	}
}

// Two Stores on one directory are as good as two processes.
func TestTwoStoresOneRoot(t *testing.T) {
	root := t.TempDir()
	stores := []*Store{mustOpen(t, root, osSystem{}), mustOpen(t, root, &recorder{system: osSystem{}, noTmpfile: true, root: root})}
	for round := range 20 {
		key := "d" + string(rune('a'+round)) + "/k"
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				err := put(stores[i%2], key, strings.Repeat(string(rune('a'+i)), 100))
				if err == nil {
					won.Add(1)
				} else if salvor.ClassOf(err) != salvor.Conflict {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d winners", won.Load())
		}
	}
}

// Open removes the temporary files of processes that are gone, and leaves
// those of living ones alone.
func TestLeftovers(t *testing.T) {
	root := t.TempDir()
	living := mustOpen(t, root, &recorder{system: osSystem{}, noTmpfile: true, root: root})
	if err := put(living, "a", "1"); err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(root, tmpDir, "0badcafe")
	if err := os.MkdirAll(dead, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dead, "1"), []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, root, osSystem{})
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead one's files are still there: %v", err)
	}
	if err := put(living, "b", "2"); err != nil {
		t.Errorf("the living one lost its directory: %v", err)
	}
	if err := living.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, tmpDir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("close left the temporary directory: %v", err)
	}
}

// What a directory cannot hold beside each other is a conflict, said plainly.
func TestDirectoryConflicts(t *testing.T) {
	s := mustOpen(t, t.TempDir(), osSystem{})
	if err := put(s, "a/b", "x"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "a/b/c", "a/b/c/d"} {
		if err := put(s, key, "x"); salvor.ClassOf(err) != salvor.Conflict {
			t.Errorf("put %s: %v", key, err)
		}
	}
}

// A Store whose directories somebody removed makes them again.
func TestRemovedDirectory(t *testing.T) {
	for _, noTmpfile := range []bool{false, true} {
		root := t.TempDir()
		s := mustOpen(t, root, &recorder{system: osSystem{}, noTmpfile: noTmpfile, root: root})
		if err := put(s, "a/b/c", "x"); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(root, "a")); err != nil {
			t.Fatal(err)
		}
		if err := put(s, "a/b/d", "x"); err != nil {
			t.Errorf("no O_TMPFILE %v: %v", noTmpfile, err)
		}
	}
}

// A linked file keeps its inode: no byte was copied.
func TestLinksInsteadOfCopying(t *testing.T) {
	root := t.TempDir()
	s := mustOpen(t, filepath.Join(root, "store"), osSystem{})
	path := filepath.Join(root, "segment.open")
	if err := os.WriteFile(path, []byte("records"), 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := storage.ReadFileBlob(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "warc/s.gz", b, storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	from, _ := os.Stat(path)
	to, err := os.Stat(s.Path("warc/s.gz"))
	if err != nil || !os.SameFile(from, to) {
		t.Errorf("the object is a copy (%v)", err)
	}
	// A symbolic link is copied: its target may be anybody's.
	if err := os.Symlink(path, path+".link"); err != nil {
		t.Fatal(err)
	}
	b = storage.FileBlob(path+".link", b.Size(), b.SHA256())
	if _, err := s.Put(t.Context(), "copied", b, storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Lstat(s.Path("copied")); err != nil || !st.Mode().IsRegular() || os.SameFile(from, st) {
		t.Errorf("copied: %v, %v", st, err)
	}
}

// Files that are no keys, and links to nowhere, are not objects; a directory
// behind a symbolic link is part of the Store.
func TestListForeignFiles(t *testing.T) {
	root, other := t.TempDir(), t.TempDir()
	s := mustOpen(t, root, osSystem{})
	for _, p := range []string{filepath.Join(root, ".hidden"), filepath.Join(root, "has space"), filepath.Join(other, "moved")} {
		if err := os.WriteFile(p, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(other, filepath.Join(root, "disk2")), os.Symlink("nowhere", filepath.Join(root, "dangling")),
		os.Symlink(".", filepath.Join(root, "loop")), syscall.Mkfifo(filepath.Join(root, "fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(info.Key, "loop/") {
			got = append(got, info.Key)
		}
	}
	if strings.Join(got, " ") != "disk2/moved" {
		t.Errorf("listed %q", got)
	}
}
