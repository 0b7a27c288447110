package cli

import (
	"strings"

	"github.com/mattn/go-runewidth"

	"salvor/cmd/salvor/internal/progress"
)

// table lays rows out below a head. A column whose head begins with > is flush
// right. Cells are cleaned: hosts and errors come from the network.
func table(b *strings.Builder, indent string, head []string, rows [][]string) {
	right := make([]bool, len(head))
	width := make([]int, len(head))
	all := [][]string{make([]string, len(head))}
	for i, h := range head {
		all[0][i], right[i] = strings.CutPrefix(h, ">")
	}
	for _, r := range rows {
		clean := make([]string, len(head))
		for i := range clean {
			clean[i] = progress.Clean(r[i])
		}
		all = append(all, clean)
	}
	for _, r := range all {
		for i, c := range r {
			width[i] = max(width[i], runewidth.StringWidth(c))
		}
	}
	for _, r := range all {
		line := indent
		for i, c := range r {
			if right[i] {
				c = runewidth.FillLeft(c, width[i])
			} else {
				c = runewidth.FillRight(c, width[i])
			}
			if i > 0 {
				line += "  "
			}
			line += c
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// dash stands for nothing to tell.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Colours are an addition: nothing is told by them alone.
const (
	bold   = "\x1b[1m"
	red    = "\x1b[31m"
	normal = "\x1b[0m"
)

// painted is a text with emphasis where it goes to a terminal that shows some.
func (w *world) painted(text string) string {
	if w.env("NO_COLOR") != "" || w.env("TERM") == "dumb" || !isTerminal(w.stdout) {
		return text
	}
	return emphasised(text)
}

// emphasised marks the first line, and those that begin with !.
func emphasised(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i, l := range lines {
		body, whole := strings.CutSuffix(l, "\n")
		switch {
		case !whole:
		case i == 0:
			lines[i] = bold + body + normal + "\n"
		case strings.HasPrefix(body, "! "):
			lines[i] = red + body + normal + "\n"
		}
	}
	return strings.Join(lines, "")
}
