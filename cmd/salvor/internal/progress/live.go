package progress

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
)

// Colours are the eight of every terminal, and only an addition: nothing is
// told by colour alone.
const (
	bold   = "\x1b[1m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

// labelWidth aligns the block.
const labelWidth = 9

// frame is the live block for a terminal of a size: at most height-2 lines of
// at most width-1 cells, so that nothing wraps or scrolls.
func frame(v view, name string, width, height int) []string {
	width = max(width-1, 20)
	room := max(height-2, 2)
	lines := []string{
		clip(fmt.Sprintf("%s  %s  %s", Clean(name), v.Phase, Span(v.Elapsed)), width),
		bar(v, width),
	}
	add := func(label, text string) {
		if text != "" {
			lines = append(lines, clip(pad(label, labelWidth)+text, width))
		}
	}
	add("rate", fmt.Sprintf("%s now, %s mean; %s (%s/s)", rateText(v.RateNow), rateText(v.RateMean), Bytes(v.Bytes), bytesText(v.BytesNow)))
	add("queue", fmt.Sprintf("%s queued, %s waiting, %s under way%s", Count(v.Queued), Count(v.Waiting), Count(v.Leased-v.Held), heldText(v)))
	add("stopped", v.Stopped)
	add("ended", endedText(v))
	add("errors", errorsText(v.Errors, 5))
	add("disk", fmt.Sprintf("segments %d open, %d sealed; spool %s", v.Open, v.Sealed, spoolText(v)))
	add("deadline", deadlineText(v))
	if v.ETA > 0 {
		add("left", "about "+Span(v.ETA)+" for what is known")
	}
	for i, h := range v.Hosts {
		if i == 8 || len(lines) >= room {
			break
		}
		label := ""
		if i == 0 {
			label = "hosts"
		}
		add(label, hostText(h, width-labelWidth))
	}
	return lines[:min(len(lines), room)]
}

func bar(v view, width int) string {
	text := fmt.Sprintf("%s saved of %s known, %s settled", Count(v.Saved+v.Revisits), Count(v.Known), percent(v.Settled(), v.Known))
	cells := width - runewidth.StringWidth(text) - 3
	if cells < 10 {
		return clip(text, width)
	}
	cells = min(cells, 40)
	full := 0
	if v.Known > 0 {
		full = int(int64(cells) * v.Settled() / v.Known)
	}
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", cells-full) + "] " + text
}

// heldText tells of what a Store elsewhere does not have yet.
func heldText(v view) string {
	if v.Held == 0 {
		return ""
	}
	return fmt.Sprintf(", %s on their way to the store", Count(v.Held))
}

func endedText(v view) string {
	var parts []string
	if v.Revisits > 0 {
		parts = append(parts, Counted(v.Revisits, "revisit"))
	}
	for _, c := range []count{{"gone", v.Gone}, {"refused", v.Refused}, {"failed", v.Failed}, {"excluded", v.Excluded}, {"too big", v.TooBig}} {
		if c.N > 0 {
			parts = append(parts, Count(c.N)+" "+c.Name)
		}
	}
	return strings.Join(parts, ", ")
}

func spoolText(v view) string {
	if v.SpoolMax > 0 {
		return fmt.Sprintf("%s of %s", Bytes(v.Spool), Bytes(v.SpoolMax))
	}
	return Bytes(v.Spool)
}

func deadlineText(v view) string {
	if v.Deadline.IsZero() {
		return ""
	}
	at := v.Deadline.Format("2006-01-02 15:04 -07:00")
	switch {
	case v.Left <= 0:
		return at + " has passed"
	case v.ByDeadline >= 0:
		return fmt.Sprintf("%s, in %s; %.0f %% of what is known by then", at, Span(v.Left), 100*v.ByDeadline)
	}
	return at + ", in " + Span(v.Left)
}

func hostText(h hostView, width int) string {
	name := max(16, min(32, width-46))
	now := "-"
	if h.Now >= 0 {
		now = rateText(h.Now)
	}
	allowed := ""
	if h.Rate > 0 {
		allowed = " of " + rateText(h.Rate)
	}
	s := fmt.Sprintf("%s %9s%-9s", pad(Clean(h.Name), name), now, allowed)
	if h.Why != "" {
		return s + " " + Clean(h.Why) + "; " + Count(h.Open) + " open"
	}
	return s + " " + Count(h.Open) + " open"
}

// painter keeps a block of lines at the bottom of a terminal. Lines printed
// above it stay.
type painter struct {
	out   io.Writer
	shown []string // lines of the block on the screen, without colour
	size  func() (width, height int)
	color bool
}

// paint replaces the block, after printing lines above it. The cursor rests
// at the start of the line below the block: whatever else writes to the
// terminal, or an end without any cleaning, does no harm.
func (p *painter) paint(above, block []string) error {
	var b strings.Builder
	if n := p.rows(); n > 0 {
		fmt.Fprintf(&b, "\r\x1b[%dA\x1b[J", n)
	}
	for _, l := range above {
		b.WriteString(l + "\n")
	}
	for i, l := range block {
		b.WriteString(p.paintLine(i, l) + "\n")
	}
	p.shown = block
	_, err := io.WriteString(p.out, b.String())
	return err
}

// rows is how many rows the block takes now: after the terminal got narrower
// its lines wrap.
func (p *painter) rows() (n int) {
	width, _ := p.size()
	for _, l := range p.shown {
		n += max(1, (runewidth.StringWidth(l)+width-1)/width)
	}
	return n
}

func (p *painter) paintLine(i int, l string) string {
	switch {
	case !p.color:
		return l
	case i == 0:
		return bold + l + reset
	case strings.HasPrefix(l, "errors "):
		return yellow + l + reset
	}
	return l
}

// noticeLine is a notice for people.
func noticeLine(n Notice, color bool) string {
	text := Clean(n.Text)
	if n.Level == Error {
		text = "error: " + text
		if color {
			text = red + text + reset
		}
	}
	if n.Hint != "" {
		text += " (" + Clean(n.Hint) + ")"
	}
	return text
}

func stamp(t time.Time) string { return t.Format("2006-01-02 15:04:05 ") }
