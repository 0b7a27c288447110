package cli

import (
	"fmt"
	"strings"

	"salvor"
	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/control"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
)

// preview is what a run would find and do now.
type preview struct {
	*plan
	orders control.State
	out    map[string]string // seeds that a rule keeps out
}

// dryRun says what would be done, with the errors that doing it would begin
// with.
func (w *world) dryRun(a *asked, p *plan) error {
	err := archive.Usable(p.dir)
	switch {
	case salvor.ClassOf(err) == salvor.Conflict: // who looks at a running crawl wants an answer
		p.notes = append(p.notes, fmt.Sprintf("now it would end with exit code %d: %v", exitLocked, err))
	case err != nil:
		return err
	}
	v := preview{plan: p}
	var problems []string
	v.orders, problems = control.Look(archive.At(p.dir).Control())
	p.notes = append(p.notes, problems...)
	if end := p.settings.Deadline; !end.IsZero() && !end.After(w.Now()) {
		p.notes = append(p.notes, "the deadline has passed: it would report and end at once")
	}
	if v.out, err = seedsOut(p, v.orders.Exclude); err != nil {
		return err
	}
	if a.json {
		return progress.WriteJSON(w.stdout, "plan", w.Now(), v.json())
	}
	_, err = w.stdout.Write([]byte(v.text()))
	return err
}

func (v *preview) text() string {
	var b strings.Builder
	verb := "start an archive in"
	if v.previous != nil {
		verb = "resume the archive"
	}
	if v.again {
		verb = fmt.Sprintf("begin round %d in", v.round)
	}
	s := &v.settings
	fmt.Fprintf(&b, "would %s %s\n", verb, v.dir)
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%-9s %s\n", label, fmt.Sprintf(format, args...))
	}
	line("scope", "%s, max-hops %s, extra-hops %d, requisites %v", s.Scope, hopsText(s.MaxHops), s.ExtraHops, s.PageRequisites)
	line("excludes", "%s, sets: %s", progress.Counted(int64(len(s.Exclude)+len(s.ExcludeFrom)), "rule"), firstOf(strings.Join(s.ExcludeSets, ", "), "none"))
	if n := len(s.ValueRules); n > 0 {
		line("first", "%s", progress.Counted(int64(n), "value rule"))
	}
	if t := ordersText(v.orders); t != "" {
		line("control", "%s", t)
	}
	line("robots", "%s", robotsText(s))
	line("rate", "%s", paceText(s))
	if t := limitsText(s); t != "" {
		line("limits", "%s", t)
	}
	if !s.Deadline.IsZero() {
		line("deadline", "%s", s.Deadline.Format("2006-01-02 15:04:05 -07:00"))
	}
	for _, c := range v.changes {
		line("change", "%s", c)
	}
	for _, n := range v.notes {
		line("note", "%s", n)
	}
	v.seedLines(line)
	return b.String()
}

func (v *preview) seedLines(line func(label, format string, args ...any)) {
	for i, seed := range v.seeds {
		if i == maxShownSeeds {
			line("seed", "and %d more", len(v.seeds)-i)
			break
		}
		if rule, out := v.out[seed.URL]; out {
			line("seed", "%s  out: %s", seed.URL, rule)
		} else {
			line("seed", "%s", seed.URL)
		}
	}
	if n := len(v.out); n > 0 && len(v.seeds) > maxShownSeeds {
		line("seed", "%s in all kept out by a rule", progress.Counted(int64(n), "seed"))
	}
}

const maxShownSeeds = 20

func hopsText(n int) string {
	if n < 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

func robotsText(s *job.Settings) string {
	if s.Robots == "ignore" {
		return "ignore; each origin's robots.txt is fetched first and recorded all the same"
	}
	return fmt.Sprintf("%s, as %s; each origin's robots.txt is fetched first", s.Robots, s.RobotsAgent)
}

func paceText(s *job.Settings) string {
	rate := fmt.Sprintf("at most %g/s a host", s.MaxRate)
	if s.MaxRate == 0 {
		rate = "no ceiling"
	}
	if !s.MaxRateGiven {
		rate += ", less where a Crawl-delay asks for it"
	}
	return fmt.Sprintf("%s; %s an origin, %d in all", rate, progress.Counted(int64(s.PerOrigin), "connection"), s.Connections)
}

func limitsText(s *job.Settings) string {
	var parts []string
	if s.LimitURLs > 0 {
		parts = append(parts, progress.Counted(s.LimitURLs, "URL"))
	}
	if s.LimitBytes > 0 {
		parts = append(parts, progress.Bytes(s.LimitBytes))
	}
	if s.MaxBody > 0 {
		parts = append(parts, progress.Bytes(s.MaxBody)+" a body")
	}
	if s.LimitRate > 0 {
		parts = append(parts, progress.Bytes(s.LimitRate)+"/s")
	}
	return strings.Join(parts, ", ")
}

// ordersText is what DIR/control asks for beside the settings.
func ordersText(s control.State) string {
	var parts []string
	if n := len(s.Exclude); n > 0 {
		parts = append(parts, progress.Counted(int64(n), "exclude rule"))
	}
	if n := len(s.Rates); n > 0 {
		parts = append(parts, progress.Counted(int64(n), "ceiling"))
	}
	if s.PerOrigin > 0 {
		parts = append(parts, fmt.Sprintf("per-origin %d", s.PerOrigin))
	}
	if s.Paused {
		parts = append(parts, "paused")
	}
	return strings.Join(parts, ", ")
}

// planJSON is the line of the JSON contract for a dry run.
type planJSON struct {
	Dir      string    `json:"dir"`
	Resumed  bool      `json:"resumed"`
	Round    int       `json:"round"`
	Seeds    []string  `json:"seeds"`
	Out      []outJSON `json:"seeds_out"`
	Changes  []string  `json:"changes"`
	Notes    []string  `json:"notes"`
	Control  []string  `json:"control_excludes"`
	Paused   bool      `json:"paused"`
	Settings any       `json:"settings"`
}

type outJSON struct {
	URL  string `json:"url"`
	Rule string `json:"rule"`
}

func (v *preview) json() planJSON {
	out := planJSON{
		Dir: v.dir, Resumed: v.previous != nil, Round: v.round, Seeds: []string{}, Out: []outJSON{}, Changes: append([]string{}, v.changes...),
		Notes: append([]string{}, v.notes...), Control: []string{}, Paused: v.orders.Paused, Settings: v.settings,
	}
	for _, s := range v.seeds {
		out.Seeds = append(out.Seeds, s.URL)
		if rule, is := v.out[s.URL]; is {
			out.Out = append(out.Out, outJSON{s.URL, rule})
		}
	}
	for _, x := range v.orders.Exclude {
		out.Control = append(out.Control, x.Text)
	}
	return out
}
