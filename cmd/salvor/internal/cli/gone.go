package cli

import (
	"fmt"
	"slices"
	"strings"

	"salvor"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
)

// goneFile is a file that a flag names and that is not there. The same command
// line resumes all the same, with what was read from the file before; a new
// archive cannot begin without it.
type goneFile struct {
	flag, path string
	err        error
}

// passOver takes note of a file that is not there: whether that is an error is
// known once it is known what the archive remembers.
func (a *asked) passOver(flag, path string, err error) error {
	if err == nil {
		return nil
	}
	if salvor.ClassOf(err) != salvor.NotFound {
		return fmt.Errorf("--%s: %w", flag, err)
	}
	a.gone = append(a.gone, goneFile{flag, path, fmt.Errorf("--%s: %w", flag, err)})
	return nil
}

// restore puts what the archive remembers in the place of files that are gone,
// and says so. It may be called again with a newer memory.
func (a *asked) restore(m *remembered) (notes []string, err error) {
	var missing []error
	for _, g := range a.gone {
		what := ""
		if m != nil {
			what = a.stored(g, m)
		}
		if what == "" {
			missing = append(missing, g.err)
			continue
		}
		notes = append(notes, fmt.Sprintf("%v: %s read from there before stay in force", g.err, what))
	}
	a.joinHeaders()
	if len(missing) > 0 { // one is enough to mend
		return nil, missing[0]
	}
	return notes, nil
}

// stored has what was read from a file before take its place, and names it; ""
// when the archive remembers nothing of that file.
func (a *asked) stored(g goneFile, m *remembered) string {
	s := &m.settings
	switch g.flag {
	case "seeds":
		return countedIf(len(seedsOf(m.seeds, g.path)), "seed")
	case "header":
		return a.storedHeaders(g.path, s)
	case "exclude-from":
		if !slices.Equal(s.ExcludeFiles, a.excludeFrom) {
			return ""
		}
		a.keep(g.flag)
		return countedIf(len(s.ExcludeFrom), "rule")
	case "value-rules":
		if !slices.Equal(s.ValueFiles, a.valueFiles) {
			return ""
		}
		a.keep("value-rule", "value-rules", "value-recipe")
		return countedIf(len(s.ValueRules), "value rule")
	case "cookies":
		if s.Secrets.CookiesFile != g.path {
			return ""
		}
		a.keep(g.flag)
		return countedIf(len(s.Secrets.Cookies), "cookie")
	case "proxy":
		if s.Secrets.ProxyFile != g.path {
			return ""
		}
		a.keep(g.flag)
		return "the proxy's address and password"
	}
	return ""
}

func countedIf(n int, noun string) string {
	if n == 0 {
		return ""
	}
	return progress.Counted(int64(n), noun)
}

// keep leaves a setting as the archive has it.
func (a *asked) keep(flags ...string) {
	a.changed = slices.DeleteFunc(a.changed, func(name string) bool { return slices.Contains(flags, name) })
}

// seedsOf are the seeds that a file gave.
func seedsOf(seeds []job.Seed, path string) (out []job.Seed) {
	for _, s := range seeds {
		if file, _, ok := cutLast(s.Source, ":"); ok && file == path {
			out = append(out, s)
		}
	}
	return out
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// storedHeaders fills the part of a file that is gone.
func (a *asked) storedHeaders(path string, s *job.Settings) string {
	var found []job.Header
	for i, file := range s.Secrets.HeaderFiles {
		if file == path && i < len(s.Secrets.Headers) {
			found = append(found, s.Secrets.Headers[i])
		}
	}
	for i := range a.headerParts {
		if a.headerParts[i].file == path {
			a.headerParts[i].headers = found
		}
	}
	return countedIf(len(found), "header")
}
