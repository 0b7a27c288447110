package cli

import (
	"fmt"
	"strings"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/progress"
	"salvor/coordinator/pilot"
	"salvor/coordinator/sites"
)

// explainHost tells of one host, in each crawl that has it.
func (w *world) explainHost(v pilot.View, host string, asJSON bool, ask func(site string) (sites.View, error)) error {
	p := coursePlanOf(v)
	var found []planHostJSON
	for _, h := range p.Hosts {
		if h.Host != host {
			continue
		}
		if h.Site != "" {
			s, err := ask(h.Site)
			if err != nil {
				return err
			}
			h.Risk, h.SafeBy = &s.Risk, s.Risk.SafeBy
		}
		found = append(found, h)
	}
	if len(found) == 0 {
		return salvor.Errorf(salvor.NotFound, "nothing is planned for %q", host).
			WithHint("the plan knows hosts with open URLs of running crawls: salvor plan show --hosts 1000")
	}
	if asJSON {
		return w.printJSON(found)
	}
	var b strings.Builder
	for _, h := range found {
		h.explain(&b, v)
	}
	_, err := w.stdout.Write([]byte(w.painted(b.String())))
	return err
}

// ruled names the value rules of a tier, if there are any.
func ruled(rules []string) string {
	if len(rules) == 0 {
		return ""
	}
	return ", by " + strings.Join(rules, "; ")
}

func (h *planHostJSON) explain(b *strings.Builder, v pilot.View) {
	line := func(label, text string) { fmt.Fprintf(b, "%-9s %s\n", label, progress.Clean(text)) }
	fmt.Fprintf(b, "%s\n", progress.Clean(h.Host+" of crawl "+h.Crawl))
	line("planned", fmt.Sprintf("%s now, of the %s that its budget allows; lately %s", rateText(h.Rate), rateText(h.Budget), rateText(h.Speed)))
	line("bound by", whyText[h.Why])
	if h.Note != "" {
		line("note", h.Note)
	}
	if h.Group != "" {
		line("shares", "the budget of "+h.Group)
	}
	line("saved", fmt.Sprintf("%s until now; %s more are expected, of %s", progress.Count(h.Saved), progress.Count(int64(h.Expected+0.5)), h.left()))
	h.tellEnd(line, v.At)
	if h.Risk != nil {
		x := h.Risk.Lost
		line("lost", fmt.Sprintf("%s within a day, %s within a week, %s within a month", chance(x.Day), chance(x.Week), chance(x.Month)))
		b.WriteString(h.Risk.WhyText())
	}
	for _, t := range h.Queued {
		line("queued", fmt.Sprintf("%s of %.3g each%s", progress.Count(t.Queued), t.Value, ruled(t.Rules)))
	}
	if h.Times > 1 {
		line("first", fmt.Sprintf("its next pages count %s times, as the first of a host do", quantity(h.Times)))
	}
	for _, t := range h.Tiers {
		line("worth", fmt.Sprintf("%s of %.3g each", progress.Count(int64(t.Left)), t.Value))
	}
	if len(v.Plan.Price) > 0 && v.Plan.Price[0] > 0 {
		line("price", fmt.Sprintf("a request of the workers is worth %.3g now: what is worth less waits", v.Plan.Price[0]))
	} else {
		line("price", "the workers have time for all that may be asked now")
	}
}

// left is what there is to fetch of the host.
func (h *planHostJSON) left() string {
	open := progress.Count(h.Open) + " that are open"
	switch {
	case h.Endless:
		return open + " and no end in sight"
	case h.Rest >= 1:
		return fmt.Sprintf("%s and some %s that are not found yet", open, progress.Count(round(h.Rest)))
	}
	return open
}

// tellEnd says what is known of the end of the host's site.
func (h *planHostJSON) tellEnd(line func(label, text string), now int64) {
	if h.Site == "" {
		return
	}
	text := h.Site + ": no date is known"
	if !h.Ends.IsZero() {
		text = fmt.Sprintf("%s: %s, %s", h.Site, at(h.Ends.UnixMilli()), deadlineText(h.Ends, time.UnixMilli(now)))
	}
	if !h.SafeBy.IsZero() {
		text += "; safe by " + at(h.SafeBy.UnixMilli())
	}
	line("ends", text+": salvor site risk explain "+h.Site)
}
