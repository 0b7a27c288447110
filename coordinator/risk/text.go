package risk

import (
	"fmt"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
)

// columns is how wide Text is at most.
const columns = 80

// Text is the explanation for a terminal or a mail: at most 80 columns, without
// colours. It ends with a newline.
func (e Explanation) Text() string {
	w := &sheet{}
	w.put(0, "%s  %s  %s  model %d, class %s", e.Site, e.State, stamp(e.At), e.Model, e.Class)
	if e.Why != "" {
		w.put(2, "%s", e.Why)
	}
	w.put(2, "P(loss)    24 h    7 d   30 d")
	for _, r := range []struct {
		name string
		o    Odds
	}{{"host", e.Host}, {"access", e.Access}, {"either", e.Lost}, {"content", e.Content}} {
		w.put(2, "%-8s%7s%7s%7s", r.name, percent(r.o.Day), percent(r.o.Week), percent(r.o.Month))
	}
	w.put(2, "safe by: %s", e.safe())
	for _, d := range e.Deadlines {
		passed := ""
		if d.Passed {
			passed = ", passed"
		}
		w.put(2, "deadline %d: %s%s; safe by %s", d.ID, d.What.label(d.At), passed, stamp(d.SafeBy))
	}
	e.why(w)
	e.reasons(w)
	return w.String()
}

// WhyText is the part of Text that says what the risk rests on: at most five
// lines of evidence.
func (e Explanation) WhyText() string {
	w := &sheet{}
	e.why(w)
	return w.String()
}

func (e Explanation) why(w *sheet) {
	w.put(2, "why (of host or access, in 7 d):")
	for _, l := range e.Lines {
		w.line(l)
	}
	if e.More > 0 {
		w.put(9, "and %d more", e.More)
	}
}

func (e Explanation) reasons(w *sheet) {
	for i, n := range e.NotCounted {
		if i == 0 {
			w.put(2, "not counted:")
		}
		w.put(4, "%s: %s", n.What, n.Why)
	}
	for i, c := range e.Changes {
		if i == 0 {
			w.put(2, "would change the %s in 7 d, if:", percent(e.Lost.Week))
		}
		w.hang(4, 8, "%6s  %s", percent(c.Week), c.If)
	}
	for _, q := range e.Ask {
		w.put(2, "? %s", q)
	}
}

func (e Explanation) safe() string {
	switch {
	case e.State == Gone:
		return "too late, unless it comes back"
	case e.SafeNow:
		return "now"
	case e.SafeBy.IsZero():
		return "nothing presses"
	}
	return stamp(e.SafeBy)
}

// sheet is text that is wrapped at columns.
type sheet struct{ strings.Builder }

func (w *sheet) line(l Line) {
	w.hang(2, 20, "%5s  %-12s %s", share(l.Share), l.Mechanism, l.Evidence)
	if l.First.IsZero() && l.Last.IsZero() {
		return
	}
	seen := "seen " + stamp(l.Last)
	switch {
	case l.Signal == "" && l.Mechanism != "gone":
		seen = "recorded " + stamp(l.Last)
	case !l.First.IsZero() && !l.First.Equal(l.Last):
		seen = "seen " + stamp(l.First) + " to " + stamp(l.Last)
	}
	if len(l.Vantages) > 0 {
		seen += " by " + strings.Join(l.Vantages, ", ")
	}
	w.put(9, "%s, %s ago", seen, span(time.Duration(l.Age*float64(time.Second))))
	if raw := l.Raw.label(); raw != "" {
		w.put(9, "%s", raw)
	}
}

func (r Raw) label() string {
	switch {
	case r.SHA256 == "" && r.Where == "":
		return ""
	case r.SHA256 == "":
		return "[" + r.Where + "]"
	case r.Where == "":
		return "[sha256 " + r.SHA256[:12] + "]"
	}
	return "[" + r.Where + ", sha256 " + r.SHA256[:12] + "]"
}

// put writes a line with an indent; what does not fit goes on below, further in.
func (w *sheet) put(indent int, format string, args ...any) { w.hang(indent, 2, format, args...) }

// hang is put with an indent of its own for what goes on below.
func (w *sheet) hang(indent, hang int, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	margin := strings.Repeat(" ", indent)
	for first := true; text != "" || first; first = false {
		head, rest := breakAt(text, columns-len(margin))
		w.WriteString(strings.TrimRight(margin+head, " ") + "\n")
		text = rest
		if first {
			margin += strings.Repeat(" ", hang)
		}
	}
}

// breakAt cuts text to a width, at a space if there is one in its later half.
func breakAt(text string, width int) (head, rest string) {
	if runewidth.StringWidth(text) <= width {
		return text, ""
	}
	head = runewidth.Truncate(text, width, "")
	if i := strings.LastIndexByte(head, ' '); i > len(head)/2 {
		head = head[:i]
	}
	return head, strings.TrimLeft(text[len(head):], " ")
}

// share is a part of the whole, which needs no fractions.
func share(p float64) string {
	if p > 0 && p < .005 {
		return "<1 %"
	}
	return fmt.Sprintf("%.0f %%", 100*p)
}

// percent rounds to what can be meant.
func percent(p float64) string {
	switch p *= 100; {
	case p > 99 && p < 100:
		return ">99 %"
	case p > 0 && p < .05:
		return "<0.1 %"
	case p < 9.95 && p > 0:
		return fmt.Sprintf("%.1f %%", p)
	}
	return fmt.Sprintf("%.0f %%", p)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }

// date is a moment in its own zone.
func date(t time.Time) string { return t.Format("2006-01-02 15:04 MST") }

// span is a time in its largest unit.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "0 min"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 2*day:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d/day))
}
