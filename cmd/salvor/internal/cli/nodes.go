package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/client"
)

func (w *world) nodeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "node", Short: "Look after the machines of a cluster", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(w.nodeListCommand(), w.nodeDrainCommand(), w.nodeRemoveCommand())
	return cmd
}

// member is a row of the table of nodes.
type member struct {
	api.Node
	version uint64 // of the row
}

// members are all nodes ever, by name; those that were removed last.
func members(ctx context.Context, c *client.Cluster) ([]member, error) {
	rows, err := c.Registry.Records(ctx, api.TableNodes)
	if err != nil {
		return nil, err
	}
	var out []member
	for _, r := range rows {
		m := member{version: r.Version}
		if err := json.Unmarshal(r.Value, &m.Node); err != nil {
			return nil, salvor.Errorf(salvor.Internal, "the record of node %s cannot be read: %w", r.Key, err)
		}
		out = append(out, m)
	}
	slices.SortStableFunc(out, func(a, b member) int {
		if x, y := a.State == api.NodeRemoved, b.State == api.NodeRemoved; x != y {
			return map[bool]int{true: 1, false: -1}[x]
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out, nil
}

// findMember is the node of a name or an id. A name that a removed node had may
// be another's now.
func findMember(all []member, name string) (member, error) {
	var found []member
	for _, m := range all {
		switch {
		case m.ID == name:
			return m, nil
		case m.Name == name && (len(found) == 0 || m.State != api.NodeRemoved):
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
		return member{}, salvor.Errorf(salvor.NotFound, "there is no node %q", name).WithHint("see: salvor node list")
	case 1:
		return found[0], nil
	}
	return member{}, salvor.Errorf(salvor.Invalid, "%d nodes are called %q", len(found), name).WithHint("give the id of one: %s or %s", found[0].ID, found[1].ID)
}

func nodeNames(ctx context.Context, c *client.Cluster) (names []string, err error) {
	all, err := members(ctx, c)
	for _, m := range all {
		if m.State != api.NodeRemoved {
			names = append(names, fmt.Sprintf("%s\t%s, %s", m.Name, roles(m.Roles), m.State))
		}
	}
	return names, err
}

func (w *world) nodeListCommand() *cobra.Command {
	d, removed := new(dialing), false
	cmd := &cobra.Command{
		Use: "list [flags]", Short: "List the nodes", Args: noArgs,
		Long: "List lists the nodes with their addresses. How they are: salvor status.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				all, err := members(ctx, c)
				if err != nil {
					return err
				}
				if !removed {
					all = slices.DeleteFunc(all, func(m member) bool { return m.State == api.NodeRemoved })
				}
				return w.tellNodes(all, d.json)
			})
		},
	}
	declare(cmd, append([]optionGroup{{"What to list", []option{
		{name: "removed", value: truth(&removed), noArg: "true", usage: "those too that were removed"},
	}}}, d.groups("print a JSON array (docs/json.md)")...)...)
	return cmd
}

func (w *world) tellNodes(all []member, asJSON bool) error {
	if asJSON {
		nodes := []api.Node{}
		for _, m := range all {
			nodes = append(nodes, m.Node)
		}
		return w.printJSON(nodes)
	}
	var rows [][]string
	for _, m := range all {
		rows = append(rows, []string{m.Name, m.ID, roles(m.Roles), string(m.State), dash(m.Address), dash(m.Host), fmt.Sprint(m.Level), m.Version, at(m.Joined)})
	}
	var b strings.Builder
	table(&b, "", []string{"NODE", "ID", "ROLES", "STATE", "ADDRESS", "HOST", ">LEVEL", "VERSION", "JOINED"}, rows)
	_, err := w.stdout.Write([]byte(b.String()))
	return err
}

func (w *world) nodeDrainCommand() *cobra.Command {
	d, undo := new(dialing), false
	cmd := &cobra.Command{
		Use: "drain [flags] NAME", Short: "Let a node finish its work and take no more",
		Long: `Drain has a node take no new work: its worker finishes and stores what it has,
and its coordinator hands over what it leads where another can. It stays a
member and votes, until it is removed, or drained no more with --undo.`,
		Annotations:       map[string]string{"exit": nodeExit},
		Args:              oneName("node", "salvor node drain NAME"),
		ValidArgsFunction: w.completeNames(d, nodeNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			to := api.NodeDraining
			if undo {
				to = api.NodeActive
			}
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error { return w.drain(ctx, c, args[0], to, d.json) })
		},
	}
	declare(cmd, append([]optionGroup{{"Draining", []option{
		{name: "undo", value: truth(&undo), noArg: "true", usage: "let it work again"},
	}}}, d.groups("print the node as JSON (docs/json.md)")...)...)
	return cmd
}

