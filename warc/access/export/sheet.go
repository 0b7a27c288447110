package export

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Sheet is what goes with an export: how to cite it, what is in it, what is not.
type Sheet struct {
	Title    string
	Archive  string
	Operator string
	Asked    string // the query, as it was asked
	Format   Format
	File     string
	SHA256   string
	Made     time.Time
	Software string
	Sample   Sample
	Crawl    []string // what is known of the crawl, a line each
	Report   Report
}

// Citation is one line to cite the export by.
func (s *Sheet) Citation() string {
	who := cmp.Or(s.Operator, s.Archive)
	return fmt.Sprintf("%s. %s [web archive, captured %s to %s]. Exported %s by %s. SHA-256 %s.", who, s.Title,
		s.Report.First.UTC().Format(time.DateOnly), s.Report.Last.UTC().Format(time.DateOnly), s.Made.UTC().Format(time.DateOnly), s.Software, s.SHA256)
}

// Markdown is the sheet to read.
func (s *Sheet) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n\n## How to cite\n\n%s\n\n## What it is\n\n", s.Title, s.File, s.Citation())
	row := func(k, v string) {
		if v != "" {
			fmt.Fprintf(&b, "- %s: %s\n", k, v)
		}
	}
	row("archive", s.Archive)
	row("asked for", s.Asked)
	row("format", string(s.Format))
	row("made", s.Made.UTC().Format(time.RFC3339)+" by "+s.Software)
	row("SHA-256", s.SHA256)
	if s.Sample != (Sample{}) {
		row("sample", fmt.Sprintf("%d captures or a share of %g, seed %q", s.Sample.Count, s.Sample.Share, s.Sample.Seed))
	}
	row("captures", fmt.Sprint(s.Report.Captures))
	if s.Report.Originals > 0 {
		row("beside them", fmt.Sprintf("%d captures that revisits refer to", s.Report.Originals))
	}
	row("first", s.Report.First.UTC().Format(time.RFC3339))
	row("last", s.Report.Last.UTC().Format(time.RFC3339))
	if len(s.Crawl) > 0 {
		b.WriteString("\n## The crawl\n\n")
		for _, l := range s.Crawl {
			b.WriteString("- " + l + "\n")
		}
	}
	b.WriteString("\nTimes are when the crawler captured a page, not when it was published.\n")
	facets(&b, "By type", s.Report.Types)
	facets(&b, "By status", s.Report.Statuses)
	facets(&b, "By host", s.Report.Hosts)
	facets(&b, "By day", s.Report.Days)
	if len(s.Report.Missing) > 0 {
		b.WriteString("\n## What is not in it\n\n")
		for _, m := range s.Report.Missing {
			b.WriteString("- " + strings.Join(strings.Fields(m), " ") + "\n")
		}
	}
	return b.String()
}

// mostRows is how many rows a table of a sheet has.
const mostRows = 50

func facets(b *strings.Builder, title string, m map[string]int64) {
	keys := slices.SortedFunc(maps.Keys(m), func(x, y string) int { return cmp.Or(cmp.Compare(m[y], m[x]), strings.Compare(x, y)) })
	fmt.Fprintf(b, "\n## %s\n\n| | captures |\n|---|---|\n", title)
	for _, k := range keys[:min(len(keys), mostRows)] {
		fmt.Fprintf(b, "| %s | %d |\n", strings.ReplaceAll(cmp.Or(k, "(none)"), "|", "\\|"), m[k])
	}
	if n := len(keys) - mostRows; n > 0 {
		fmt.Fprintf(b, "| %d more | |\n", n)
	}
}
