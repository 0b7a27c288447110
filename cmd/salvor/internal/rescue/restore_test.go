package rescue

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"salvor"
	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/job"
	"salvor/storage"
	"salvor/storage/mem"
)

// limited is a Store whose reads fail after so many.
type limited struct {
	storage.Store
	left int
}

var errCut = salvor.Errorf(salvor.Unavailable, "cut off")

func (l *limited) Get(ctx context.Context, key string) (io.ReadCloser, storage.Info, error) {
	if l.left--; l.left < 0 {
		return nil, storage.Info{}, errCut
	}
	return l.Store.Get(ctx, key)
}

// stored crawls a small site into a Store in memory.
func stored(t *testing.T) (s storage.Store, url string, hits func() int64) {
	t.Helper()
	url, n := testSite(t, 10)
	s = mem.New()
	j := elsewhere(testJob(t, filepath.Join(t.TempDir(), "archive"), url), s)
	if res, err := (Engine{}).Run(t.Context(), j); err != nil || res.Reason != job.Done {
		t.Fatal(res, err)
	}
	return s, url, n.Load
}

func elsewhere(j job.Job, s storage.Store) job.Job {
	j.Settings.Store = "s3://bucket/prefix"
	j.OpenStore = func(context.Context, job.StoreRequest) (storage.Store, error) { return s, nil }
	return j
}

// TestRestoreInPieces: a restore that breaks off anywhere leaves a directory
// that is no archive, and one more attempt makes it one.
func TestRestoreInPieces(t *testing.T) {
	s, url, hits := stored(t)
	asked := hits()
	dir := filepath.Join(t.TempDir(), "new")
	done := false
	for n := 0; !done; n++ {
		found, _, err := Engine{}.Restore(t.Context(), job.Restoring{Store: &limited{s, n}, URL: "s3://bucket/prefix", Dir: dir, Version: "test"})
		done = err == nil
		if done != found && done {
			t.Fatal("found nothing")
		}
		if err != nil && !errors.Is(err, errCut) {
			t.Fatalf("after %d reads: %v", n, err)
		}
		if _, serr := os.Stat(filepath.Join(dir, "state", "settings.json")); (serr == nil) != done {
			t.Fatalf("after %d reads: done %v, settings %v", n, done, serr)
		}
		if n > 50 {
			t.Fatal("never done")
		}
	}
	d, err := archive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	j := elsewhere(testJob(t, filepath.Join(t.TempDir(), "unused"), url), s)
	j.Dir, j.Resumed = d, true
	t.Cleanup(func() { d.Close() })
	res, err := Engine{}.Run(t.Context(), j)
	if err != nil || res.Reason != job.Done || res.Final.Saved < 10 || hits() != asked {
		t.Errorf("%+v, %v, %d requests more", res, err, hits()-asked)
	}
	if _, err := os.Stat(filepath.Join(dir, "crawl.log")); err != nil {
		t.Error(err)
	}
}

// TestRestoreForeign: other seeds mean another crawl.
func TestRestoreForeign(t *testing.T) {
	s, _, _ := stored(t)
	r := job.Restoring{Store: s, Dir: filepath.Join(t.TempDir(), "new"), Seeds: []job.Seed{{URL: "http://other.test/"}}}
	if _, _, err := (Engine{}).Restore(t.Context(), r); salvor.ClassOf(err) != salvor.Conflict || salvor.HintOf(err) == "" {
		t.Errorf("other seeds: %v", err)
	}
	if found, _, err := (Engine{}).Restore(t.Context(), job.Restoring{Store: mem.New(), Dir: r.Dir}); found || err != nil {
		t.Errorf("of nothing: %v, %v", found, err)
	}
}
