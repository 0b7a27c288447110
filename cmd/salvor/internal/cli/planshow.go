package cli

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/progress"
	"salvor/coordinator/pilot"
	planning "salvor/coordinator/plan"
	"salvor/coordinator/risk"
	"salvor/coordinator/sites"
)

func (w *world) planCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "plan", Short: "Look at who is served first, and what will be saved", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(w.planShowCommand(), w.planExplainCommand())
	return cmd
}

const planExamples = `  # what will be saved, and what holds it back?
  salvor plan show

  # would four more workers help, or another half day?
  salvor plan show --what-if workers=+4
  salvor plan show --what-if deadline:example=+12h`

func (w *world) planShowCommand() *cobra.Command {
	d, hosts, changes := new(dialing), 10, []string(nil)
	cmd := &cobra.Command{
		Use: "show [flags]", Short: "Show the plan: what will be saved by when",
		Long: `Show tells what the cluster plans for: what will be saved of each crawl by its
deadline, what holds it back, and which hosts are served now and why. The plan is
made anew every second. With --what-if it tells what would be otherwise;
nothing is changed.`,
		Example: planExamples, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				v, err := c.Plan(ctx)
				if err != nil {
					return err
				}
				return w.tellPlan(v, changes, hosts, d.json)
			})
		},
	}
	declare(cmd, append([]optionGroup{{"What to show", []option{
		{name: "hosts", value: whole(&hosts, 0, 10000), usage: "the `N` hosts that are served most (default 10)"},
		{name: "what-if", value: many(&changes, func(s string) (string, error) { return s, nil }), usage: "plan as if `CHANGE`: workers=+4, rate:HOST=20, deadline:CRAWL=-12h (repeatable)"},
	}}}, d.groups("print it as JSON (docs/json.md)")...)...)
	return cmd
}

func (w *world) planExplainCommand() *cobra.Command {
	d := new(dialing)
	cmd := &cobra.Command{
		Use: "explain [flags] HOST", Short: "Say why a host gets what it gets",
		Long: `Explain tells of one host what it is worth, what is queued of each value and by
which rule, what bounds its rate now, what is expected to be saved of it, and how likely
its site is lost, by when to be done, and why (salvor site risk explain).`,
		Example: "  salvor plan explain forum.example.org", Args: oneName("host", "salvor plan explain HOST"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				v, err := c.Plan(ctx)
				if err != nil {
					return err
				}
				return w.explainHost(v, hostArg(args[0]), d.json, func(site string) (sites.View, error) { return c.Site(ctx, site) })
			})
		},
	}
	declare(cmd, d.groups("print it as JSON (docs/json.md)")...)
	return cmd
}

// coursePlan is a plan as the contract has it. Rates are a second, times seconds.
type coursePlan struct {
	At        time.Time        `json:"at"`
	Took      float64          `json:"took_s"`
	Method    planning.Method  `json:"method"`
	Capacity  pilot.Capacity   `json:"capacity"`
	Price     float64          `json:"price"` // what one more request a second now would be worth
	Forecasts []pilot.Forecast `json:"forecasts"`
	Hosts     []planHostJSON   `json:"hosts"`
	WhatIf    []whatIfJSON     `json:"what_if,omitempty"`
}

type planHostJSON struct {
	Host     string          `json:"host"`
	Crawl    string          `json:"crawl"`
	Rate     float64         `json:"rate"`   // planned
	Budget   float64         `json:"budget"` // what it may be asked
	Speed    float64         `json:"speed"`  // lately
	Open     int64           `json:"open"`
	Saved    int64           `json:"saved"`
	Expected float64         `json:"expected"` // of what is open, to be saved
	Why      planning.Reason `json:"why"`
	Note     string          `json:"note,omitempty"`
	Group    string          `json:"budget_group,omitempty"`
	Tiers    []planning.Tier `json:"tiers"`
	Rest     float64         `json:"rest,omitempty"`    // estimated, of it that is not found yet
	Endless  bool            `json:"endless,omitempty"` // it is more, and how much more cannot be told
	Site     string          `json:"site,omitempty"`    // that something is known of
	Ends     time.Time       `json:"ends,omitzero"`     // its next deadline
	SafeBy   time.Time       `json:"safe_by,omitzero"`
	// Times is by how much more the next pages are worth, as the host's first;
	// Queued is what is queued by value, without that.
	Times  float64          `json:"times"`
	Queued []pilot.TierView `json:"queued,omitempty"`
	// Risk is that of the site, where one host is explained: the structure of
	// `salvor site risk explain`.
	Risk *risk.Explanation `json:"risk,omitempty"`
}

