package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor/api"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/progress"
)

const statusExamples = `  # is all well?
  salvor status && echo yes

  # what a monitor may want to read
  salvor status --json`

const statusExit = `  0   all is well
  1   an error inside salvor, or of the machine
  2   a mistake on the command line, or the key does not let it in
  10  something needs a person: the lines that begin with !
  12  the cluster does not answer`

func (w *world) statusCommand() *cobra.Command {
	d := new(dialing)
	cmd := &cobra.Command{
		Use:   "status [flags]",
		Short: "Say how a cluster is: who leads, what lags, what is stuck and why",
		Long: `Status says how a cluster is, as one of its coordinators sees it: who leads,
what lags, what is stuck and why. It needs no leader, unless the coordinator
that is asked was started while there was none: that one knows no keys yet.`,
		Example:     statusExamples,
		Annotations: map[string]string{"exit": statusExit},
		Args:        noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error { return w.status(ctx, c, d.json) })
		},
	}
	declare(cmd, d.groups("print it as JSON (docs/json.md)")...)
	return cmd
}

// sight is what one look at a cluster finds.
type sight struct {
	api.Status
	Crawls   []crawlJSON `json:"crawls"`
	Partial  string      `json:"crawls_unknown,omitempty"` // why the crawls could not be listed
	Well     bool        `json:"well"`
	Troubles []trouble   `json:"troubles"`
}

func (w *world) status(ctx context.Context, c *client.Cluster, asJSON bool) error {
	s, err := w.see(ctx, c)
	if err != nil {
		return err
	}
	if asJSON {
		err = w.printJSON(s)
	} else {
		_, err = w.stdout.Write([]byte(w.painted(s.text(s.now(w)))))
	}
	if err == nil && !s.Well {
		return ended{exitTrouble}
	}
	return err
}

// crawlsWithin bounds the wait for what only leaders know: a status must come
// when there are none.
const crawlsWithin = 5 * time.Second

func (w *world) see(ctx context.Context, c *client.Cluster) (*sight, error) {
	st, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	s := &sight{Status: st, Crawls: []crawlJSON{}}
	ctx, cancel := context.WithTimeout(ctx, crawlsWithin)
	defer cancel()
	if s.Crawls, err = listCrawls(ctx, c); err != nil {
		s.Crawls, s.Partial = []crawlJSON{}, err.Error()
	}
	s.Troubles = s.troubles(s.now(w))
	s.Well = len(s.Troubles) == 0
	return s, nil
}

// now is the time of the coordinator that answered: its clock is the one by
// which it heard of the others.
func (s *sight) now(w *world) time.Time {
	if s.At == 0 {
		return w.Now()
	}
	return time.UnixMilli(s.At)
}

// text is the status for people.
func (s *sight) text(now time.Time) string {
	var b strings.Builder
	verdict := "all is well"
	if n := len(s.Troubles); n > 0 {
		verdict = progress.Counted(int64(n), "trouble")
	}
	fmt.Fprintf(&b, "cluster %s: %s\n", s.Cluster.ID, verdict)
	for _, t := range s.Troubles {
		fmt.Fprintf(&b, "! %s: %s\n", progress.Clean(t.Subject), progress.Clean(t.Text))
		if t.Hint != "" {
			fmt.Fprintf(&b, "    %s\n", progress.Clean(t.Hint))
		}
	}
	fmt.Fprintf(&b, "\nlevel %d, %s, made %s, store %s\n", s.Cluster.Level, progress.Counted(int64(s.Cluster.Groups), "group"),
		at(s.Cluster.Created), firstOf(s.Cluster.Store, "the first node's directory"))
	s.nodesText(&b, now)
	s.groupsText(&b)
	s.workText(&b)
	s.crawlsText(&b, now)
	return b.String()
}

func (s *sight) nodesText(b *strings.Builder, now time.Time) {
	var rows [][]string
	for _, n := range s.Nodes {
		if n.Node.State == api.NodeRemoved {
			continue
		}
		rows = append(rows, []string{n.Node.Name, roles(n.Node.Roles), string(n.Node.State), readyText(n), heardText(n, now), fmt.Sprint(n.Node.Level), n.Node.Version})
	}
	b.WriteString("\n")
	table(b, "", []string{"NODE", "ROLES", "STATE", "READY", "HEARD", ">LEVEL", "VERSION"}, rows)
}

