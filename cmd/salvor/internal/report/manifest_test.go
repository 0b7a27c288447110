package report

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"salvor/api"
)

func TestManifest(t *testing.T) {
	dir := t.TempDir()
	files := map[string]bool{
		"warc/a.warc.gz": true, "warc/a.cdxj": true, "warc/2026/11/b.warc.gz": true, "report.json": true, "crawl.log": true, "a b": true,
		"odd\nname\\": true, "state/raft/log": false, "control/pause": false, ".report.json.1.salvor-tmp": false, "warc/.salvor-tmp/1/1": false,
		"warc/state/x": true, ManifestFile: false,
	}
	for name := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("content of "+name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("report.json", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	// The table's digest is taken for the first; the second one's size says
	// that the file is not what the table means.
	known := sha256.Sum256([]byte("content of warc/a.warc.gz"))
	segments := []api.Segment{
		{Object: "warc/a.warc.gz", State: api.SegmentStored, Bytes: 25, SHA256: known},
		{Object: "warc/2026/11/b.warc.gz", State: api.SegmentStored, Bytes: 1, SHA256: [32]byte{1}},
	}
	if err := Manifest(t.Context(), dir, segments); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	for name, want := range files {
		line := fmt.Sprintf("%x  %s", sha256.Sum256([]byte("content of "+name)), name)
		if name == "odd\nname\\" {
			line = fmt.Sprintf("\\%x  odd\\nname\\\\", sha256.Sum256([]byte("content of "+name)))
		}
		if got := contains(lines, line); got != want {
			t.Errorf("%q is listed: %v, want %v", name, got, want)
		}
	}
	if len(lines) != 8 {
		t.Errorf("%d lines:\n%s", len(lines), b)
	}
	checkSums(t, dir)
	lost := append(segments, api.Segment{Object: "warc/lost.warc.gz", State: api.SegmentStored, Bytes: 1, SHA256: [32]byte{2}})
	if err := Manifest(t.Context(), dir, lost); err != nil {
		t.Fatal(err)
	}
	with, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if err != nil || !strings.HasSuffix(string(with), fmt.Sprintf("\n%x  warc/lost.warc.gz\n", [32]byte{2})) || !strings.HasPrefix(string(with), string(b)) {
		t.Errorf("a stored segment that is gone: %v\n%s", err, with)
	}
	// Written again it says the same: it does not list itself.
	if err := Manifest(t.Context(), dir, nil); err != nil {
		t.Fatal(err)
	}
	if again, _ := os.ReadFile(filepath.Join(dir, ManifestFile)); string(again) != string(b) {
		t.Errorf("now it says\n%s", again)
	}
}

func contains(lines []string, line string) bool {
	for _, l := range lines {
		if l == line {
			return true
		}
	}
	return false
}

// checkSums asks sha256sum, where the machine has it, and wants it to notice
// a changed bit.
func checkSums(t *testing.T, dir string) {
	t.Helper()
	if _, err := exec.LookPath("sha256sum"); err != nil {
		t.Log("no sha256sum on this machine")
		return
	}
	run := func() ([]byte, error) {
		cmd := exec.Command("sha256sum", "--strict", "-c", ManifestFile)
		cmd.Dir = dir
		return cmd.CombinedOutput()
	}
	if out, err := run(); err != nil {
		t.Errorf("sha256sum -c: %v\n%s", err, out)
	}
	path := filepath.Join(dir, "crawl.log")
	was, _ := os.ReadFile(path)
	os.WriteFile(path, []byte("changed"), 0o644)
	if out, err := run(); err == nil {
		t.Errorf("sha256sum -c accepts a changed file:\n%s", out)
	}
	os.WriteFile(path, was, 0o644)
}
