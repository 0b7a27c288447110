package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/progress"
	"salvor/coordinator/risk"
	"salvor/coordinator/sites"
	"salvor/storage/durable"
)

func (w *world) siteRiskCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "risk", Short: "Explain how likely sites are lost, and say what you know better", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(w.riskShowCommand(), w.riskExplainCommand(), w.riskAnnounceCommand(), w.riskMuteCommand(), w.riskLiftCommand())
	for _, k := range []risk.Kind{risk.Pin, risk.Floor, risk.Ceiling, risk.Threat} {
		cmd.AddCommand(w.riskSetCommand(k))
	}
	return cmd
}

// oneSite is a command that shows one site.
func (w *world) oneSite(use, short, long string, show func(sites.View) string) *cobra.Command {
	d := new(dialing)
	cmd := &cobra.Command{
		Use: use + " [flags] SITE", Short: short, Long: long, Args: oneName("site", "salvor site risk "+use+" SITE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				v, err := c.Site(ctx, args[0])
				if err != nil {
					return err
				}
				if d.json {
					return w.printJSON(v)
				}
				_, err = w.stdout.Write([]byte(show(v)))
				return err
			})
		},
	}
	declare(cmd, d.groups("print the site as JSON (docs/json.md)")...)
	return cmd
}

func (w *world) riskExplainCommand() *cobra.Command {
	return w.oneSite("explain", "Say how likely a site is lost, and why",
		"Explain says how likely SITE is lost and by when, what that rests on, what was\nnot counted and why, and what would change it (docs/risk.md).",
		func(v sites.View) string { return v.Risk.Text() })
}

func (w *world) riskShowCommand() *cobra.Command {
	return w.oneSite("show", "Show what is recorded of a site",
		"Show lists what people recorded of SITE, with the numbers by which it can be\nreplaced or withdrawn.", w.recordsText)
}

// recordsText is what people recorded of a site.
func (w *world) recordsText(v sites.View) string {
	var b strings.Builder
	s, x := v.Record, &v.Risk
	fmt.Fprintf(&b, "%s  %s  class %s  lost within a day %s, a week %s; safe by %s\n", progress.Clean(s.Name), x.State, x.Class, chance(x.Lost.Day), chance(x.Lost.Week), safeBy(x))
	if len(s.Hosts) > 0 {
		fmt.Fprintf(&b, "hosts  %s\n", progress.Clean(strings.Join(s.Hosts, " ")))
	}
	var rows [][]string
	for _, d := range x.Deadlines {
		rows = append(rows, []string{strconv.Itoa(int(d.ID)), "deadline", d.Label(), d.By, at(d.Recorded.UnixMilli()), d.Note})
	}
	for _, o := range s.InForce(w.Now()) {
		rows = append(rows, []string{strconv.Itoa(int(o.ID)), o.Kind.String(), overrideText(o), o.By, at(o.Recorded.UnixMilli()), o.Note})
	}
	if len(rows) == 0 {
		b.WriteString("nobody recorded anything of it\n")
	} else {
		table(&b, "", []string{">ID", "RECORD", "SAYS", "BY", "SINCE", "NOTE"}, rows)
	}
	for _, q := range x.Ask {
		fmt.Fprintf(&b, "? %s\n", progress.Clean(q))
	}
	return b.String()
}

func overrideText(o risk.Override) string {
	until := ""
	if !o.Until.IsZero() {
		until = " until " + at(o.Until.UnixMilli())
	}
	switch o.Kind {
	case risk.Mute:
		return strings.TrimSpace(o.Signal+" "+o.Subject) + " is not counted" + until
	case risk.Threat:
		return fmt.Sprintf("the base rate is %g times higher%s", o.Value, until)
	}
	return fmt.Sprintf("%s lost with %s%s", o.Clock, chance(o.Value), until)
}