func roles(rs []api.Role) string {
	var out []string
	for _, r := range rs {
		out = append(out, string(r))
	}
	return strings.Join(out, "+")
}

func readyText(n api.NodeStatus) string {
	switch {
	case n.At == 0 || n.Silent != "":
		return "?"
	case n.Ready:
		return "yes"
	}
	return "no"
}

func heardText(n api.NodeStatus, now time.Time) string {
	if n.At == 0 {
		return "never"
	}
	return since(n.At, now) + " ago"
}

// groupsText has a row a group: who leads it, and how far the others are.
func (s *sight) groupsText(b *strings.Builder) {
	var rows [][]string
	for g := range s.Cluster.Groups {
		seen := s.group(g)
		leader, term, log := "none", "-", "-"
		if l := seen.leader; l != nil {
			leader, term, log = seen.by, fmt.Sprint(l.Term), progress.Bytes(l.LogBytes)
		}
		rows = append(rows, []string{fmt.Sprint(g), leader, term, fmt.Sprint(seen.voters()), dash(seen.lags()), log})
	}
	b.WriteString("\n")
	table(b, "", []string{">GROUP", "LEADER", ">TERM", ">VOTERS", "BEHIND", ">LOG"}, rows)
}

func (s *sight) workText(b *strings.Builder) {
	var rows [][]string
	for _, n := range s.Nodes {
		for _, k := range n.Work {
			rows = append(rows, []string{n.Node.Name, k.Name, k.State, rateText(k.Rate), progress.Count(k.Captures), progress.Count(k.Held), progress.Bytes(k.Spooled), dash(firstOf(k.Error, k.Why))})
		}
	}
	if len(rows) == 0 {
		return
	}
	b.WriteString("\n")
	table(b, "", []string{"WORKER", "CRAWL", "STATE", ">RATE", ">CAPTURES", ">HELD", ">SPOOLED", "WHY"}, rows)
}

func (s *sight) crawlsText(b *strings.Builder, now time.Time) {
	b.WriteString("\n")
	switch {
	case s.Partial != "":
		fmt.Fprintf(b, "the crawls are not known: %s\n", progress.Clean(s.Partial))
	case len(s.Crawls) == 0:
		b.WriteString("no crawls\n")
	default:
		crawlsTable(b, s.Crawls, now)
	}
}

// groupSight is one group as all nodes see it together.
type groupSight struct {
	leader *api.GroupStatus // nil: nobody says that it leads
	by     string           // the leader's name
	others []follower
	names  map[string]string // by node id
}

type follower struct {
	name string
	api.GroupStatus
}

// group puts together what nodes that were heard of lately say of a group. Of
// two that say they lead, the one of the higher term does.
func (s *sight) group(g int) groupSight {
	out := groupSight{names: map[string]string{}}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		out.names[n.Node.ID] = n.Node.Name
		if n.Silent != "" {
			continue
		}
		for j := range n.Groups {
			k := &n.Groups[j]
			switch {
			case k.Group != g:
			case k.State == "leader" && (out.leader == nil || k.Term > out.leader.Term):
				out.leader, out.by = k, n.Node.Name
			case k.State != "leader":
				out.others = append(out.others, follower{n.Node.Name, *k})
			}
		}
	}
	return out
}

// voters is how many the leader counts, or else whoever counts most.
func (g groupSight) voters() int {
	if g.leader != nil {
		return len(g.leader.Voters)
	}
	n := 0
	for _, f := range g.others {
		n = max(n, len(f.Voters))
	}
	return n
}

// lags names who is behind the leader, and by how much.
func (g groupSight) lags() string {
	if g.leader == nil {
		return ""
	}
	var out []string
	for _, f := range g.others {
		if n := g.behind(f); n > 0 {
			out = append(out, fmt.Sprintf("%s %s", f.name, progress.Count(n)))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (g groupSight) behind(f follower) int64 { return int64(g.leader.Commit) - int64(f.Applied) }

// rateText writes requests a second.
func rateText(r float64) string {
	switch {
	case r <= 0:
		return "0/s"
	case r < 9.95:
		return fmt.Sprintf("%.1f/s", r)
	}
	return progress.Count(int64(r+0.5)) + "/s"
}
