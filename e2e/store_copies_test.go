package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"salvor/e2e/rig"
	"salvor/e2e/site"
)

// TestStoreMirror: a second Store is filled behind the first, or, with two
// copies asked for, counts as much as the first.
func TestStoreMirror(t *testing.T) {
	for _, copies := range []string{"1", "2"} {
		t.Run(copies, func(t *testing.T) {
			s := site.Site{Pages: 200}
			web, b := synthetic(t, s), newBucket(t)
			second := "s3://" + b.m.Bucket + "/second?endpoint=" + b.weather.URL
			c := newCrawl(t, buildRace, "--store", b.url, "--mirror", second, "--copies", copies, "--warc-max-size", "1MiB")
			c.save(3*time.Minute, exitDone, web.URL+"/")
			holds(t, storedSound(t, b.copied()), s, web.URL)
			b.prefix = "second/"
			holds(t, storedSound(t, b.copied()), s, web.URL)

			// The first is lost: the second has all it takes to go on.
			asked := web.Requests().Count()
			c.dir, c.args = filepath.Join(t.TempDir(), "other"), append(slices.Clone(c.args[:4]), "--store", second)
			c.save(2*time.Minute, exitDone, web.URL+"/")
			if n := web.Requests().Count(); n != asked {
				t.Errorf("%d pages were fetched again", n-asked)
			}
		})
	}
}

// TestCompact: small files are joined, what was cited is found, and the
// originals go only after their time.
func TestCompact(t *testing.T) {
	s := site.Site{Pages: 300}
	web, b := synthetic(t, s), newBucket(t)
	c := newCrawl(t, buildRace, "--store", b.url, "--warc-max-size", "1MiB")
	c.save(3*time.Minute, exitDone, web.URL+"/")
	before := storedSound(t, b.copied())
	if len(before.Segments) < 2 {
		t.Fatalf("%d segments", len(before.Segments))
	}
	p := c.exec("compact", c.dir)
	c.wait(p, time.Minute, exitDone)
	if !strings.Contains(p.Stdout(), "joined") {
		t.Errorf("it says %q", p.Stdout())
	}
	if a := storedSound(t, b.copied()); len(a.Segments) != len(before.Segments)+1 {
		t.Errorf("%d segments with their join", len(a.Segments))
	}
	c.wait(c.exec("compact", c.dir), time.Minute, exitDone) // nothing is old enough
	c.wait(c.exec("compact", "--grace", "0s", c.dir), time.Minute, exitDone)
	a := storedSound(t, b.copied())
	holds(t, a, s, web.URL)
	if len(a.Segments) != 1 {
		t.Errorf("%d segments are left", len(a.Segments))
	}
	// The archive goes on from its joined files, here and elsewhere.
	asked := web.Requests().Count()
	c.save(2*time.Minute, exitDone, web.URL+"/")
	c.dir = filepath.Join(t.TempDir(), "other")
	c.save(2*time.Minute, exitDone, web.URL+"/")
	if n := web.Requests().Count(); n != asked {
		t.Errorf("%d pages were fetched again", n-asked)
	}
}

// TestStoreTakenOver: a machine whose archive was taken over stops by itself,
// and its report does not get there any more.
func TestStoreTakenOver(t *testing.T) {
	s := site.Site{Pages: 400}
	web, b := synthetic(t, s), newBucket(t)
	c := newCrawl(t, buildRace, "--store", b.url, "--warc-max-size", "1MiB", "--limit-rate", "60KB")
	old := c.start(web.URL + "/")
	eventually(t, time.Minute, "a beginning", func() bool { return old.Ended() || web.Requests().Count() > 20 })
	eventually(t, time.Minute, "a checkpoint", func() bool {
		made, _ := filepath.Glob(filepath.Join(b.copied(), "checkpoints", "*", "checkpoint.json"))
		return len(made) > 0
	})
	n := *c
	n.dir, n.args = filepath.Join(t.TempDir(), "new"), slices.Clone(c.args[:len(c.args)-2])
	p := n.exec(append([]string{"save", "--resume=" + n.dir, "--limit-rate", "0"}, n.args...)...)
	c.wait(old, 90*time.Second, exitLocked)
	if !strings.Contains(old.Stderr(), "took this archive over") {
		t.Errorf("it was told:\n%s", old.Stderr())
	}
	c.wait(p, 3*time.Minute, exitDone)
	dir := b.copied()
	a, err := rig.ReadArchive(dir) // what the old one stored late is in no manifest
	if err != nil {
		t.Fatal(err)
	}
	by := a.ByURI()
	for i := 1; i < s.Pages; i++ { // the start page has another name too
		if len(by[web.URL+s.Path(i)]) == 0 {
			t.Errorf("page %d was lost", i)
		}
	}
	if reports, _ := filepath.Glob(filepath.Join(dir, "reports", "*")); len(reports) != 1 || !strings.HasSuffix(reports[0], "-000002") {
		t.Errorf("reports %v", reports)
	}
}

// TestStoreDeleted: what somebody deleted behind its back is noticed and
// fetched again.
func TestStoreDeleted(t *testing.T) {
	s := site.Site{Pages: 300}
	web, b := synthetic(t, s), newBucket(t)
	c := newCrawl(t, buildRace, "--store", b.url, "--warc-max-size", "1MiB")
	c.save(3*time.Minute, exitDone, web.URL+"/")
	client, err := b.m.Client()
	if err != nil {
		t.Fatal(err)
	}
	before := storedSound(t, b.copied())
	gone := b.prefix + "warc/" + filepath.Base(before.Segments[0])
	if err := client.RemoveObject(t.Context(), b.m.Bucket, gone, minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	p := c.save(2*time.Minute, exitDone, web.URL+"/")
	if !strings.Contains(p.Stderr(), "is missing") {
		t.Errorf("nobody was told:\n%s", p.Stderr())
	}
	dir := b.copied()
	if err := os.Remove(filepath.Join(dir, "warc", strings.TrimSuffix(filepath.Base(gone), ".warc.gz")+".cdxj")); err != nil {
		t.Fatal(err)
	}
	a, err := rig.ReadArchive(dir)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, a, s, web.URL)
}
