package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"salvor/e2e/rig"
	"salvor/e2e/site"
)

// bucket is a MinIO process, the weather before it, and a prefix.
type bucket struct {
	t       *testing.T
	m       *rig.MinIO
	weather *rig.Weather
	url     string
	prefix  string
}

func newBucket(t *testing.T) *bucket {
	t.Helper()
	m, err := rig.StartMinIO(t.TempDir())
	rig.Need(t, err)
	t.Cleanup(m.Kill)
	w, err := rig.StartWeather(m.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	for _, kv := range m.Env {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
	return &bucket{t, m, w, "s3://" + m.Bucket + "/rescues/one?endpoint=" + w.URL, "rescues/one/"}
}

// copied downloads all objects, past the weather, with a client that is not ours.
func (b *bucket) copied() string {
	b.t.Helper()
	c, err := b.m.Client()
	if err != nil {
		b.t.Fatal(err)
	}
	dir, ctx := b.t.TempDir(), b.t.Context()
	for o := range c.ListObjects(ctx, b.m.Bucket, minio.ListObjectsOptions{Prefix: b.prefix, Recursive: true}) {
		if o.Err != nil {
			b.t.Fatal(o.Err)
		}
		to := filepath.Join(dir, strings.TrimPrefix(o.Key, b.prefix))
		err := c.FGetObject(ctx, b.m.Bucket, o.Key, to, minio.GetObjectOptions{})
		if minio.ToErrorResponse(err).Code == minio.NoSuchKey && strings.Contains(o.Key, "cluster/checkpoints/") {
			continue // an old copy of the state made room for a newer one
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	return dir
}

// unfinished counts uploads that were begun and neither finished nor aborted.
func (b *bucket) unfinished() (n int) {
	b.t.Helper()
	c, err := b.m.Client()
	if err != nil {
		b.t.Fatal(err)
	}
	for u := range c.ListIncompleteUploads(b.t.Context(), b.m.Bucket, "", true) {
		if u.Err != nil {
			b.t.Fatal(u.Err)
		}
		n++
	}
	return n
}

// storedSound reads the archive's copy and checks it by its newest manifest.
func storedSound(t *testing.T, dir string) *rig.Archive {
	t.Helper()
	a, err := rig.ReadArchive(dir)
	if err != nil {
		t.Fatalf("what the store holds is not sound:\n%v", err)
	}
	manifests, err := filepath.Glob(filepath.Join(dir, "manifests", "*.txt"))
	if err != nil || len(manifests) == 0 {
		t.Fatalf("no manifest: %v", err)
	}
	text, err := os.ReadFile(slices.Max(manifests))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		sum, name, _ := strings.Cut(lines.Text(), "  ")
		body, err := os.ReadFile(filepath.Join(dir, name))
		if got := sha256.Sum256(body); err != nil || hex.EncodeToString(got[:]) != sum {
			t.Errorf("manifest: %s: %v", name, err)
		}
		listed[name] = true
	}
	for _, s := range a.Segments {
		if rel, _ := filepath.Rel(dir, s); !listed[filepath.ToSlash(rel)] {
			t.Errorf("the manifest lacks %s", rel)
		}
	}
	return a
}

// TestStore: an archive in a bucket holds what one in a directory does, and an
// empty disk is no obstacle to going on with it.
func TestStore(t *testing.T) {
	s := site.Site{Pages: 600}
	web, b := synthetic(t, s), newBucket(t)
	c := newCrawl(t, buildRace, "--store", b.url, "--warc-max-size", "1MiB")
	c.save(3*time.Minute, exitDone, web.URL+"/")
	a := storedSound(t, b.copied())
	holds(t, a, s, web.URL)
	if rep := c.report(); rep.Totals.Saved < int64(s.Pages) || rep.Totals.Open != 0 {
		t.Errorf("report.json: %+v", rep.Totals)
	}
	if len(a.Segments) < 3 {
		t.Errorf("only %d segments", len(a.Segments))
	}
	if warcs, _ := filepath.Glob(filepath.Join(c.dir, "warc", "*")); len(warcs) > 0 {
		t.Errorf("left in the directory: %v", warcs)
	}
	if left, _ := filepath.Glob(filepath.Join(c.dir, "state", "spool", "segments", "*.warc.gz*")); len(left) > 0 {
		t.Errorf("left in the spool: %v", left)
	}

	asked := web.Requests().Count()
	c.dir = filepath.Join(t.TempDir(), "other")
	p := c.save(2*time.Minute, exitDone, web.URL+"/")
	if !strings.Contains(p.Stderr(), "restored") {
		t.Errorf("nothing was restored:\n%s", p.Stderr())
	}
	if n := web.Requests().Count(); n != asked {
		t.Errorf("a finished crawl was fetched again: %d requests", n-asked)
	}
	if rep := c.report(); rep.Totals.Saved < int64(s.Pages) || rep.Totals.Open != 0 {
		t.Errorf("report.json of the restored archive: %+v", rep.Totals)
	}
}

// TestStoreStorms: whatever becomes of the Store, and of the crawler meanwhile,
// every page is there once at the end.
func TestStoreStorms(t *testing.T) {
	s := site.Site{Pages: size(1500, 20000)}
	web, b := synthetic(t, s), newBucket(t)
	away := time.Duration(size(4, 120)) * time.Second
	c := newCrawl(t, buildRace, "--store", b.url, "--warc-max-size", "1MiB", "--limit-rate", fmt.Sprint(size(2, 4), "MB"))
	p := c.start(web.URL + "/")
	asked := web.Requests()
	reach := func(share int) {
		t.Helper()
		most := s.Pages * share / 100
		eventually(t, 5*time.Minute, fmt.Sprint(most, " requests"), func() bool { return p.Ended() || asked.Count() >= most })
	}
	reach(10)
	b.weather.Set(rig.Unwilling)
	reach(25)
	b.weather.Set(rig.Cutting)
	reach(35)
	eventually(t, time.Minute, "somebody told of the store's trouble", func() bool { return p.Ended() || strings.Contains(p.Stderr(), "the store has trouble") })
	b.m.Kill()
	reach(50)
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	p = c.start(web.URL + "/")
	pause(p, away)
	if err := b.m.Start(); err != nil {
		t.Fatal(err)
	}
	b.weather.Set(rig.Slow)
	reach(60)
	pause(p, 3*time.Second)
	b.weather.Set(rig.Fair)
	c.wait(p, 10*time.Minute, exitDone)

	a := storedSound(t, b.copied())
	holds(t, a, s, web.URL)
	if rep := c.report(); rep.Totals.Saved < int64(s.Pages) || rep.Totals.Open != 0 {
		t.Errorf("report.json: %+v", rep.Totals)
	}
	if n := b.unfinished(); n > 0 {
		t.Errorf("%d unfinished uploads are left", n)
	}
	t.Logf("%d requests for %d pages, %d segments, %d requests in bad weather", asked.Count(), s.Pages, len(a.Segments), b.weather.Met.Load())
}

// TestStoreLostDisk: the machine of a crawl burns; another one goes on from the
// Store. What was stored is not fetched again, what was not is.
func TestStoreLostDisk(t *testing.T) {
	s := site.Site{Pages: size(800, 8000)}
	web, b := synthetic(t, s), newBucket(t)
	c := newCrawl(t, buildRace, "--store", b.url, "--warc-max-size", "1MiB", "--limit-rate", fmt.Sprint(size(2, 6), "MB"))
	p := c.start(web.URL + "/")
	asked := web.Requests()
	eventually(t, 3*time.Minute, "half the pages", func() bool { return p.Ended() || asked.Count() >= s.Pages/2 })
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	lost := c.dir
	stored, err := rig.ReadArchive(b.copied())
	if err != nil {
		t.Fatal(err)
	}
	before := asked.Count()
	if len(stored.Segments) == 0 || before >= s.Pages {
		t.Fatalf("%d segments stored after %d requests: the crawl was not under way", len(stored.Segments), before)
	}

	c.dir = filepath.Join(t.TempDir(), "new")
	p = c.start(web.URL + "/")
	c.wait(p, time.Minute, exitLocked) // the dead machine seems to be at work
	if !strings.Contains(p.Stderr(), "--resume") {
		t.Errorf("no remedy:\n%s", p.Stderr())
	}
	p = c.exec(append([]string{"save", "--resume=" + c.dir}, c.args...)...)
	c.wait(p, 5*time.Minute, exitDone)
	a := storedSound(t, b.copied())
	by := a.ByURI()
	for i := range s.Pages {
		if len(by[web.URL+s.Path(i)]) == 0 {
			t.Errorf("page %d was lost", i)
		}
	}
	for _, x := range stored.Captures {
		if got := by[x.URI]; len(got) != 1 && !strings.HasSuffix(x.URI, "/robots.txt") {
			t.Errorf("%s was stored, and is there %d times now", x.URI, len(got))
		}
	}
	if rep := c.report(); rep.Totals.Saved < int64(s.Pages) || rep.Totals.Open != 0 {
		t.Errorf("report.json: %+v", rep.Totals)
	}

	// The old machine wakes up: it must not go on.
	c.dir = lost
	p = c.start(web.URL + "/")
	c.wait(p, time.Minute, exitLocked)
	if !strings.Contains(p.Stderr(), "took this archive over") {
		t.Errorf("the old owner was told:\n%s", p.Stderr())
	}
}

// TestStoreSmallSpool: a spool that fills stops the intake, not the crawl.
func TestStoreSmallSpool(t *testing.T) {
	s := site.Site{Pages: size(600, 4000)}
	web, b := synthetic(t, s), newBucket(t)
	c := newCrawl(t, buildRace, "--store", b.url, "--warc-max-size", "1MiB", "--spool-max", "2MB")
	p := c.start(web.URL + "/")
	eventually(t, time.Minute, "a beginning", func() bool { return p.Ended() || web.Requests().Count() > 50 })
	b.weather.Set(rig.Unwilling)
	eventually(t, time.Minute, "the intake to stop", func() bool { return p.Ended() || strings.Contains(p.Stderr(), "nothing new is fetched") })
	var spooled int64
	files, _ := filepath.Glob(filepath.Join(c.dir, "state", "spool", "segments", "*.warc.gz*"))
	for _, f := range files {
		if st, err := os.Stat(f); err == nil && !strings.HasSuffix(f, ".journal") {
			spooled += st.Size()
		}
	}
	if spooled > 6<<20 {
		t.Errorf("%d bytes are spooled, 2 MB were allowed", spooled)
	}
	b.weather.Set(rig.Fair)
	c.wait(p, 5*time.Minute, exitDone)
	holds(t, storedSound(t, b.copied()), s, web.URL)
}

// TestStoreTmpfs: a spool on a small disk of its own fills up while the Store is
// away: the intake stops before the disk is full, and goes on after.
func TestStoreTmpfs(t *testing.T) {
	web, files := photos(t, 80)
	b := newBucket(t)
	c := newCrawl(t, buildPlain, "--store", b.url, "--warc-max-size", "4MB", "--connections", "4")
	spool := filepath.Join(c.dir, "state", "spool")
	if err := os.MkdirAll(spool, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := mountTmpfs(spool, 64, 0); errors.Is(err, syscall.EPERM) {
		t.Skip("NOT TESTED: mounting a tmpfs is not permitted here")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(spool, syscall.MNT_DETACH) })
	p := c.start(web.URL + "/index.html")
	eventually(t, time.Minute, "a beginning", func() bool { return p.Ended() || web.Requests().Count() > 3 })
	b.weather.Set(rig.Unwilling)
	eventually(t, time.Minute, "the intake to stop", func() bool { return p.Ended() || strings.Contains(p.Stderr(), "are free on the spool's disk") })
	pause(p, 2*time.Second)
	var st syscall.Statfs_t
	if err := syscall.Statfs(spool, &st); err != nil || st.Bavail*uint64(st.Bsize) < 8<<20 {
		t.Errorf("%d bytes are left on the spool's disk, %v", st.Bavail*uint64(st.Bsize), err)
	}
	b.weather.Set(rig.Fair)
	c.wait(p, 3*time.Minute, exitDone)
	hasAll(t, storedSound(t, b.copied()), web, files)
	askedOnce(t, web)
}
