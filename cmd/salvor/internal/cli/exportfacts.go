package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mostFacetRows is how many rows of a facet are printed.
const mostFacetRows = 20

// facetRows are the values of a facet, the most frequent first.
func facetRows(m map[string]int64) (rows [][]string) {
	keys := slices.SortedFunc(maps.Keys(m), func(x, y string) int { return cmp.Or(cmp.Compare(m[y], m[x]), strings.Compare(x, y)) })
	for _, k := range keys[:min(len(keys), mostFacetRows)] {
		rows = append(rows, []string{cmp.Or(k, "(none)"), strconv.FormatInt(m[k], 10)})
	}
	if n := len(keys) - mostFacetRows; n > 0 {
		rows = append(rows, []string{fmt.Sprintf("and %d more", n), ""})
	}
	return rows
}

// crawlFacts says of an archive that salvor save made how it came about. Of others
// nothing is known.
func crawlFacts(dir string) (operator string, facts []string) {
	m, err := look(dir, false)
	if err != nil || m == nil {
		return "", nil
	}
	s := m.settings
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, name+": "+value)
		}
	}
	for i, seed := range m.seeds {
		if i == 20 {
			add("seed", fmt.Sprintf("%d more", len(m.seeds)-i))
			break
		}
		add("seed", seed.URL)
	}
	add("operator", s.Operator)
	add("description", s.Description)
	add("scope", s.Scope)
	add("excluded", strings.Join(append(slices.Clone(s.ExcludeSets), s.Exclude...), ", "))
	add("robots.txt", s.Robots)
	add("requests a second and origin, at most", strconv.FormatFloat(s.MaxRate, 'g', -1, 64))
	if !m.status.Started.IsZero() {
		add("begun", m.status.Started.UTC().Format(time.RFC3339))
	}
	add("state", string(m.status.State))
	facts = append(facts, "what was not saved, and why: not-saved.tsv in the archive")
	return s.Operator, facts
}
