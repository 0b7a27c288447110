//go:build linux

package warc

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"salvor"
)

// TestDiskFull fills the disk at every so many bytes: the exchange that meets
// it fails with a class and a remedy, nothing of it is left, and once there is
// room work goes on in the same segment.
func TestDiskFull(t *testing.T) {
	for room := int64(0); room < 9000; room += 211 {
		dir := t.TempDir()
		fs := newFaultFS()
		c := testConfig(t, dir)
		c.FS = fs
		p, _ := mustOpen(t, c)
		fs.setRoom(room)
		var good []string
		failed := 0
		for i := range 8 {
			url := fmt.Sprintf("http://example.com/%d", i)
			_, err := p.Write(t.Context(), page(url, words(rand.New(rand.NewPCG(uint64(i), 0)), 2000)))
			if err == nil {
				good = append(good, url)
				continue
			}
			failed++
			if salvor.ClassOf(err) != salvor.Exhausted || !strings.Contains(err.Error(), c.Dir) || !strings.Contains(salvor.HintOf(err), "Free space") {
				t.Fatalf("room for %d bytes: %v (%s)", room, err, salvor.HintOf(err))
			}
		}
		if failed == 0 && room < 2000 {
			t.Fatalf("room for %d bytes: nothing failed", room)
		}
		fs.setRoom(-1)
		mustWrite(t, p, page("http://example.com/after", "after"))
		mustSeal(t, p)
		var got []string
		for _, f := range stored(t, dir) {
			strictly(t, f)
			for _, l := range indexOf(t, f) {
				memberAt(t, f, l.Offset, l.Length)
				got = append(got, l.URL)
			}
		}
		if want := append(good, "http://example.com/after"); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Fatalf("room for %d bytes: stored %q, want %q", room, got, want)
		}
	}
}

// TestDiskFullLarge is the same for bodies that stream.
func TestDiskFullLarge(t *testing.T) {
	dir := t.TempDir()
	fs := newFaultFS()
	c := testConfig(t, dir)
	c.FS = fs
	p, _ := mustOpen(t, c)
	noise := make([]byte, smallBlock+500_000)
	rand.NewChaCha8([32]byte{}).Read(noise)
	mustWrite(t, p, page("http://example.com/before", "before"))
	fs.setRoom(700_000)
	for range 2 {
		if _, err := p.Write(t.Context(), page("http://example.com/large", string(noise))); salvor.ClassOf(err) != salvor.Exhausted {
			t.Errorf("large body on a full disk: %v", err)
		}
	}
	fs.setRoom(-1)
	mustWrite(t, p, page("http://example.com/large", string(noise)))
	mustSeal(t, p)
	if got := strictly(t, stored(t, dir)[0]); got["response"] != 2 {
		t.Errorf("records: %v", got)
	}
}

// TestTruncateFails: what a failed write left and could not be cut off is cut
// off before anything else is written.
func TestTruncateFails(t *testing.T) {
	dir := t.TempDir()
	fs := newFaultFS()
	c := testConfig(t, dir)
	c.FS = fs
	p, _ := mustOpen(t, c)
	mustWrite(t, p, page("http://example.com/1", "one"))
	broken := errors.New("input/output error")
	fs.failing = func(op, path string) error {
		if op == "truncate" || op == "write" && strings.HasSuffix(path, ".journal") {
			return broken
		}
		return nil
	}
	for range 3 {
		if _, err := p.Write(t.Context(), page("http://example.com/bad", words(rand.New(rand.NewPCG(1, 1)), 5000))); !errors.Is(err, broken) {
			t.Errorf("write: %v", err)
		}
	}
	fs.failing = nil
	mustWrite(t, p, page("http://example.com/2", "two"))
	mustSeal(t, p)
	if got := strictly(t, stored(t, dir)[0]); got["response"] != 2 {
		t.Errorf("records: %v", got)
	}
}

