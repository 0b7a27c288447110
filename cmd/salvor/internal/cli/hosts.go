package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/api/merge"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/value"
	"salvor/crawler/canon"
)

func (w *world) hostCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "host", Short: "Say which hosts are one server, and share a budget", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(w.hostMergeCommand(), w.hostSplitCommand(), w.hostGroupsCommand())
	return cmd
}

// mergeLevel is the feature level from which on hosts can be merged.
const mergeLevel = 2

const mergeExamples = `  # names of one server, which may get 5 requests a second in all
  salvor host merge cdn img1.example.org img2.example.org --ceiling 5

  # one more
  salvor host merge cdn img1.example.org img2.example.org img3.example.org`

func (w *world) hostMergeCommand() *cobra.Command {
	d := new(dialing)
	var ceiling float64
	cmd := &cobra.Command{
		Use: "merge [flags] NAME HOST...", Short: "Have hosts share one budget",
		Long: `Merge has hosts share one budget under a NAME: their requests are counted
together, and what one of them answers slows all. Hosts that had that budget and
are not named leave it, and keep its limits. Who joins brings its limits if they
are stricter. It returns when every group of the cluster has it, or names those
that do not.`,
		Example:     mergeExamples,
		Annotations: map[string]string{"exit": setExit},
		Args:        someHosts,
		RunE: func(cmd *cobra.Command, args []string) error {
			g := merge.Group{Name: args[0], Made: w.Now().UnixMilli(), Ceiling: salvor.PerSecond(ceiling)}
			for _, a := range args[1:] {
				u, err := canon.ParseSeed(a)
				if err != nil {
					return salvor.Errorf(salvor.Invalid, "%q is no host: %w", a, err).WithHint("write it as in img.example.org")
				}
				g.Hosts = append(g.Hosts, u.Host)
			}
			if err := g.Check(); err != nil {
				return err
			}
			return w.mergeHosts(cmd, d, g)
		},
	}
	declare(cmd, append([]optionGroup{{"Budget", []option{
		{name: "ceiling", value: one(&ceiling, someRate), usage: "let all of them together have at most `RATE` requests a second, as in 5 or 30/min (default that of before, else the crawl's)"},
	}}}, d.groups("print the group as JSON (docs/json.md)")...)...)
	return cmd
}

func someRate(s string) (float64, error) {
	r, err := value.Rate(s)
	if err == nil && r == 0 {
		return 0, salvor.Errorf(salvor.Invalid, "a ceiling of 0 is none").WithHint("write for example 5 or 30/min")
	}
	return r, err
}

func someHosts(_ *cobra.Command, args []string) error {
	if len(args) < 3 {
		return salvor.Errorf(salvor.Invalid, "a name and two hosts or more are named, and %d words were", len(args)).
			WithHint("salvor host merge NAME HOST HOST...")
	}
	return nil
}

func (w *world) mergeHosts(cmd *cobra.Command, d *dialing, g merge.Group) error {
	return w.once(cmd, d, func(ctx context.Context, c *client.Cluster) error {
		if c.Settings.Level < mergeLevel { // to try again would not help
			return salvor.Errorf(salvor.Unavailable, "merged hosts need feature level %d, the cluster runs at %d", mergeLevel, c.Settings.Level).
				WithHint("update every coordinator; the level rises by itself then")
		}
		changed := false
		err := patiently(ctx, time.Now().Add(patience), func() (err error) {
			now := false
			g, now, err = c.MergeHosts(ctx, g)
			changed = changed || now
			return err
		})
		if err != nil {
			return err
		}
		m, err := c.Merged(ctx, g.Name)
		if err != nil {
			return err
		}
		if d.json {
			return w.printJSON(groupOf(m))
		}
		word := "share"
		if !changed {
			word = "shared already"
		}
		_, err = fmt.Fprintf(w.stderr, "%d hosts %s the budget %s\n", len(g.Hosts), word, g.Name)
		return err
	})
}

func (w *world) hostSplitCommand() *cobra.Command {
	d := new(dialing)
	cmd := &cobra.Command{
		Use: "split [flags] NAME", Short: "Give merged hosts budgets of their own again",
		Long: `Split takes a budget group apart: each of its hosts has a budget of its own, and
begins with the limits of the group. It returns when every group of the cluster
has it, or names those that do not.`,
		Annotations:       map[string]string{"exit": setExit},
		Args:              oneName("budget group", "salvor host split NAME; salvor host groups has the names"),
		ValidArgsFunction: w.completeNames(d, groupNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.once(cmd, d, func(ctx context.Context, c *client.Cluster) error { return w.splitHosts(ctx, c, args[0], d.json) })
		},
	}
	declare(cmd, d.groups("print the name as JSON (docs/json.md)")...)
	return cmd
}

func (w *world) splitHosts(ctx context.Context, c *client.Cluster, name string, asJSON bool) error {
	tries := 0
	err := patiently(ctx, time.Now().Add(patience), func() error {
		err := c.SplitHosts(ctx, name)
		if tries++; tries > 1 && salvor.ClassOf(err) == salvor.NotFound { // the try before did it
			return nil
		}
		return err
	})
	if salvor.ClassOf(err) == salvor.NotFound {
		return salvor.Errorf(salvor.NotFound, "no hosts are merged as %q", name).WithHint("see: salvor host groups")
	}
	if err != nil {
		return err
	}
	if _, err := c.Merged(ctx, name); err != nil {
		return err
	}
	if asJSON {
		return w.printJSON(map[string]any{"name": name, "hosts": []string{}})
	}
	_, err = fmt.Fprintf(w.stderr, "the hosts of %s have budgets of their own\n", name)
	return err
}

func groupNames(ctx context.Context, c *client.Cluster) (names []string, err error) {
	all, err := c.HostGroups(ctx)
	for _, m := range all {
		names = append(names, fmt.Sprintf("%s\t%d hosts", m.Name, len(m.Hosts)))
	}
	return names, err
}