type whatIfJSON struct {
	Change    string           `json:"change"`
	Forecasts []pilot.Forecast `json:"forecasts"`
}

func coursePlanOf(v pilot.View) coursePlan {
	out := coursePlan{At: time.UnixMilli(v.At).UTC(), Took: v.Took, Method: v.Plan.Method, Capacity: v.Capacity,
		Forecasts: append([]pilot.Forecast{}, v.Forecasts...), Hosts: []planHostJSON{}}
	if len(v.Plan.Price) > 0 {
		out.Price = v.Plan.Price[0]
	}
	names := map[salvor.CrawlID]string{}
	for _, c := range v.Crawls {
		names[c.ID] = c.Name
	}
	for i, h := range v.Hosts {
		in, s := v.Input.Hosts[i], v.Plan.Hosts[i]
		out.Hosts = append(out.Hosts, planHostJSON{
			Host: h.Host, Crawl: names[h.Crawl], Rate: s.Rate, Budget: in.Rate, Speed: h.Speed, Open: h.Open, Saved: h.Saved,
			Expected: s.Saved, Why: s.Why, Note: h.Note, Group: h.Group, Tiers: in.Tiers,
			Rest: h.Rest, Endless: h.Endless, Site: h.Site, Ends: timeOf(h.Ends), SafeBy: timeOf(h.SafeBy),
			Times: h.Times, Queued: h.Queued,
		})
	}
	slices.SortStableFunc(out.Hosts, func(a, b planHostJSON) int {
		return cmp.Or(cmp.Compare(b.Rate, a.Rate), cmp.Compare(b.Open, a.Open))
	})
	return out
}

func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func (w *world) tellPlan(v pilot.View, changes []string, hosts int, asJSON bool) error {
	p := coursePlanOf(v)
	for _, c := range changes {
		other, err := v.If(c)
		if err != nil {
			return err
		}
		p.WhatIf = append(p.WhatIf, whatIfJSON{c, other.Forecasts})
	}
	if asJSON {
		return w.printJSON(p)
	}
	if len(p.Hosts) > hosts {
		p.Hosts = p.Hosts[:hosts]
	}
	_, err := w.stdout.Write([]byte(w.painted(p.text())))
	return err
}

// text is the plan for people.
func (p *coursePlan) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan of %s, made in %s\n", at(p.At.UnixMilli()), time.Duration(p.Took*float64(time.Second)).Round(10*time.Microsecond))
	fmt.Fprintf(&b, "%-9s %s\n", "workers", p.capacity())
	for _, f := range p.Forecasts {
		fmt.Fprintf(&b, "%-9s %s\n", "crawl", progress.Clean(forecastText(f, p.At)))
		if f.Tip != "" {
			fmt.Fprintf(&b, "%-9s %s\n", "", progress.Clean(f.Tip))
		}
	}
	if len(p.Forecasts) == 0 {
		b.WriteString("no crawl is running\n")
	}
	for _, x := range p.WhatIf {
		for i, f := range x.Forecasts {
			fmt.Fprintf(&b, "%-9s %s: %s\n", "what if", progress.Clean(x.Change), progress.Clean(difference(p.Forecasts[i], f)))
		}
	}
	if len(p.Hosts) == 0 {
		return b.String()
	}
	b.WriteString("\n")
	var rows [][]string
	for _, h := range p.Hosts {
		rows = append(rows, []string{h.Host, h.Crawl, rateText(h.Rate), rateText(h.Speed), progress.Count(h.Open), progress.Count(int64(h.Expected + 0.5)), whyText[h.Why]})
	}
	table(&b, "", []string{"HOST", "CRAWL", ">PLANNED", ">LATELY", ">OPEN", ">EXPECTED", "BOUND BY"}, rows)
	return b.String()
}

