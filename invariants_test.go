package salvor

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestInvariantsAreTested: docs/invariants.md names a test for each rule, and
// all of them are there.
func TestInvariantsAreTested(t *testing.T) {
	b, err := os.ReadFile("docs/invariants.md")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`\b(Test|Fuzz)[A-Z]\w+`)
	pkg := regexp.MustCompile("`([a-z][a-z0-9/]+)` ([^`]+)")
	rules := 0
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| | rule") {
			continue
		}
		rules++
		parts := pkg.FindAllStringSubmatch(line, -1)
		if len(parts) == 0 {
			t.Errorf("no test for: %s", line)
		}
		for _, p := range parts {
			has := sources(t, p[1])
			for _, test := range name.FindAllString(p[2], -1) {
				if !strings.Contains(has, "\nfunc "+test+"(") {
					t.Errorf("there is no %s in %s", test, p[1])
				}
			}
		}
	}
	if rules < 8 {
		t.Errorf("%d rules were found", rules)
	}
}

// sources are a package's tests.
func sources(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Errorf("%s has no tests: %v", dir, err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}