const nodeExit = `  0   it is so
  1   an error inside salvor, or of the machine
  2   a mistake on the command line, or the key does not let it in
  11  it was changed by somebody else at the same moment, or it would do harm
  12  the cluster does not answer`

func (w *world) drain(ctx context.Context, c *client.Cluster, name string, to api.NodeState, asJSON bool) error {
	m, changed, err := setMember(ctx, c, name, to, nil)
	if err != nil {
		return err
	}
	text := map[api.NodeState]string{
		api.NodeDraining: "it takes no new work and finishes what it has; salvor status tells when it is done",
		api.NodeActive:   "it takes work again",
	}[to]
	return w.tellMember(m, changed, text, asJSON)
}

func (w *world) tellMember(m member, changed bool, text string, asJSON bool) error {
	if asJSON {
		return w.printJSON(m.Node)
	}
	word := "is"
	if !changed {
		word = "was already"
	}
	_, err := fmt.Fprintf(w.stderr, "node %s %s %s: %s\n", m.Name, word, m.State, text)
	return err
}

// setMember changes the state of a node in the place of the one it was seen in.
// may says whether that is permitted; nil permits.
func setMember(ctx context.Context, c *client.Cluster, name string, to api.NodeState, may func([]member, member) error) (m member, changed bool, err error) {
	for range turnTries {
		all, err := members(ctx, c)
		if err != nil {
			return m, false, err
		}
		if m, err = findMember(all, name); err != nil {
			return m, false, err
		}
		if m.State == to {
			return m, false, nil
		}
		if m.State == api.NodeRemoved {
			return m, false, salvor.Errorf(salvor.Conflict, "node %s was removed: its certificate is refused for good", m.Name).
				WithHint("let the machine join again as a new node, from an empty directory: salvor join")
		}
		if may != nil {
			if err := may(all, m); err != nil {
				return m, false, err
			}
		}
		m.State = to
		err = m.put(ctx, c)
		if err == nil {
			return m, true, nil
		}
		if salvor.ClassOf(err) != salvor.Conflict {
			return m, false, err
		}
	}
	return m, false, salvor.Errorf(salvor.Conflict, "node %s is changed by somebody else all the time", name).WithHint("run the same command again")
}

// put writes the row in the place of the one that was read.
func (m *member) put(ctx context.Context, c *client.Cluster) error {
	b, err := json.Marshal(m.Node)
	if err != nil {
		return err
	}
	m.version, err = c.Registry.SetRecord(ctx, api.Record{Table: api.TableNodes, Key: m.ID, Value: b, Version: m.version})
	return err
}

func (w *world) nodeRemoveCommand() *cobra.Command {
	d, force := new(dialing), false
	cmd := &cobra.Command{
		Use: "remove [flags] NAME", Short: "Take a node out of the cluster for good",
		Long: `Remove takes a node out for good: its vote goes, its certificate is refused, and
what it was fetching is given to others. It is refused where those that are left
could not elect a leader. Drain a node first, unless it is lost: what a worker
has not stored yet is fetched again.`,
		Annotations:       map[string]string{"exit": nodeExit},
		Args:              oneName("node", "salvor node remove NAME"),
		ValidArgsFunction: w.completeNames(d, nodeNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error { return w.remove(ctx, c, args[0], force, d.json) })
		},
	}
	declare(cmd, append([]optionGroup{{"Removing", []option{
		{name: "force", value: truth(&force), noArg: "true", usage: "also where those that are left and heard of are no majority"},
	}}}, d.groups("print the node as JSON (docs/json.md)")...)...)
	return cmd
}

func (w *world) remove(ctx context.Context, c *client.Cluster, name string, force, asJSON bool) error {
	st, err := c.Status(ctx)
	if err != nil {
		return err
	}
	var after aftermath
	m, changed, err := setMember(ctx, c, name, api.NodeRemoved, func(all []member, m member) error {
		after = afterRemoval(all, st, m)
		return after.permit(m, force)
	})
	if err != nil {
		return err
	}
	text := "its certificate is refused"
	if changed {
		text = after.text()
	}
	return w.tellMember(m, changed, text, asJSON)
}
