package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/client"
	"salvor/coordinator/risk"
	"salvor/coordinator/sites"
)

func (w *world) siteCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "site", Short: "Record and explain what becomes of sites", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(w.siteListCommand(), w.siteDefineCommand(), w.siteObserveCommand(), w.siteProbeCommand(), w.siteDeadlineCommand(), w.siteRiskCommand())
	return cmd
}

const siteExit = `  0   it is so
  1   an error inside salvor, or of the machine
  2   a mistake on the command line, or the key does not let it in
  11  somebody else changed it at the same moment
  12  the cluster does not answer`

func (w *world) siteListCommand() *cobra.Command {
	d := new(dialing)
	cmd := &cobra.Command{
		Use: "list [flags]", Short: "List the sites that something is known of",
		Long: "List shows the sites that somebody recorded something of, or that were probed:\ntheir state, how likely their pages are lost, and when to be done with them.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				all, err := c.Sites(ctx)
				if err != nil {
					return err
				}
				return w.listSites(all, d.json)
			})
		},
	}
	declare(cmd, d.groups("print them as JSON (docs/json.md)")...)
	return cmd
}

func (w *world) listSites(all []sites.View, asJSON bool) error {
	if asJSON {
		return w.printJSON(append([]sites.View{}, all...))
	}
	var rows [][]string
	for _, v := range all {
		ends, passed := "-", false
		for i, x := range v.Risk.Deadlines {
			if i == 0 || passed {
				ends, passed = x.What.String()+" "+deadlineText(x.At, w.Now()), x.Passed
			}
		}
		rows = append(rows, []string{v.Risk.Site, v.Risk.State.String(), chance(v.Risk.Lost.Day), chance(v.Risk.Lost.Week), safeBy(&v.Risk), ends})
	}
	var b strings.Builder
	if len(rows) == 0 {
		b.WriteString("nothing is known of any site\n")
	} else {
		table(&b, "", []string{"SITE", "STATE", ">LOST IN 24 H", ">IN 7 D", "SAFE BY", "DEADLINE"}, rows)
	}
	_, err := w.stdout.Write([]byte(w.painted(b.String())))
	return err
}

func chance(p float64) string {
	if p > 0 && p < .001 {
		return "< 0.1 %"
	}
	return fmt.Sprintf("%.1f %%", 100*p)
}

func safeBy(x *risk.Explanation) string {
	switch {
	case x.SafeNow:
		return "now"
	case x.SafeBy.IsZero():
		return "-"
	}
	return at(x.SafeBy.UnixMilli())
}

func (w *world) siteDefineCommand() *cobra.Command {
	d, s, since := new(dialing), risk.Site{}, ""
	cmd := &cobra.Command{
		Use: "define [flags] SITE", Short: "Say what a site is: its class, its hosts, since when",
		Long: `Define says what SITE is. Without --host it is a registered domain and all
below it; with --host it is those hosts, and SITE a name for them. The class
gives the base rate of loss: institution, established, forum, ugc or young
(docs/risk.md).`,
		Example:     "  salvor site define example.org --class ugc\n  salvor site define oldforum --host forum.example.org --host img.example.net",
		Annotations: map[string]string{"exit": siteExit},
		Args:        oneName("site", "salvor site define SITE"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			s.Name = args[0]
			if s.Since, err = w.moment(since); err != nil {
				return err
			}
			return w.recordSite(cmd, d, func(ctx context.Context, c *client.Cluster) (sites.View, error) { return c.DefineSite(ctx, s) })
		},
	}
	declare(cmd, append([]optionGroup{{"Site", []option{
		{name: "class", value: text(&s.Class), usage: "what kind of site it is, a `CLASS` of docs/risk.md (default forum)"},
		{name: "host", value: many(&s.Hosts, func(h string) (string, error) { return hostArg(h), nil }), usage: "a `HOST` of it (repeatable)"},
		{name: "since", value: text(&since), usage: "`DATE` since when it is there"},
	}}}, d.groups("print the site as JSON (docs/json.md)")...)...)
	return cmd
}

