package salvor_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// floor is where a directory stands; imports only point down. A directory
// without a floor of its own has its parent's.
var floor = map[string]int{
	"e2e":         6, // drives the real binary
	"cmd":         5,
	"coordinator": 4,
	"crawler":     4,
	"warc/access": 4,
	"warc":        3,
	"storage":     2,
	"api":         1,
	".":           0, // the vocabulary
}

// floorOf finds a directory's floor and the part that has it.
func floorOf(dir string) (part string, n int, ok bool) {
	for d := dir; ; d = filepath.Dir(d) {
		if n, ok := floor[d]; ok && (d != "." || dir == ".") {
			return d, n, true
		}
		if d == "." {
			return "", 0, false
		}
	}
}

// mayImport says whether a package in from may import one in to.
func mayImport(from, to string) bool {
	fromPart, fromFloor, _ := floorOf(from)
	toPart, toFloor, ok := floorOf(to)
	switch {
	case !ok:
		return false
	case fromPart == toPart:
		return true
	case fromPart == "api":
		return to == "."
	case strings.Contains(to+"/", "internal/"):
		return false
	}
	return toFloor < fromFloor
}

func TestImportsPointDown(t *testing.T) {
	for _, i := range imports(t) {
		to, ours := strings.CutPrefix(i.path, "salvor/")
		if i.path == "salvor" {
			to, ours = ".", true
		}
		if !ours {
			continue
		}
		if _, _, ok := floorOf(i.dir); !ok {
			t.Errorf("%s: no floor is known for %s", i.at, i.dir)
		} else if !mayImport(i.dir, to) {
			t.Errorf("%s: %s may not import %s", i.at, i.dir, to)
		}
	}
}

// TestLayerRules keeps the rules above from being loosened by accident.
func TestLayerRules(t *testing.T) {
	for _, c := range []struct {
		from, to string
		may      bool
	}{
		{"cmd/salvor", "crawler/fetch", true},
		{"cmd/salvor", "api", true},
		{"coordinator", "coordinator/frontier", true},
		{"coordinator", "crawler", false},
		{"crawler", "coordinator", false},
		{"crawler/fetch", "coordinator/frontier", false},
		{"crawler", "warc/cdx", true},
		{"warc", "crawler", false},
		{"warc", "warc/access", false},
		{"warc/access", "warc", true},
		{"storage/file", "warc", false},
		{"storage", "api", true},
		{"api", ".", true},
		{"api", "storage", false},
		{".", "api", false},
		{"crawler", "nowhere", false},
		{"crawler", "cmd/salvor/internal/report", false},
	} {
		if got := mayImport(c.from, c.to); got != c.may {
			t.Errorf("%s -> %s: %v, want %v", c.from, c.to, got, c.may)
		}
	}
}

// TestTerminalLibrariesStayInCmd keeps flags and screens out of the engine.
func TestTerminalLibrariesStayInCmd(t *testing.T) {
	for _, i := range imports(t) {
		for _, lib := range []string{"github.com/spf13/cobra", "github.com/vbauerster/mpb", "golang.org/x/term"} {
			if strings.HasPrefix(i.path, lib) && !strings.HasPrefix(i.dir+"/", "cmd/") && !ignored[i.file] {
				t.Errorf("%s: only cmd may import %s", i.at, lib)
			}
		}
	}
}

type importAt struct{ dir, file, path, at string }

// ignored are files that belong to a work tree, not to the project.
var ignored = map[string]bool{"deps_tmp.go": true}

// imports lists what every Go file of the module imports.
func imports(t *testing.T) (all []importAt) {
	t.Helper()
	set := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if n := d.Name(); d.IsDir() && path != "." && (n == "testdata" || n[0] == '.' || n[0] == '_') {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(set, path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, s := range f.Imports {
			p, err := strconv.Unquote(s.Path.Value)
			if err != nil {
				return err
			}
			all = append(all, importAt{filepath.Dir(path), path, p, set.Position(s.Pos()).String()})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d imports found: the walk is wrong", len(all))
	}
	return all
}

// TestPinnedVersions fails when go.mod drifts from versions that were chosen
// by hand, where newer or "latest" is wrong.
func TestPinnedVersions(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for module, pin := range map[string]struct{ version, why string }{
		"github.com/hashicorp/raft":     {"v1.7.3", "v1.8.0 does not build with raft-wal v0.4.2"},
		"github.com/hashicorp/raft-wal": {"v0.4.2", "v0.4.0, which @latest gives, lacks two fixes of lost writes"},
		"github.com/nlnwa/gowarc":       {"v1.6.0", "its defects are known and worked around"},
	} {
		line := regexp.MustCompile(`(?m)^(?:require)?\s*` + regexp.QuoteMeta(module) + ` (\S+)`).FindSubmatch(mod)
		switch {
		case line == nil:
			t.Errorf("go.mod does not name %s", module)
		case string(line[1]) != pin.version:
			t.Errorf("go.mod has %s %s, want %s: %s", module, line[1], pin.version, pin.why)
		}
	}
	if regexp.MustCompile(`(?m)^replace\b`).Match(mod) {
		t.Error("go.mod has a replace: go install salvor@version would fail")
	}
}
