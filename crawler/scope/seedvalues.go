package scope

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"salvor"
	"salvor/crawler/canon"
)

// seedValues is what named seeds pass on to all in their directories, by place:
// host and port without www., whatever the scheme.
type seedValues map[string][]directory

type directory struct {
	path  string // ending in a slash
	value float64
}

// newSeedValues orders the directories of each place, the deepest first.
func newSeedValues(list []SeedValue) (seedValues, error) {
	s := seedValues{}
	for _, x := range list {
		if err := CheckValue(x.Value); err != nil {
			return nil, err
		}
		for _, seed := range x.Seeds {
			u, err := canon.ParseSeed(seed)
			if err != nil {
				return nil, salvor.Errorf(salvor.Invalid, "the value %g of seed %q: %w", x.Value, seed, err)
			}
			s[place(u)] = append(s[place(u)], directory{directoryOf(u), x.Value})
		}
	}
	for _, dirs := range s {
		slices.SortStableFunc(dirs, func(a, b directory) int {
			return cmp.Or(cmp.Compare(len(b.path), len(a.path)), cmp.Compare(b.value, a.value))
		})
	}
	return s, nil
}

// match is the value of the deepest directory that holds u.
func (s seedValues) match(u canon.URL) (float64, bool) {
	if len(s) == 0 {
		return 0, false
	}
	path := pathOf(u)
	for _, d := range s[place(u)] {
		if strings.HasPrefix(path, d.path) {
			return d.value, true
		}
	}
	return 0, false
}

// directoryOf is a path up to its last slash.
func directoryOf(u canon.URL) string {
	path := pathOf(u)
	return path[:strings.LastIndexByte(path, '/')+1]
}

func seedRule(v float64) string { return "seed value=" + strconv.FormatFloat(v, 'g', -1, 64) }

// SeedValues collects what seeds are worth of which somebody said it, by value,
// the highest first, and each directory once. value is 0 where nobody did.
func SeedValues(seeds []string, value func(i int) float64) (out []SeedValue) {
	seen := map[string]bool{}
	by := map[float64]int{}
	for i, seed := range seeds {
		v := value(i)
		if v == 0 {
			continue
		}
		u, err := canon.Parse(seed)
		if err != nil {
			continue // no seed: whoever compiles its scope says so
		}
		dir := u.Origin + directoryOf(u)
		if key := seedRule(v) + " " + dir; seen[key] {
			continue
		} else {
			seen[key] = true
		}
		n, ok := by[v]
		if !ok {
			n = len(out)
			by[v] = n
			out = append(out, SeedValue{Value: v})
		}
		out[n].Seeds = append(out[n].Seeds, dir)
	}
	slices.SortStableFunc(out, func(a, b SeedValue) int { return cmp.Compare(b.Value, a.Value) })
	return out
}