func (w *world) siteObserveCommand() *cobra.Command {
	d, o := new(dialing), risk.Observation{}
	cmd := &cobra.Command{
		Use: "observe [flags] SITE SIGNAL", Short: "Record what you saw of a site",
		Long: `Observe records that you saw SIGNAL at SITE, as a probe would: banner, news,
login-wall, app-removed and the others of docs/risk.md. It fades like any other
observation. A date that was announced is a deadline: salvor site deadline set.`,
		Example:     `  salvor site observe example.org news --detail "its investor has withdrawn"`,
		Annotations: map[string]string{"exit": siteExit},
		Args:        namesOf("salvor site observe SITE SIGNAL", "site", "signal"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, ok := risk.Default().Signal(args[1]); !ok {
				return salvor.Errorf(salvor.Invalid, "there is no signal %q", args[1]).WithHint("docs/risk.md lists them; did you mean %s?", nearSignal(args[1]))
			}
			o.Site, o.Signal, o.At = args[0], args[1], w.Now().UTC().Truncate(time.Second)
			o.Vantage.Node = "person" // the server knows who
			return w.recordSite(cmd, d, func(ctx context.Context, c *client.Cluster) (sites.View, error) {
				return c.Observe(ctx, o.Site, []risk.Observation{o})
			})
		},
	}
	declare(cmd, append([]optionGroup{{"Observation", []option{
		{name: "absent", value: truth(&o.Absent), noArg: "true", usage: "you looked, and it is not there"},
		{name: "subject", value: text(&o.Subject), usage: "which of several: a host, a store, a paper: `WHICH`"},
		{name: "detail", value: text(&o.Detail), usage: "what you saw, for people: `TEXT` of at most 160 bytes"},
	}}}, d.groups("print the site as JSON (docs/json.md)")...)...)
	return cmd
}

func (w *world) siteProbeCommand() *cobra.Command {
	d := new(dialing)
	cmd := &cobra.Command{
		Use: "probe [flags] SITE", Short: "Look at a site now",
		Long: `Probe has a coordinator look at SITE now, with all probes that it is run with
(salvor server --probe), shows what was seen, and keeps it.`,
		Annotations: map[string]string{"exit": siteExit},
		Args:        oneName("site", "salvor site probe SITE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.once(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				p, err := c.ProbeSite(ctx, args[0])
				if err != nil {
					return err
				}
				if d.json {
					return w.printJSON(p)
				}
				return w.tellProbed(p)
			})
		},
	}
	declare(cmd, d.groups("print it as JSON (docs/json.md)")...)
	return cmd
}

func (w *world) tellProbed(p client.Probed) error {
	var b strings.Builder
	var rows [][]string
	for _, o := range p.Seen {
		if !o.Absent {
			rows = append(rows, []string{o.Signal, o.Subject, o.Vantage.Node, o.Detail})
		}
	}
	table(&b, "", []string{"SEEN", "OF", "BY", "DETAIL"}, rows)
	b.WriteString("\n" + p.Risk.Text())
	_, err := w.stdout.Write([]byte(w.painted(b.String())))
	return err
}

func nearSignal(name string) string {
	best, d := "", 1000
	for _, s := range risk.Default().Signals {
		if x := distance(name, s.ID); x < d {
			best, d = s.ID, x
		}
	}
	return best
}

// moment reads an absolute time or a span from now on; "" is the zero time.
func (w *world) moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	at, _, err := readDeadline(s, w.Now())
	return at, err
}

// recordSite makes a record and shows what the site's risk is by it.
func (w *world) recordSite(cmd *cobra.Command, d *dialing, f func(context.Context, *client.Cluster) (sites.View, error)) error {
	return w.once(cmd, d, func(ctx context.Context, c *client.Cluster) error {
		v, err := f(ctx, c)
		if err != nil {
			return err
		}
		if d.json {
			return w.printJSON(v)
		}
		_, err = w.stdout.Write([]byte(v.Risk.Text()))
		return err
	})
}
