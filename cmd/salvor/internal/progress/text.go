package progress

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// Count writes a number with thousands separated: 1,234,567.
func Count(n int64) string {
	s := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Counted writes a number and the noun it counts: 1 URL, 2 URLs.
func Counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Count(n) + " " + noun + "s"
}

// Bytes writes a size in powers of 1000: 1.2 GB.
func Bytes(n int64) string { return bytesText(float64(n)) }

func bytesText(f float64) string {
	const units = "kMGTPE"
	if f < 1000 {
		return fmt.Sprintf("%.0f B", f)
	}
	i := -1
	for f >= 999.5 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	if f < 9.95 {
		return fmt.Sprintf("%.1f %cB", f, units[i])
	}
	return fmt.Sprintf("%.0f %cB", f, units[i])
}

// rateText writes requests a second with the precision they have.
func rateText(r float64) string {
	switch {
	case r <= 0:
		return "0/s"
	case r < 9.95:
		return fmt.Sprintf("%.1f/s", r)
	}
	return Count(int64(r+0.5)) + "/s"
}

// Span writes a duration for people: 9s, 4m05s, 17h12m, 3d04h.
func Span(d time.Duration) string {
	d = d.Round(time.Second)
	s := int64(d / time.Second)
	switch {
	case s < 0:
		return "-" + Span(-d)
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}

func percent(part, whole int64) string {
	if whole <= 0 {
		return "0 %"
	}
	p := 100 * float64(part) / float64(whole)
	if p > 99 && part < whole {
		p = 99 // never "100 %" before it is true
	}
	return fmt.Sprintf("%.0f %%", p)
}

// Clean makes text from the network harmless for a terminal and for one line
// of a log: whatever is not printable becomes a replacement character.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// clip cuts s to a terminal's width.
func clip(s string, width int) string {
	return runewidth.Truncate(s, max(width, 0), "…")
}

// pad fills s up to a width.
func pad(s string, width int) string { return runewidth.FillRight(clip(s, width), width) }

// Plain is one line about the state of a crawl, as printed every 10 s where
// there is no terminal.
func plain(v view) string {
	rate, bytes := rateText(v.RateNow), bytesText(v.BytesNow)+"/s"
	if v.Phase == Ended { // there is no now any more
		rate, bytes = rateText(v.RateMean)+" mean", bytesText(v.BytesMean)+"/s mean"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: saved %s of %s known, %s, %s (%s), queued %s", v.Phase,
		Count(v.Saved+v.Revisits), Count(v.Known), rate, Bytes(v.Bytes), bytes, Count(v.Queued+v.Waiting))
	b.WriteString(heldText(v))
	for _, c := range []count{{"gone", v.Gone}, {"refused", v.Refused}, {"failed", v.Failed}, {"excluded", v.Excluded}, {"too big", v.TooBig}} {
		if c.N > 0 {
			fmt.Fprintf(&b, ", %s %s", c.Name, Count(c.N))
		}
	}
	if len(v.Errors) > 0 {
		fmt.Fprintf(&b, "; errors: %s", errorsText(v.Errors, 4))
	}
	if t := timeText(v); t != "" {
		fmt.Fprintf(&b, "; %s", t)
	}
	return b.String()
}

func errorsText(errs []count, most int) string {
	var parts []string
	for i, e := range errs {
		if i == most {
			parts = append(parts, Counted(int64(len(errs)-i), "more kind"))
			break
		}
		parts = append(parts, fmt.Sprintf("%s %s", Clean(e.Name), Count(e.N)))
	}
	return strings.Join(parts, ", ")
}

// timeText is what is left to the deadline and to the end.
func timeText(v view) string {
	var parts []string
	if v.ETA > 0 {
		parts = append(parts, "about "+Span(v.ETA)+" left for what is known")
	}
	switch {
	case v.Deadline.IsZero():
	case v.Left <= 0:
		parts = append(parts, "the deadline has passed")
	case v.ByDeadline >= 0 && v.ByDeadline < 1:
		parts = append(parts, fmt.Sprintf("deadline in %s, %.0f %% by then", Span(v.Left), 100*v.ByDeadline))
	default:
		parts = append(parts, "deadline in "+Span(v.Left))
	}
	return strings.Join(parts, ", ")
}
