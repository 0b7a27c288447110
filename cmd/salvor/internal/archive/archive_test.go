package archive

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salvor"
)

type settings struct{ Name string }

func mustCreate(t *testing.T, path string) *Dir {
	t.Helper()
	d, fresh, err := OpenOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	if !fresh {
		t.Fatal("a new directory is not fresh")
	}
	if err := d.SaveSettings("salvor test", settings{"a"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestResume(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	d := mustCreate(t, path)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d, fresh, err := OpenOrCreate(path)
	if err != nil || fresh {
		t.Fatalf("second open: fresh %v, %v", fresh, err)
	}
	defer d.Close()
	var s settings
	if err := d.LoadSettings(&s); err != nil || s.Name != "a" {
		t.Fatalf("settings %+v, %v", s, err)
	}
}

func TestKilledBeforeSettings(t *testing.T) {
	path := t.TempDir()
	d, _, err := OpenOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	d, fresh, err := OpenOrCreate(path)
	if err != nil || !fresh {
		t.Fatalf("fresh %v, %v", fresh, err)
	}
	d.Close()
	// Crawl state without settings must not be taken for nothing.
	if err := os.Mkdir(filepath.Join(path, "state", "raft"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenOrCreate(path); salvor.ClassOf(err) != salvor.Invalid {
		t.Fatalf("state without settings: %v", err)
	}
}

func TestLock(t *testing.T) {
	d := mustCreate(t, t.TempDir())
	_, err := Open(d.Path())
	if salvor.ClassOf(err) != salvor.Conflict || !strings.Contains(err.Error(), "is in use by process ") {
		t.Fatalf("second holder: %v", err)
	}
	if salvor.HintOf(err) == "" {
		t.Error("no remedy")
	}
	if _, err := OpenRead(d.Path()); err != nil {
		t.Errorf("a reader needs no lock: %v", err)
	}
	d.Close()
	again, err := Open(d.Path())
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestNewerFormat(t *testing.T) {
	d := mustCreate(t, t.TempDir())
	newer := `{"format": 99, "written_by": "salvor v9", "settings": ["shape", "unknown"]}`
	if err := os.WriteFile(d.State(settingsFile), []byte(newer), 0o644); err != nil {
		t.Fatal(err)
	}
	d.Close()
	for name, open := range map[string]func(string) (*Dir, error){"write": Open, "read": OpenRead} {
		_, err := open(d.Path())
		if salvor.ClassOf(err) != salvor.TooNew || !strings.Contains(err.Error(), "salvor v9") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The refusal gave the lock back.
	if inUse(d) {
		t.Error("still locked after a refusal")
	}
}

func TestRefusesForeignDirectories(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "thesis.tex"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{root, filepath.Join(root, "thesis.tex"), filepath.Join(root, "thesis.tex", "x")} {
		if _, _, err := OpenOrCreate(path); salvor.ClassOf(err) != salvor.Invalid || salvor.HintOf(err) == "" {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Open(filepath.Join(root, "none")); salvor.ClassOf(err) != salvor.NotFound {
		t.Errorf("open of nothing: %v", err)
	}
}

func TestSecretsArePrivate(t *testing.T) {
	d := mustCreate(t, t.TempDir())
	// A temporary file somebody else could read is not written into.
	tmp := d.State(secretsFile) + ".salvor-tmp"
	if err := os.WriteFile(tmp, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := d.SaveSecrets(map[string]string{"k": "v"}); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(d.State(secretsFile))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", st.Mode(), err)
	}
	var m map[string]string
	if err := d.LoadSecrets(&m); err != nil || m["k"] != "v" {
		t.Fatalf("%v, %v", m, err)
	}
	if _, err := os.Stat(tmp); !errors.Is(err, fs.ErrNotExist) {
		t.Error("temporary file left")
	}
}

func TestSeedsAndChanges(t *testing.T) {
	d := mustCreate(t, t.TempDir())
	want := []settings{{"http://a/?x=<1>&y"}, {"b"}}
	if err := SaveSeeds(d, want); err != nil {
		t.Fatal(err)
	}
	got, err := LoadSeeds[settings](d)
	if err != nil || len(got) != 2 || got[0] != want[0] {
		t.Fatalf("%v, %v", got, err)
	}
	at := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for _, l := range []string{"scope: host -> domain", "max_hops: 1 -> 2"} {
		if err := d.LogChange(at, l); err != nil {
			t.Fatal(err)
		}
	}
	lines, err := d.Changes()
	if err != nil || len(lines) != 2 || lines[1] != "2026-12-01T00:00:00Z max_hops: 1 -> 2" {
		t.Fatalf("%q, %v", lines, err)
	}
}

func TestDamagedFileIsNamed(t *testing.T) {
	d := mustCreate(t, t.TempDir())
	if err := os.WriteFile(d.State(statusFile), []byte(`{"st`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Status(); err == nil || !strings.Contains(err.Error(), statusFile) {
		t.Fatalf("damaged status: %v", err)
	}
}

func TestUnfinished(t *testing.T) {
	root := t.TempDir()
	if _, err := Unfinished(root); salvor.ClassOf(err) != salvor.NotFound {
		t.Fatalf("none: %v", err)
	}
	make := func(name string, s Status) *Dir {
		d := mustCreate(t, filepath.Join(root, name))
		if err := d.SetStatus(s); err != nil {
			t.Fatal(err)
		}
		return d
	}
	day := func(n int) time.Time { return time.Date(2026, 12, n, 0, 0, 0, 0, time.UTC) }
	make("old", Status{State: "interrupted", Updated: day(1)}).Close()
	make("new", Status{State: Running, Updated: day(2)}).Close()
	make("finished", Status{State: "done", Final: true, Updated: day(3)}).Close()
	busy := make("busy", Status{State: Running, Updated: day(4)})
	got, err := Unfinished(root)
	if err != nil || filepath.Base(got) != "new" {
		t.Fatalf("%q, %v", got, err)
	}
	busy.Close()
	if got, _ = Unfinished(root); filepath.Base(got) != "busy" {
		t.Fatalf("after its process ended: %q", got)
	}
}

func TestHolderIsReadable(t *testing.T) {
	d := mustCreate(t, t.TempDir())
	b, err := os.ReadFile(d.State(lockFile))
	var h Holder
	if err != nil || json.Unmarshal(b, &h) != nil || h.PID != os.Getpid() || h.Host == "" {
		t.Fatalf("%s: %+v, %v", b, h, err)
	}
}

func TestDamagedFiles(t *testing.T) {
	d := mustCreate(t, t.TempDir())
	var s settings
	for _, c := range []struct {
		file, text string
		read       func() error
	}{
		{settingsFile, "{", func() error { _, err := OpenRead(d.Path()); return err }},
		{settingsFile, `{"format": 0}`, func() error { _, err := OpenRead(d.Path()); return err }},
		{settingsFile, `{"format": 1, "settings": []}`, func() error { return d.LoadSettings(&s) }},
		{secretsFile, "\x00\x00", func() error { return d.LoadSecrets(&s) }},
		{seedsFile, "{}\n{", func() error { _, err := LoadSeeds[settings](d); return err }},
		{statusFile, "", func() error { _, err := d.Status(); return err }},
	} {
		if err := os.WriteFile(d.State(c.file), []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := c.read(); err == nil || salvor.ClassOf(err) != salvor.Internal || salvor.HintOf(err) == "" {
			t.Errorf("%s %q: %v (%v)", c.file, c.text, err, salvor.ClassOf(err))
		}
	}
}

func TestStored(t *testing.T) {
	d := mustCreate(t, filepath.Join(t.TempDir(), "a[b"))
	for name, size := range map[string]int{"x-1.warc.gz": 10, "x-2.warc.gz": 5, "x-1.cdxj": 3, ".x-3.warc.gz.tmp": 7} {
		if err := os.WriteFile(d.WARC(name), make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if files, bytes := d.Stored(); files != 2 || bytes != 15 {
		t.Errorf("%d files, %d bytes", files, bytes)
	}
}
