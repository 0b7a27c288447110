package scope

import (
	"os"
	"strings"
	"testing"

	"salvor/crawler/canon"
	"salvor/crawler/extract"
)

// TestNeighbours: testdata/neighbours has lines of a built-in rule and a URL
// that it all but hits. Each is content: nothing of the rule's set may keep it
// out. Every rule has one.
func TestNeighbours(t *testing.T) {
	text, err := os.ReadFile("testdata/neighbours")
	if err != nil {
		t.Fatal(err)
	}
	shown, scopes := map[string]bool{}, map[string]*Scope{}
	for _, set := range setNames {
		s, err := Compile(Rules{Kind: "any", Seeds: []string{"http://x.example/"}, MaxHops: NoLimit, Sets: []string{set}})
		if err != nil {
			t.Fatal(err)
		}
		scopes[set] = s
	}
	for line := range strings.Lines(string(text)) {
		rule, url, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || rule == "#" {
			continue
		}
		shown["exclude:"+rule] = true
		set, _, _ := strings.Cut(rule, "/")
		url = strings.ReplaceAll(strings.TrimSpace(url), "LONG", strings.Repeat("a", 4000))
		u, err := canon.Parse(url)
		if err != nil {
			t.Fatal(err)
		}
		if d := scopes[set].Decide(Parent{URL: u}, extract.Page, u); !d.In {
			t.Errorf("%s keeps out %.200s", d.Rule, url)
		}
	}
	all, err := compileSets(setNames)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if !shown[p.id] {
			t.Errorf("nothing shows what %s lets be", p.id)
		}
	}
}

// TestSetFiles: what people read is what is compiled, and one set is on.
func TestSetFiles(t *testing.T) {
	ids := map[string]bool{}
	for _, set := range Sets() {
		ps, err := parseSet(set.Name, set.Text)
		if err != nil || len(ps) == 0 {
			t.Errorf("%s: %d rules, %v", set.Name, len(ps), err)
		}
		if set.Default != (set.Name == "global") || !strings.HasPrefix(set.Text, "# ") {
			t.Errorf("set %s: on is %v", set.Name, set.Default)
		}
		for _, p := range ps {
			if ids[p.id] || len(p.id) > maxReason || strings.Count(p.id, "/") != 1 || p.source != set.Name {
				t.Errorf("rule %q of %s", p.id, p.source)
			}
			ids[p.id] = true
		}
	}
}

// TestBadSets: a mistake in a set names its line.
func TestBadSets(t *testing.T) {
	for text, want := range map[string]string{
		"# x\n\na  (b":         `exclude set s, line 3: missing closing ) at character 1 ("(b") in pattern "(b"`,
		"a @max-depth many":    `exclude set s, line 1: @max-depth wants a number in pattern "@max-depth many"`,
		"ok x\nb @max-size 10": `exclude set s, line 2: unknown guard @max-size in pattern "@max-size 10"`,
	} {
		if _, err := parseSet("s", text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestRepeats(t *testing.T) {
	for path, want := range map[string]bool{
		"/":                                   false,
		"/a/a/a":                              false, // as people nest
		"/a/a/a/a":                            true,
		"/a/a/a/b/a":                          false,
		"/x/a/b/a/b/a/b/y":                    true,
		"/a/b/a/b/a":                          false,
		"/a/b/c/a/b/c/a/b/c":                  true,
		"/a/b/c/a/b/c/a/b/d":                  false,
		"/1/1/1/1/1/1":                        false, // as tiles of a map
		"/2026/01/01/2026/01/01/2026/01/01":   false,
		"/1/a/1/a/1/a":                        true,
		strings.Repeat("/a", maxSegments+100): true,
		"/" + strings.Repeat("b/c/", 2):       false,
	} {
		if got := repeats(path, 3); got != want {
			t.Errorf("%.60s: %v", path, got)
		}
	}
}
