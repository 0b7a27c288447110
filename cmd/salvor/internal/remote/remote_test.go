package remote

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/storage"
	"salvor/storage/mem"
)

func TestClaims(t *testing.T) {
	ctx, s := t.Context(), mem.New()
	if _, ok, err := Newest(ctx, s); ok || err != nil {
		t.Fatal(ok, err)
	}
	a, err := Take(ctx, s, Claim{ID: "x", Dir: "a"})
	if err != nil || a.Epoch != 1 {
		t.Fatal(a, err)
	}
	if _, err := Take(ctx, s, Claim{ID: "y"}); salvor.ClassOf(err) != salvor.Conflict || salvor.HintOf(err) == "" {
		t.Errorf("a second first: %v", err)
	}
	if err := Check(ctx, s, a); err != nil {
		t.Error(err)
	}
	b, err := Take(ctx, s, a)
	if err != nil || b.Epoch != 2 || b.ID != "x" {
		t.Fatal(b, err)
	}
	if err := Check(ctx, s, a); salvor.ClassOf(err) != salvor.Conflict || !strings.Contains(err.Error(), "took this archive over") {
		t.Errorf("the old owner: %v", err)
	}
	if err := Check(ctx, s, b); err != nil {
		t.Error(err)
	}
	if err := Check(ctx, s, Claim{ID: "z", Epoch: 9}); salvor.ClassOf(err) != salvor.Conflict {
		t.Errorf("another archive: %v", err)
	}
	if err := Check(ctx, mem.New(), b); salvor.ClassOf(err) != salvor.Conflict {
		t.Errorf("emptied: %v", err)
	}
}

// TestCheckpoints: the newest whole one counts, old ones go, and what comes
// back is what was put.
func TestCheckpoints(t *testing.T) {
	ctx, s, dir := t.Context(), mem.New(), t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	files := map[string]string{"settings.json": write("a", "S"), "seeds.jsonl": write("b", "seeds"), "none": filepath.Join(dir, "none")}
	for i := range 4 {
		c := Checkpoint{At: time.Unix(int64(1000+i), 0), Claim: Claim{ID: "x", Epoch: 1}, Shelf: []string{fmt.Sprint("seg", i)}, Known: 7}
		err := Save(ctx, s, c, files, func(w io.Writer) error { _, err := fmt.Fprint(w, "node", i); return err }, dir)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := putJSON(ctx, s, "checkpoints/99999999T000000.000Z-000001/state.tar", 1); err != nil { // killed while it was made
		t.Fatal(err)
	}
	n := 0
	for range s.List(ctx, "checkpoints/", "") {
		n++
	}
	if n != kept*3+1 {
		t.Errorf("%d objects are kept", n)
	}
	c, ok, err := Latest(ctx, s)
	if err != nil || !ok || c.Shelf[0] != "seg3" || c.Known != 7 {
		t.Fatal(c, ok, err)
	}
	r, err := c.Coordinator(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(r); string(b) != "node3" {
		t.Errorf("coordinator %q", b)
	}
	out := t.TempDir()
	if err := c.State(ctx, s, out, "settings.json"); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(out, "seeds.jsonl")); string(b) != "seeds" {
		t.Errorf("seeds %q", b)
	}
	if b, _ := os.ReadFile(filepath.Join(out, "settings.json")); string(b) != "S" {
		t.Errorf("settings %q", b)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".checkpoint-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := c.State(ctx, s, out, "missing.json"); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("without the last file: %v", err)
	}
}

// TestLog: pieces end at line ends, nothing is put twice, and together they
// are the log.
func TestLog(t *testing.T) {
	ctx, s := t.Context(), mem.New()
	path := filepath.Join(t.TempDir(), "crawl.log")
	grow := func(text string) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := io.WriteString(f, text); err != nil {
			t.Fatal(err)
		}
		if err := PutLog(ctx, s, path); err != nil {
			t.Fatal(err)
		}
	}
	grow("one\ntw")
	grow("")
	grow("o\nthree\n")
	if err := PutLog(ctx, s, path); err != nil {
		t.Fatal(err)
	}
	back := filepath.Join(t.TempDir(), "back")
	if err := GetLog(ctx, s, back); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(back); string(b) != "one\ntwo\nthree\n" {
		t.Errorf("%q came back", b)
	}
	if err := s.Delete(ctx, logs+"000000000000000.log"); err != nil {
		t.Fatal(err)
	}
	if err := GetLog(ctx, s, back); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("a missing piece: %v", err)
	}
}

func TestManifest(t *testing.T) {
	ctx, s, dir := t.Context(), mem.New(), t.TempDir()
	put := func(key, text string) {
		if _, err := s.Put(ctx, key, storage.BytesBlob([]byte(text)), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	put("warc/a.warc.gz", "a")
	put("warc/b.warc.gz", "b")
	put("owner/000001.json", "{}")
	if err := os.WriteFile(filepath.Join(dir, "report.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := PutPapers(ctx, s, dir, "S", []string{"report.json", "gone.tsv"}); err != nil {
		t.Fatal(err)
	}
	table := []api.Segment{{Object: "warc/a.warc.gz", Bytes: 1, SHA256: [32]byte{1}, State: api.SegmentStored}, {Object: "warc/b.warc.gz", Bytes: 9, SHA256: [32]byte{2}, State: api.SegmentStored}}
	if err := PutManifest(ctx, s, "S", table); err != nil {
		t.Fatal(err)
	}
	r, _, err := s.Get(context.Background(), "manifests/S.txt")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(r)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[0], "  reports/S/report.json") || !strings.HasPrefix(lines[1], "01") || bytes.HasPrefix([]byte(lines[2]), []byte("02")) {
		t.Errorf("%s", b)
	}
}
