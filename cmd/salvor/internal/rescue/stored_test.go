package rescue

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"salvor/cmd/salvor/internal/job"
)

// TestStoredSegmentIsGone: a resume says which file is missing, and the report
// says so too.
func TestStoredSegmentIsGone(t *testing.T) {
	url, hits := testSite(t, 10)
	dir := filepath.Join(t.TempDir(), "archive")
	runs(t, testJob(t, dir, url))
	first := hits.Load()
	files, err := filepath.Glob(filepath.Join(dir, "warc", "*.warc.gz"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	short := ""
	if len(files) > 1 {
		short = files[1]
		if err := os.Truncate(short, 100); err != nil {
			t.Fatal(err)
		}
	}
	j, l := testJob(t, dir, url), newListener()
	j.Progress = l
	runs(t, j)
	said := l.said("segment_missing")
	if !strings.Contains(said, files[0]+" is missing") || !strings.Contains(said, short) {
		t.Errorf("said %q", said)
	}
	b, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil || !strings.Contains(string(b), `"problem": "is missing"`) || !strings.Contains(string(b), filepath.Base(files[0])+" is missing: what was saved in it was queued again") {
		t.Errorf("report.json says nothing of it (%v)", err)
	}
	if short != "" && !strings.Contains(string(b), "has 100 bytes and should have") {
		t.Error("report.json says nothing of a short file")
	}
	if n := hits.Load() - first; n < 10 {
		t.Errorf("%d pages were fetched again", n)
	}
	// Nothing cites the lost file any more: there is nothing to do.
	again := hits.Load()
	runs(t, testJob(t, dir, url))
	if hits.Load() != again {
		t.Errorf("%d pages were fetched a third time", hits.Load()-again)
	}
	for _, name := range files {
		if err := os.Remove(strings.TrimSuffix(name, ".warc.gz") + ".cdxj"); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	res, err := Engine{}.Run(t.Context(), testJob(t, dir, url))
	if err != nil || res.Reason != job.Failed || !strings.Contains(res.Detail, "cannot be told") {
		t.Errorf("without its index: %q, %q, %v", res.Reason, res.Detail, err)
	}
}