// TestFsyncFails: after a failed fsync nothing is claimed to be durable any
// more, and the next Open finds what is whole.
func TestFsyncFails(t *testing.T) {
	dir := t.TempDir()
	fs := newFaultFS()
	c := testConfig(t, dir)
	c.FS = fs
	p, _ := mustOpen(t, c)
	mustWrite(t, p, page("http://example.com/1", "one"))
	broken := errors.New("input/output error")
	fs.failing = func(op, path string) error {
		if op == "sync" && strings.HasSuffix(path, ".open") {
			return broken
		}
		return nil
	}
	if err := p.Sync(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Sync: %v", err)
	}
	fs.failing = nil
	if err := p.Sync(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Sync again: %v", err)
	}
	if _, err := p.Write(t.Context(), page("http://example.com/2", "two")); !errors.Is(err, broken) {
		t.Errorf("Write: %v", err)
	}
	if err := p.Seal(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Seal: %v", err)
	}
	p.Close(t.Context())
	_, rec := mustOpen(t, testConfig(t, dir))
	if len(rec.Entries) != 1 || rec.Entries[0].URL != "http://example.com/1" {
		t.Errorf("recovered %+v", rec.Entries)
	}
}

// TestTmpfsFull is the real thing, where we may mount.
func TestTmpfsFull(t *testing.T) {
	dir := t.TempDir()
	spool := filepath.Join(dir, "spool")
	if err := os.MkdirAll(spool, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", spool, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("no tmpfs here: %v", err)
	}
	defer syscall.Unmount(spool, syscall.MNT_DETACH)
	p, _ := mustOpen(t, testConfig(t, dir))
	noise := make([]byte, 30_000)
	rng := rand.NewChaCha8([32]byte{})
	n, full := 0, 0
	for i := range 20 {
		rng.Read(noise)
		switch _, err := p.Write(t.Context(), page(fmt.Sprintf("http://example.com/%d", i), string(noise))); {
		case err == nil:
			n++
		case salvor.ClassOf(err) == salvor.Exhausted:
			full++
		default:
			t.Fatal(err)
		}
	}
	if n == 0 || full == 0 {
		t.Fatalf("%d written, %d refused", n, full)
	}
	p.Close(t.Context())
	if err := syscall.Mount("", spool, "", syscall.MS_REMOUNT, "size=2m"); err != nil {
		t.Fatal(err)
	}
	p, rec := mustOpen(t, testConfig(t, dir))
	if len(rec.Entries) != n {
		t.Errorf("recovered %d of %d", len(rec.Entries), n)
	}
	mustSeal(t, p)
	if got := strictly(t, stored(t, dir)[0]); got["response"] != n {
		t.Errorf("records: %v, want %d responses", got, n)
	}
	p.Close(t.Context())
}

const killEnv = "SALVOR_WARC_KILL_DIR"

// TestKilledChild kills a writing process at random moments, again and again
// on one spool, and counts what it had been promised.
func TestKilledChild(t *testing.T) {
	if dir := os.Getenv(killEnv); dir != "" {
		killedChild(t, dir)
		return
	}
	dir := t.TempDir()
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	promised := map[string]bool{}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for round := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledChild$")
		cmd.Env = append(os.Environ(), killEnv+"="+dir, fmt.Sprintf("SALVOR_WARC_KILL_ROUND=%d", round))
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(150+rng.IntN(600)) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		for line := range strings.Lines(out.String()) {
			if url, ok := strings.CutPrefix(line, "synced "); ok && strings.HasSuffix(line, "\n") {
				promised[strings.TrimSpace(url)] = true
			}
		}
	}
	if len(promised) == 0 {
		t.Skip("the machine is too busy: no child got as far as a Sync")
	}
	p, rec := mustOpen(t, testConfig(t, dir))
	mustSeal(t, p)
	found := map[string]int{}
	for _, f := range stored(t, dir) {
		strictly(t, f)
		for _, l := range indexOf(t, f) {
			memberAt(t, f, l.Offset, l.Length)
			found[l.URL]++
		}
	}
	for url := range promised {
		if found[url] != 1 {
			t.Errorf("%s was synced and is stored %d times", url, found[url])
		}
	}
	t.Logf("%d promised, %d stored, %d of them to be reported again", len(promised), len(found), len(rec.Entries))
}

func killedChild(t *testing.T, dir string) {
	c := testConfig(t, dir)
	c.MaxSize = 100_000
	p, _, err := Open(t.Context(), c)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for i := 0; ; i++ {
		url := fmt.Sprintf("http://example.com/%s/%d", os.Getenv("SALVOR_WARC_KILL_ROUND"), i)
		r, err := p.Write(t.Context(), page(url, words(rng, 3000)))
		if err == nil {
			err = p.Sync(t.Context())
		}
		if err == nil {
			fmt.Println("synced", url)
			if i%2 == 0 {
				err = p.Settled(t.Context(), []Receipt{r})
			}
		}
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
}