func (p *coursePlan) capacity() string {
	c := p.Capacity
	switch {
	case c.Workers == 0:
		return "none is at work"
	case c.Most == 0:
		return fmt.Sprintf("%s, %s; they could do much more", progress.Counted(int64(c.Workers), "worker"), rateText(c.Rate))
	}
	return fmt.Sprintf("%s, %s of some %s they could do; they are bound by their %s", progress.Counted(int64(c.Workers), "worker"), rateText(c.Rate), rateText(c.Most), boundOf(c.Bound))
}

// boundOf names what of the workers is used most: requests are bound by --node-rate,
// and bytes by --node-egress.
func boundOf(what string) string {
	switch what {
	case "requests":
		return "node-rate"
	case "egress":
		return "node-egress"
	}
	return cmp.Or(what, "connections")
}

var whyText = map[planning.Reason]string{
	planning.ByBudget: "its budget", planning.ByPool: "the budget it shares", planning.ByQueue: "what is known of it",
	planning.ByCapacity: "workers: others are worth more", planning.ByLater: "nothing yet: there is time later",
	planning.ByLoss: "it is gone", planning.ByDone: "nothing is left",
}

// forecastText is what will be saved of a crawl, in a line.
func forecastText(f pilot.Forecast, now time.Time) string {
	by := progress.Count(int64(f.By + 0.5))
	if !f.Endless {
		by += fmt.Sprintf(" of %s (%.0f %%)", totalText(f), 100*f.Share())
	}
	switch {
	case f.Until > 0:
		by += " saved by the deadline, " + deadlineText(time.UnixMilli(f.Until), now)
	case f.Done > 0:
		by += " saved, at this rate in " + span(f.Done)
	default:
		by += " saved"
	}
	if f.Endless {
		by += fmt.Sprintf("; %s are known, and no end in sight", progress.Count(f.Known))
	}
	by = f.Name + ": " + by
	if f.High-f.Low >= 1 {
		by += fmt.Sprintf("; likely %s to %s", progress.Count(int64(f.Low)), progress.Count(int64(f.High)))
	}
	if f.Bytes > 0 {
		by += ", " + progress.Bytes(int64(f.Bytes))
	}
	if f.Bound != "" {
		by += "; bound by " + boundText[f.Bound]
		if f.Host != "" && f.Bound != "workers" && f.Bound != "egress" && f.Bound != "store" {
			by += " of " + f.Host
		}
	}
	return by
}

// totalText is how much there is of a crawl: what is known, and what is estimated
// beyond.
func totalText(f pilot.Forecast) string {
	known := progress.Count(f.Known) + " known"
	if f.Total >= 1.02*float64(f.Known) {
		return fmt.Sprintf("some %s, %s", progress.Count(round(f.Total)), known)
	}
	return known
}

// round keeps two digits: an estimate is no more exact than that.
func round(x float64) int64 {
	if x < 100 {
		return int64(x + 0.5)
	}
	unit := math.Pow(10, math.Floor(math.Log10(x))-1)
	return int64(math.Round(x/unit) * unit)
}

var boundText = map[string]string{
	"workers": "the workers", "budget": "the budget", "pool": "the shared budget", "queue": "what is found",
	"blocked": "the block", "store": "the store", "egress": "what the workers may receive",
}

// span is a time in words of at most two units.
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// difference is what a change would make of a forecast.
func difference(is, would pilot.Forecast) string {
	more := would.By - is.By
	switch {
	case is.Until > 0 && more >= 0.5 || more <= -0.5:
		return fmt.Sprintf("%s: %s saved instead of %s (%+.0f)", would.Name, progress.Count(int64(would.By+0.5)), progress.Count(int64(is.By+0.5)), more)
	case is.Done > 0 && would.Done > 0 && would.Done < 0.95*is.Done, would.Done > 1.05*is.Done:
		return fmt.Sprintf("%s: what is known in %s instead of %s", would.Name, span(would.Done), span(is.Done))
	}
	return would.Name + ": nothing changes"
}
