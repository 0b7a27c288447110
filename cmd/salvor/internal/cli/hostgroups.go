package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/api/route"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/progress"
)

// groupJSON is a budget group of several hosts, as the contract has it.
type groupJSON struct {
	Name    string     `json:"name"`
	Hosts   []string   `json:"hosts"`
	Rate    float64    `json:"rate_limit"` // of all together now; 0 unlimited
	Ceiling float64    `json:"ceiling"`    // what it may grow to; 0 unlimited
	Blocked time.Time  `json:"blocked_until,omitzero"`
	Note    string     `json:"note,omitempty"`
	Parts   []partJSON `json:"groups"`
}

// partJSON is what a group of the cluster has of it.
type partJSON struct {
	Group int      `json:"group"`
	Hosts []string `json:"hosts"`
	Share float64  `json:"share"` // requests a second that it may book; 0 all of them
	Open  int64    `json:"open"`
	Lacks string   `json:"lacks,omitempty"`
}

func groupOf(m route.Merged) groupJSON {
	out := groupJSON{Name: m.Name, Hosts: append([]string{}, m.Hosts...), Parts: []partJSON{}}
	rate, ceiling := salvor.Unlimited, salvor.Unlimited
	if m.Ceiling > 0 {
		ceiling = m.Ceiling
	}
	for _, p := range m.Parts {
		out.Parts = append(out.Parts, partJSON{Group: p.Group, Hosts: append([]string{}, p.Hosts...), Share: p.Share.PerSecond(), Open: p.Open, Lacks: p.Lacks})
		if len(p.Hosts) == 0 {
			continue
		}
		if !m.Wanted {
			out.Hosts = append(out.Hosts, p.Hosts...)
		}
		if out.Note == "" || p.Rate < rate {
			out.Note = p.Note
		}
		rate, ceiling = min(rate, p.Rate), min(ceiling, p.Ceiling)
		if b := time.UnixMilli(p.Blocked).UTC(); p.Blocked > 0 && b.After(out.Blocked) {
			out.Blocked, out.Note = b, p.Note
		}
	}
	slices.Sort(out.Hosts)
	out.Rate, out.Ceiling = perSecond(min(rate, ceiling)), perSecond(ceiling)
	return out
}

func (w *world) hostGroupsCommand() *cobra.Command {
	d := new(dialing)
	cmd := &cobra.Command{
		Use: "groups [flags]", Short: "List the hosts that share a budget", Args: noArgs,
		Long: `Groups lists the budgets that several hosts share, what each may get now, and
how it is divided among the groups of the cluster that hold its hosts.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				all, err := c.HostGroups(ctx)
				if err != nil {
					return err
				}
				return w.tellGroups(all, d.json)
			})
		},
	}
	declare(cmd, d.groups("print a JSON array (docs/json.md)")...)
	return cmd
}

func (w *world) tellGroups(all []route.Merged, asJSON bool) error {
	groups := []groupJSON{}
	var rows [][]string
	for _, m := range all {
		g := groupOf(m)
		groups = append(groups, g)
		rows = append(rows, []string{g.Name, fmt.Sprint(len(g.Hosts)), limitText(g.Rate), limitText(g.Ceiling), dash(g.shares()), dash(g.why(m, w.Now()))})
	}
	if asJSON {
		return w.printJSON(groups)
	}
	var b strings.Builder
	table(&b, "", []string{"BUDGET", ">HOSTS", ">RATE", ">CEILING", "SHARES", "NOTE"}, rows)
	for i, g := range groups {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s: %s\n", g.Name, progress.Clean(strings.Join(g.Hosts, " ")))
	}
	_, err := w.stdout.Write([]byte(b.String()))
	return err
}

// shares are those of the cluster's groups.
func (g *groupJSON) shares() string {
	var out []string
	for _, p := range g.Parts {
		share := "all"
		if p.Share > 0 {
			share = fmt.Sprintf("%.3g/s", p.Share)
		}
		if len(p.Hosts) > 0 {
			out = append(out, fmt.Sprintf("group %d %s", p.Group, share))
		}
	}
	return strings.Join(out, ", ")
}

// why says what holds it back, and where it is not as it is wanted.
func (g *groupJSON) why(m route.Merged, now time.Time) string {
	var out []string
	if !m.Wanted {
		out = append(out, "it is being split")
	} else if lacks := m.Lacks(); lacks != "" {
		out = append(out, "not everywhere yet: "+lacks)
	}
	if g.Blocked.After(now) && !strings.Contains(g.Note, "no request before") {
		out = append(out, fmt.Sprintf("nothing until %s", g.Blocked.Format("15:04:05Z")))
	}
	if g.Note != "" {
		out = append(out, g.Note)
	}
	return strings.Join(out, "; ")
}
