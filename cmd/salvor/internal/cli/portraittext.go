package cli

import (
	"fmt"
	"strings"

	"salvor/cmd/salvor/internal/progress"
)

// line is one line about the crawl.
func (p *portrait) line() string {
	s := fmt.Sprintf("%s: saved %s of %s known, %s, %s, open %s", p.State, progress.Count(p.Saved+p.Revisits), progress.Count(p.Known),
		rateText(p.Rate), progress.Bytes(p.Bytes), progress.Count(p.Open()))
	if t := p.endings(); t != "" {
		s += ", " + t
	}
	if len(p.HeldBack) > 0 {
		s += "; " + progress.Clean(p.HeldBack[0])
	}
	return s
}

// endings counts the outcomes other than saved.
func (p *portrait) endings() string {
	var parts []string
	for _, c := range []struct {
		name string
		n    int64
	}{{"gone", p.Gone}, {"refused", p.Refused}, {"failed", p.Failed}, {"excluded", p.Excluded}, {"too big", p.TooBig}, {"out of time", p.OutOfTime}} {
		if c.n > 0 {
			parts = append(parts, progress.Count(c.n)+" "+c.name)
		}
	}
	return strings.Join(parts, ", ")
}

// text is the crawl for people.
func (p *portrait) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "crawl %s: %s, begun %s\n", p.Name, p.State, at(p.Created.UnixMilli()))
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-9s %s\n", label, progress.Clean(text))
		}
	}
	for _, h := range p.HeldBack {
		line("held back", h)
	}
	line("saved", fmt.Sprintf("%s of %s known, %s settled; %s received", progress.Count(p.Saved+p.Revisits), progress.Count(p.Known), p.settled(), progress.Bytes(p.Bytes)))
	line("stored", p.onTheWay())
	line("rate", fmt.Sprintf("%s lately, of %s", rateText(p.Rate), progress.Counted(int64(len(p.Workers)), "worker")))
	line("queue", fmt.Sprintf("%s queued, %s waiting, %s under way", progress.Count(p.Queued), progress.Count(p.Waiting), progress.Count(p.UnderWay)))
	line("ended", p.endings())
	line("deadline", p.deadline())
	if p.Forecast != nil {
		_, text, _ := strings.Cut(forecastText(*p.Forecast, p.At), ": ")
		line("forecast", text)
		line("", p.Forecast.Tip)
	}
	line("why", p.reasons())
	line("types", p.types())
	line("statuses", p.statuses())
	p.workersText(&b)
	p.hostsText(&b)
	return b.String()
}

// onTheWay tells of captures that are not in the store yet, and of those it has
// twice.
func (p *portrait) onTheWay() string {
	var parts []string
	var held int64
	for _, k := range p.Workers {
		held += k.Held
	}
	if held > 0 {
		parts = append(parts, progress.Count(held)+" captured and on their way to the store")
	}
	if p.Duplicates > 0 {
		parts = append(parts, progress.Counted(p.Duplicates, "duplicate capture"))
	}
	return strings.Join(parts, "; ")
}

func (p *portrait) deadline() string {
	if p.Deadline.IsZero() {
		return ""
	}
	s := at(p.Deadline.UnixMilli()) + ", " + deadlineText(p.Deadline, p.At)
	if p.Late > 0 {
		s += fmt.Sprintf("; %s captured after it", progress.Count(p.Late))
	}
	return s
}

// mostShown is how many of a list fit a line.
const mostShown = 6

// some joins the first of a list, and counts the rest.
func some[T any](all []T, one func(T) string) string {
	var parts []string
	for i, x := range all {
		if i == mostShown {
			parts = append(parts, fmt.Sprintf("%d more", len(all)-i))
			break
		}
		parts = append(parts, one(x))
	}
	return strings.Join(parts, ", ")
}

func (p *portrait) reasons() string {
	return some(p.Reasons, func(r reasonJSON) string {
		name := strings.ReplaceAll(r.Outcome, "_", " ")
		if r.Reason != "" {
			name += " by " + r.Reason
		}
		return name + " " + progress.Count(r.URLs)
	})
}

func (p *portrait) types() string {
	return some(p.Types, func(t typeJSON) string {
		return fmt.Sprintf("%s %s (%s)", firstOf(t.Type, "none"), progress.Count(t.URLs), progress.Bytes(t.Bytes))
	})
}

func (p *portrait) statuses() string {
	return some(p.Statuses, func(s statusJSON) string { return fmt.Sprintf("%d %s", s.Status, progress.Count(s.URLs)) })
}

func (p *portrait) workersText(b *strings.Builder) {
	if p.Unheard != "" {
		fmt.Fprintf(b, "\nwho is at it is not known: %s\n", progress.Clean(p.Unheard))
	}
	if len(p.Workers) == 0 {
		return
	}
	var captures int64
	for _, k := range p.Workers {
		captures += k.Captures
	}
	var rows [][]string
	for _, k := range p.Workers {
		share := "-"
		if captures > 0 {
			share = fmt.Sprintf("%.0f %%", 100*float64(k.Captures)/float64(captures))
		}
		rows = append(rows, []string{k.Node, k.State, rateText(k.Rate), progress.Count(k.Captures), share, progress.Count(k.Held), progress.Bytes(k.Spooled), dash(firstOf(k.Error, k.Why))})
	}
	b.WriteString("\n")
	table(b, "", []string{"WORKER", "STATE", ">RATE", ">CAPTURES", ">SHARE", ">HELD", ">SPOOLED", "WHY"}, rows)
}

func (p *portrait) hostsText(b *strings.Builder) {
	if len(p.Hosts) == 0 {
		return
	}
	var rows [][]string
	for _, h := range p.Hosts {
		name := h.Host
		if h.Group != "" {
			name += " (" + h.Group + ")"
		}
		rows = append(rows, []string{name, progress.Count(h.Open), progress.Count(h.Saved), limitText(h.Rate), limitText(h.Ceiling), rateText(h.Booked), dash(h.HeldBack)})
	}
	b.WriteString("\n")
	table(b, "", []string{"HOST", ">OPEN", ">SAVED", ">BUDGET", ">CEILING", ">BOOKED", "HELD BACK BY"}, rows)
}

func limitText(r float64) string {
	if r == 0 {
		return "unlimited"
	}
	return rateText(r)
}
