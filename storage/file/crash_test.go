package file

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"salvor/storage"
)

// crashRoot makes the test binary a process that puts objects below it until
// it is killed, and prints the key of each that was acknowledged.
const crashRoot = "SALVOR_TEST_CRASH_ROOT"

func TestMain(m *testing.M) {
	if root := os.Getenv(crashRoot); root != "" {
		putForEver(root, os.Getenv("SALVOR_TEST_NO_TMPFILE") != "")
		return
	}
	os.Exit(m.Run())
}

func crashContent(i int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "object %d ", i), 20_000)
}

func putForEver(root string, noTmpfile bool) {
	s, err := open(root, &recorder{system: osSystem{}, noTmpfile: noTmpfile, root: root})
	for i := 0; err == nil; i++ {
		key := fmt.Sprintf("d%d/k%d", i%7, i)
		if _, err = s.Put(context.Background(), key, storage.BytesBlob(crashContent(i)), storage.PutOptions{}); err == nil {
			fmt.Println(i)
		}
	}
	fmt.Println(err)
}

// Whatever moment a process is killed at: what it acknowledged is there, all
// that is there is whole, and nothing else is left after the next Open.
func TestKill(t *testing.T) {
	for round := range 6 {
		root := t.TempDir()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashRoot+"="+root)
		if round%2 == 1 {
			cmd.Env = append(cmd.Env, "SALVOR_TEST_NO_TMPFILE=1")
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acked := 0
		lines := bufio.NewScanner(out)
		for after := 5 + rand.IntN(40); acked < after && lines.Scan(); acked++ {
			if lines.Text() != fmt.Sprint(acked) {
				t.Fatalf("the process says %q", lines.Text())
			}
		}
		cmd.Process.Kill()
		for lines.Scan() {
			acked++
		}
		cmd.Wait()
		checkAfterKill(t, root, acked)
	}
}

func checkAfterKill(t *testing.T, root string, acked int) {
	t.Helper()
	s := mustOpen(t, root, osSystem{})
	if acked == 0 {
		t.Fatal("nothing was acknowledged")
	}
	n := 0
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		n++
		var dir, i int
		fmt.Sscanf(info.Key, "d%d/k%d", &dir, &i)
		if data, err := os.ReadFile(s.Path(info.Key)); err != nil || !bytes.Equal(data, crashContent(i)) {
			t.Errorf("%s is not whole: %d bytes, %v", info.Key, len(data), err)
		}
	}
	if n < acked || n > acked+1 {
		t.Errorf("%d objects, %d acknowledged", n, acked)
	}
	filepath.WalkDir(root, func(path string, _ os.DirEntry, _ error) error {
		if strings.Contains(path, tmpDir) {
			t.Errorf("left over: %s", path)
		}
		return nil
	})
}

// Durable puts, as many as the disk can do.
func BenchmarkPut(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
	}{{"10KB", 10 << 10}, {"16MB", 16 << 20}} {
		b.Run(c.name, func(b *testing.B) {
			s := mustOpen(b, b.TempDir(), osSystem{})
			data := make([]byte, c.size)
			blob := storage.BytesBlob(data)
			b.SetBytes(int64(c.size))
			for i := 0; b.Loop(); i++ {
				if _, err := s.Put(b.Context(), fmt.Sprintf("d/%d", i), blob, storage.PutOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("link16MB", func(b *testing.B) {
		root := b.TempDir()
		s := mustOpen(b, filepath.Join(root, "store"), osSystem{})
		path := filepath.Join(root, "segment")
		if err := os.WriteFile(path, make([]byte, 16<<20), 0o644); err != nil {
			b.Fatal(err)
		}
		blob, err := storage.ReadFileBlob(path)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(16 << 20)
		for i := 0; b.Loop(); i++ {
			if _, err := s.Put(b.Context(), fmt.Sprintf("d/%d", i), blob, storage.PutOptions{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
