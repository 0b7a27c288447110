package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"salvor/e2e/rig"
)

// photos serves an album of n incompressible files of 1 MB.
func photos(t *testing.T, n int) (web *rig.Nginx, files map[string][]byte) {
	t.Helper()
	root := t.TempDir()
	files = make(map[string][]byte)
	var album strings.Builder
	album.WriteString("<!DOCTYPE html><title>Album</title>\n")
	r := rand.NewChaCha8([32]byte{1})
	for i := range n {
		body := make([]byte, 1<<20)
		_, _ = r.Read(body) // it never fails
		name := fmt.Sprintf("/p%03d.jpg", i)
		files[name] = body
		fmt.Fprintf(&album, "<img src=\"%s\">\n", name)
	}
	files["/index.html"] = []byte(album.String())
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(root, name), body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return rig.ServeFiles(t, rig.NginxConfig{Root: root}), files
}

// smallDisk mounts a file system of so many MB.
func smallDisk(t *testing.T, mb int) string {
	t.Helper()
	dir := t.TempDir()
	if err := mountTmpfs(dir, mb, 0); errors.Is(err, syscall.EPERM) {
		t.Skip("NOT TESTED: mounting a tmpfs is not permitted here") // in CI too: no package helps
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func mountTmpfs(dir string, mb int, flags uintptr) error {
	return syscall.Mount("salvor-e2e", dir, "tmpfs", flags, fmt.Sprintf("size=%dm", mb))
}

// TestNoSpace: a disk that fills up ends the crawl early, cleanly and with a
// plain message; when there is room again the same command finishes it.
func TestNoSpace(t *testing.T) {
	web, files := photos(t, 150)
	c := newCrawl(t, buildPlain)
	disk := smallDisk(t, 160)
	c.dir = filepath.Join(disk, "archive")
	p := c.save(2*time.Minute, exitNoSpace, web.URL+"/index.html")
	if msg := p.Stdout() + p.Stderr(); !strings.Contains(msg, "space") && !strings.Contains(msg, "free") {
		t.Errorf("the message does not speak of space:\n%s", msg)
	}
	if err := mountTmpfs(disk, 600, syscall.MS_REMOUNT); err != nil {
		t.Fatal(err)
	}
	c.save(2*time.Minute, exitDone, web.URL+"/index.html")
	hasAll(t, c.sound(), web, files)
	askedOnce(t, web)
}

// TestDiskSuddenlyFull: somebody else takes the last byte between two looks at
// the disk, so that writes fail in the middle of records.
func TestDiskSuddenlyFull(t *testing.T) {
	web, files := photos(t, 120)
	c := newCrawl(t, buildPlain, "--limit-rate", "20MB")
	disk := smallDisk(t, 400)
	c.dir = filepath.Join(disk, "archive")
	p := c.start(web.URL + "/index.html")
	begun(t, p, web, 20)
	hog := filepath.Join(disk, "hog")
	fill(t, hog)
	c.wait(p, time.Minute, exitNoSpace)
	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}
	c.save(2*time.Minute, exitDone, web.URL+"/index.html")
	hasAll(t, c.sound(), web, files)
}

// fill writes until nothing fits any more.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for n := 1 << 20; n > 0; {
		if _, err := f.Write(make([]byte, n)); errors.Is(err, syscall.ENOSPC) {
			n /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func hasAll(t *testing.T, a *rig.Archive, web *rig.Nginx, files map[string][]byte) {
	t.Helper()
	by := a.ByURI()
	for name, body := range files {
		got := by[web.URL+name]
		if len(got) != 1 || got[0].SHA256 != sum(body) {
			t.Errorf("%s: want its %d bytes once, got %+v", name, len(body), got)
		}
	}
}
