package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
)

// The TSV files have one header line and Heritrix' columns first, in its
// order, where Heritrix has such a report. Tabs, line feeds and other control
// characters in values are percent-encoded, and "-" stands for nothing.

// row writes one line.
func row(w io.Writer, values ...any) error {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteByte('\t')
		}
		s := cmp.Or(fmt.Sprint(v), "-")
		for j := range len(s) {
			if c := s[j]; c < ' ' || c == 0x7f {
				fmt.Fprintf(&b, "%%%02X", c)
			} else {
				b.WriteByte(c)
			}
		}
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

// table writes a header and rows through one buffer.
func table[T any](w io.Writer, header string, rows []T, values func(T) []any) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, strings.ReplaceAll(header, " ", "\t"))
	for _, r := range rows {
		if err := row(b, values(r)...); err != nil {
			return err
		}
	}
	return b.Flush()
}

// SeedsTSV is Heritrix' seeds-report with what else is known of a seed.
func (r *Report) SeedsTSV(w io.Writer) error {
	return table(w, "code status seed redirect outcome reason source", r.allSeeds, func(s SeedRow) []any {
		status := "NOTCRAWLED"
		if s.Status > 0 {
			status = "CRAWLED"
		}
		return []any{s.Status, status, s.URL, s.Target, s.Outcome, s.Reason, s.Source}
	})
}

// HostsTSV is Heritrix' hosts-report, without the byte counts by kind of
// duplicate, which nobody counts here, and with every outcome.
func (r *Report) HostsTSV(w io.Writer) error {
	const header = "urls bytes host robots remaining novel-urls dup-by-hash-urls known gone refused failed excluded too-big out-of-time rate note"
	return table(w, header, r.allHosts, func(h Host) []any {
		o := h.Outcomes
		return []any{h.Captures, h.Bytes, h.Name, h.Robots, h.Open, o["saved"], o["revisit"], h.Known, o["gone"], o["refused"],
			o["failed"], o["excluded"], o["too_big"], o["out_of_time"], h.Rate, h.Note}
	})
}

// TypesTSV is Heritrix' mimetype-report.
func (r *Report) TypesTSV(w io.Writer) error {
	return table(w, "urls bytes mime-types", r.Types, func(t TypeCount) []any { return []any{t.URLs, t.Bytes, t.Type} })
}

const missedHeader = "outcome\tstatus\treason\ttries\turl\tvia\tat\n"

// missedRow writes one line of not-saved.tsv.
func missedRow(w io.Writer, m Missed) error {
	at := ""
	if !m.At.IsZero() {
		at = m.At.Format("2006-01-02T15:04:05.000Z")
	}
	return row(w, m.Outcome, m.Status, m.Reason, m.Tries, m.URL, m.Via, at)
}