var kindHelp = map[risk.Kind][3]string{
	risk.Pin:     {"Say how likely a site is lost, whatever the signals", "Pin says that SITE is lost with probability P, whatever the signals say.", "P"},
	risk.Floor:   {"Say how likely a site is lost at least", "Floor says that SITE is lost with probability P at least. It is the safe way to\nsay what you know: it never hides what probes see. It stays until it is lifted.", "P"},
	risk.Ceiling: {"Say how likely a site is lost at most", "Ceiling says that SITE is lost with probability P at most.", "P"},
	risk.Threat:  {"Say how many times likelier than usual a loss is", "Threat multiplies the base rate of SITE by FACTOR, 1 to 30: a war, a court, an\ninsolvency.", "FACTOR"},
}

func (w *world) riskSetCommand(k risk.Kind) *cobra.Command {
	d, o, clock, until, review := new(dialing), risk.Override{Kind: k}, "host", "", ""
	help := kindHelp[k]
	cmd := &cobra.Command{
		Use: fmt.Sprintf("%s [flags] SITE %s", k, help[2]), Short: help[0], Long: help[1] + "\nIt is a dated record, which says who and why; nothing is deleted.",
		Annotations: map[string]string{"exit": siteExit},
		Args:        namesOf(fmt.Sprintf("salvor site risk %s SITE %s", k, help[2]), "site", strings.ToLower(help[2])),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Value, err = strconv.ParseFloat(strings.TrimSuffix(args[1], "%"), 64); err != nil {
				return salvor.Errorf(salvor.Invalid, "%q is no number", args[1]).WithHint("write a probability such as 0.3 or 30%%, or the factor of a threat")
			}
			if strings.HasSuffix(args[1], "%") {
				o.Value /= 100
			}
			return w.override(cmd, d, args[0], &o, clock, until, review)
		},
	}
	options := []option{
		{name: "until", value: text(&until), usage: "by when it is lost, or until when this holds: `TIME` (default within 7 days)"},
		{name: "review", value: text(&review), usage: "look at it again after `TIME`"},
		{name: "note", value: text(&o.Note), usage: "why, in at most 500 bytes: `TEXT` (required)"},
		{name: "source", value: text(&o.Source), usage: "the `URL` that says so"},
	}
	if k != risk.Threat {
		options = append([]option{{name: "clock", value: text(&clock), usage: "what is lost: `CLOCK` is host, access or content (default host)"}}, options...)
	}
	declare(cmd, append([]optionGroup{{"Record", options}}, d.groups("print the site as JSON (docs/json.md)")...)...)
	return cmd
}

