package scope

import (
	"embed"
	"strconv"
	"strings"

	"salvor"
	"salvor/crawler/canon"
)

//go:embed sets/*.txt
var setFiles embed.FS

// setNames are the built-in exclude sets; global is on by default.
var setNames = []string{"global", "forum", "wiki", "calendar"}

// Set is a built-in exclude set.
type Set struct {
	Name    string
	Default bool
	Text    string // the file, with its comments
}

// Sets lists the built-in exclude sets.
func Sets() []Set {
	out := make([]Set, len(setNames))
	for i, name := range setNames {
		text, _ := setFiles.ReadFile("sets/" + name + ".txt") // embedded; a test reads them all
		out[i] = Set{Name: name, Default: name == "global", Text: string(text)}
	}
	return out
}

// compileSets compiles sets by name.
func compileSets(names []string) ([]pattern, error) {
	var out []pattern
	for _, name := range names {
		text, err := setFiles.ReadFile("sets/" + name + ".txt")
		if err != nil {
			return nil, salvor.Errorf(salvor.Invalid, "unknown exclude set %q", name).
				WithHint("the sets are %s", strings.Join(setNames, ", "))
		}
		ps, err := parseSet(name, string(text))
		if err != nil {
			return nil, err
		}
		out = append(out, ps...)
	}
	return out, nil
}

// parseSet reads "NAME PATTERN" lines; PATTERN may be a guard: @NAME NUMBER.
func parseSet(set, text string) ([]pattern, error) {
	var out []pattern
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		id := "exclude:" + set + "/" + name
		p, err := newPattern(id, set, rest)
		if strings.HasPrefix(rest, "@") {
			p, err = newGuard(id, set, rest)
		}
		if err != nil {
			return nil, badPattern("exclude set "+set+", line", n+1, rest, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// newGuard makes a rule that no regular expression can say.
func newGuard(id, set, text string) (pattern, error) {
	name, arg, _ := strings.Cut(text, " ")
	n, err := strconv.Atoi(strings.TrimSpace(arg))
	if err != nil {
		return pattern{}, salvor.Errorf(salvor.Invalid, "%s wants a number", name)
	}
	p := pattern{id: id, text: text, source: set}
	switch name {
	case "@max-length":
		p.guard = func(u canon.URL) bool { return len(u.Href) > n }
	case "@max-depth":
		p.guard = func(u canon.URL) bool { return strings.Count(pathOf(u), "/") > n }
	case "@repeated-segments":
		p.guard = func(u canon.URL) bool { return repeats(pathOf(u), n) }
	default:
		return pattern{}, salvor.Errorf(salvor.Invalid, "unknown guard %s", name)
	}
	return p, nil
}

func pathOf(u canon.URL) string {
	path, _, _ := strings.Cut(u.Path, "?")
	return path
}

// maxSegments bounds the search; deeper paths are the depth guard's.
const maxSegments = 64

// repeats reports whether a path holds a run of segments n times in a row, as
// relative links grow on a server that takes any path: /a/b/a/b/a/b. A single
// segment may stand once more, and numbers as often as they like: map tiles do.
func repeats(path string, n int) bool {
	if strings.Count(path, "/") < n {
		return false
	}
	var buf [maxSegments]string
	segs := buf[:0]
	for s := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if len(segs) == maxSegments {
			break
		}
		segs = append(segs, s)
	}
	for unit := 1; unit*n <= len(segs); unit++ {
		want := unit * (n - 1) // equal neighbours at distance unit, in a row
		if unit == 1 {
			want++
		}
		run, text := 0, false
		for i := unit; i < len(segs); i++ {
			if segs[i] != segs[i-unit] {
				run, text = 0, false
				continue
			}
			run++
			if text = text || !isNumber(segs[i]); text && run >= want {
				return true
			}
		}
	}
	return false
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
