package cli

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/client"
)

const createExamples = `  # everything on one host
  salvor crawl create example https://example.org/

  # a dying forum: what can be had until the plug is pulled
  salvor crawl create forum --deadline "2026-12-01 18:00 +01:00" \
      --exclude-set forum https://forum.example/

  # prepare it now, let it go later
  salvor crawl create pages --scope page --seeds urls.txt --paused
  salvor crawl resume pages`

const createExit = `  0   it is there, with all its seeds
  1   an error inside salvor, or of the machine
  2   a mistake on the command line or in a file it names, or the key does not
      let it in
  11  another crawl has the name
  12  the cluster does not answer: the same command completes it`

// creating is what one command line says of a new crawl.
type creating struct {
	asked
	dialing
	paused bool
}

func (w *world) crawlCreateCommand() *cobra.Command {
	a := &creating{asked: asked{settings: defaults()}}
	cmd := &cobra.Command{
		Use:   "create [flags] NAME URL...",
		Short: "Make a crawl and let it run",
		Long: `Create makes a crawl of the given URLs and lets it run on all workers of the
cluster. The name identifies it: the same command again completes what a failure
left half-way, and changes nothing when it is done.`,
		Example:     createExamples,
		Annotations: map[string]string{"exit": createExit},
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.config != "" {
				if err := configure(cmd.Flags(), "crawl create", a.config); err != nil {
					return configError(err)
				}
			}
			p, err := w.planCrawl(cmd, a, args)
			if err != nil {
				return err
			}
			return w.onCluster(cmd, &a.dialing, func(ctx context.Context, c *client.Cluster) error {
				return w.createCrawl(ctx, c, a, p)
			})
		},
	}
	declare(cmd, a.groups()...)
	hideSecrets(cmd)
	completions(cmd)
	return cmd
}

// groups are the flags of save that mean something for a crawl of many
// machines, and those of its own.
func (a *creating) groups() []optionGroup {
	own := optionGroup{"Crawl", []option{
		{name: "paused", value: truth(&a.paused), noArg: "true", usage: "leave it paused, until salvor crawl resume"},
		{name: "config", value: filled(&a.config, "name a file"), usage: "read settings from `FILE`: YAML, the long names of these flags; flags given count more"},
	}}
	out := []optionGroup{own, a.scopeGroup(), a.valueGroup(), a.limitGroup(), a.mannersGroup(),
		without(a.networkGroup(), "bind-address"), without(a.recordGroup(), "name", "spool-max")}
	for _, g := range out {
		for i := range g.options {
			if u, ok := clusterUsage[g.options[i].name]; ok {
				g.options[i].usage = u
			}
		}
	}
	return append(out, a.dialing.groups("print the crawl as JSON (docs/json.md)")...)
}

// clusterUsage is what some flags of save mean where there are many workers.
var clusterUsage = map[string]string{
	"connections": "at most `N` connections of a worker, fewer where the node allows fewer (default 64)",
	"per-origin":  "at most `N` connections of a worker to an origin (default 6)",
	"limit-rate":  "receive at most `B` bytes per second on a worker, for example 2MB",
	"max-rate":    "at most `R` requests per second to an origin, of all workers together (default 20; starts at 2 and grows while the server stays well; 0 lifts the ceiling). When given, Crawl-delay is not obeyed",
	"deadline":    "end at `WHEN`: a time with its zone (\"2026-12-01 18:00 +01:00\", RFC 3339) or a duration (18h, 36h30m, 2d) that becomes absolute when the crawl is made",
}

func without(g optionGroup, names ...string) optionGroup {
	g.options = slices.DeleteFunc(g.options, func(o option) bool { return slices.Contains(names, o.name) })
	return g
}

// secretFlags would put a secret into the replicated log.
var secretFlags = []string{"header", "cookies", "proxy"}

// hideSecrets keeps flags known, to say why they are refused.
func hideSecrets(cmd *cobra.Command) {
	for _, name := range secretFlags {
		cmd.Flags().Lookup(name).Hidden = true
	}
}

var crawlName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,59}$`)

// planCrawl checks all that can be checked without a cluster.
func (w *world) planCrawl(cmd *cobra.Command, a *creating, args []string) (*plan, error) {
	if len(args) == 0 {
		return nil, salvor.Errorf(salvor.Invalid, "the crawl has no name").WithHint("salvor crawl create NAME URL...")
	}
	name := args[0]
	switch {
	case strings.Contains(name, "://"):
		return nil, salvor.Errorf(salvor.Invalid, "the crawl has no name: %s is a URL", name).WithHint("salvor crawl create NAME %s", quote(name))
	case !crawlName.MatchString(name):
		return nil, salvor.Errorf(salvor.Invalid, "%q is no name of a crawl", name).WithHint("use letters, digits, - and _, at most 60, and begin with a letter or a digit")
	}
	for _, f := range secretFlags {
		if cmd.Flags().Changed(f) {
			return nil, salvor.Errorf(salvor.Invalid, "a cluster's crawl takes no --%s yet: what it holds may be secret, and settings of crawls lie in the log of every coordinator", f).
				WithHint("leave it out, or use salvor save, which keeps it on one machine")
		}
	}
	a.note(cmd.Flags(), args[1:])
	a.settings.Name = name
	if err := w.fill(&a.asked); err != nil {
		return nil, err
	}
	now := w.Now()
	seeds, err := w.seeds(&a.asked, now)
	if err != nil {
		return nil, err
	}
	if len(seeds) == 0 && len(a.gone) == 0 {
		return nil, salvor.Errorf(salvor.Invalid, "no URL to save").WithHint("name one: salvor crawl create %s https://example.org/ (or a file of them with --seeds)", name)
	}
	p, err := w.makePlan(&a.asked, nil, name, seeds, now)
	if err != nil {
		return nil, err
	}
	return p, scopeMakesSense(p)
}

// scopeMakesSense refuses rules that keep every seed out.
func scopeMakesSense(p *plan) error {
	out, err := seedsOut(p, nil)
	if err != nil || len(out) == 0 {
		return err
	}
	for _, s := range p.seeds {
		rule, is := out[s.URL]
		if is && len(out) < len(p.seeds) {
			p.notes = append(p.notes, fmt.Sprintf("seed %s is kept out: %s", s.URL, rule))
		} else if is {
			return salvor.Errorf(salvor.Invalid, "every seed is kept out; %s by %s", s.URL, rule).WithHint("leave that rule out, or write it so that a seed gets through")
		}
	}
	return nil
}