// override completes a record and makes it.
func (w *world) override(cmd *cobra.Command, d *dialing, site string, o *risk.Override, clock, until, review string) (err error) {
	if strings.TrimSpace(o.Note) == "" {
		return salvor.Errorf(salvor.Invalid, "no reason is given").WithHint("say with --note why you know better: the record outlives your memory")
	}
	if err = o.Clock.UnmarshalText([]byte(clock)); err != nil {
		return err
	}
	if o.Until, err = w.moment(until); err != nil {
		return err
	}
	if o.Review, err = w.moment(review); err != nil {
		return err
	}
	o.Until, o.Review = utc(o.Until), utc(o.Review)
	return w.recordSite(cmd, d, func(ctx context.Context, c *client.Cluster) (sites.View, error) { return c.SetOverride(ctx, site, *o) })
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

func (w *world) riskMuteCommand() *cobra.Command {
	d, o, until := new(dialing), risk.Override{Kind: risk.Mute}, ""
	cmd := &cobra.Command{
		Use: "mute [flags] SITE SIGNAL", Short: "Have a signal not counted",
		Long:        "Mute has SIGNAL of SITE not counted, as when its errors are known to be ours.",
		Annotations: map[string]string{"exit": siteExit},
		Args:        namesOf("salvor site risk mute SITE SIGNAL", "site", "signal"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, ok := risk.Default().Signal(args[1]); !ok {
				return salvor.Errorf(salvor.Invalid, "there is no signal %q", args[1]).WithHint("docs/risk.md lists them; did you mean %s?", nearSignal(args[1]))
			}
			o.Signal = args[1]
			return w.override(cmd, d, args[0], &o, "host", until, "")
		},
	}
	declare(cmd, append([]optionGroup{{"Record", []option{
		{name: "subject", value: text(&o.Subject), usage: "only of `WHICH`: a host, a store"},
		{name: "until", value: text(&until), usage: "until `TIME` (default until it is lifted)"},
		{name: "note", value: text(&o.Note), usage: "why, in at most 500 bytes: `TEXT` (required)"},
	}}}, d.groups("print the site as JSON (docs/json.md)")...)...)
	return cmd
}

func (w *world) riskLiftCommand() *cobra.Command {
	return w.withdrawCommand("salvor site risk lift", "Withdraw a pin, floor, ceiling, threat or mute", "Lift withdraws record ID of SITE. The record stays, and says who withdrew it.",
		func(ctx context.Context, c *client.Cluster, site string, r risk.Record) (sites.View, error) {
			return c.SetOverride(ctx, site, risk.Override{Withdrawn: true, Record: r})
		})
}

func (w *world) riskAnnounceCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "announce [flags] FEED", Short: "Read a feed of announced shutdowns",
		Long: `Announce reads a feed of announced shutdowns, a file or an http(s) URL: JSON
Feed, RSS or Atom. What it says are candidates: read the source of each, and
record what is true with the command that is printed beside it. Nothing is
recorded by itself.`,
		Example: "  salvor site risk announce https://deathwatch.example.org/feed.json",
		Args:    oneName("feed", "salvor site risk announce FILE-OR-URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := readFeed(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			list, err := risk.ParseFeed(b, nil)
			if err != nil && len(list) == 0 {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return w.listCandidates(list, asJSON)
		},
	}
	declare(cmd, optionGroup{"Output", []option{{name: "json", value: truth(&asJSON), noArg: "true", usage: "print them as JSON (docs/json.md)"}}})
	return cmd
}

// feedWithin bounds the reading of a feed.
const feedWithin = 30 * time.Second

func readFeed(ctx context.Context, from string) ([]byte, error) {
	if !strings.HasPrefix(from, "http://") && !strings.HasPrefix(from, "https://") {
		b, err := os.ReadFile(from)
		return b, durable.Error(err, "read", from)
	}
	ctx, cancel := context.WithTimeout(ctx, feedWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "%q is no URL: %w", from, err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, salvor.Errorf(salvor.Unavailable, "the feed cannot be read: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, salvor.Errorf(salvor.Unavailable, "%s answers with HTTP status %d", from, res.StatusCode)
	}
	return io.ReadAll(io.LimitReader(res.Body, risk.MaxFeed))
}

func (w *world) listCandidates(list []risk.Candidate, asJSON bool) error {
	if asJSON {
		return w.printJSON(append([]risk.Candidate{}, list...))
	}
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, "%s\n", progress.Clean(c.Title))
		if c.Source != "" {
			fmt.Fprintf(&b, "  %s\n", progress.Clean(c.Source))
		}
		for _, s := range c.Sites {
			for _, d := range c.Dates {
				fmt.Fprintf(&b, "  salvor site deadline set %s %q --what %s", progress.Clean(s), d.Format(time.RFC3339), c.What)
				if c.Source != "" {
					fmt.Fprintf(&b, " --source %s", quote(progress.Clean(c.Source)))
				}
				b.WriteString("\n")
			}
		}
		if len(c.Sites) == 0 || len(c.Dates) == 0 {
			b.WriteString("  it names no site, or no date\n")
		}
	}
	if len(list) == 0 {
		b.WriteString("the feed announces nothing\n")
	}
	_, err := w.stdout.Write([]byte(b.String()))
	return err
}
