package proto

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// protocVersion is the only line that may differ.
var protocVersion = regexp.MustCompile(`(?m)^//\s+protoc\s+v.*$`)

// TestGeneratedCodeIsCurrent fails when the schema was changed and api/pb was
// not made anew, or was changed by hand. Without protoc it does not run.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	if _, err := exec.LookPath("protoc"); err != nil {
		t.Skip("no protoc on this machine")
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "./generate.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	fresh, committed := files(t, filepath.Join(dir, "api/pb")), files(t, "../pb")
	for name, text := range fresh {
		if committed[name] != text {
			t.Errorf("api/pb/%s is not what the schema gives: run make generate", name)
		}
	}
	if len(fresh) != len(committed) || len(fresh) == 0 {
		t.Errorf("%d files are committed, %d made", len(committed), len(fresh))
	}
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*.go", "*/*.go"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			rel, err := filepath.Rel(dir, name)
			if err != nil {
				t.Fatal(err)
			}
			all[rel] = protocVersion.ReplaceAllString(string(b), "")
		}
	}
	return all
}
