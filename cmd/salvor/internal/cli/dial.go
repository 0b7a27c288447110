package cli

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/progress"
)

// dialing is what every command that talks to a cluster may be told.
type dialing struct {
	server  []string
	keyFile string
	dir     string
	json    bool
}

func (d *dialing) groups(jsonUsage string) []optionGroup {
	return []optionGroup{
		{"Cluster", []option{
			{name: "server", value: many(&d.server, serverURL), usage: "ask the coordinator at `URL`, https://HOST:PORT (repeatable; default SALVOR_SERVER)"},
			{name: "key-file", value: filled(&d.keyFile, "name the file that salvor key create wrote"), usage: "read the key from `FILE` (default SALVOR_KEY_FILE, then SALVOR_KEY)"},
			{name: "dir", value: filled(&d.dir, "name a directory"), usage: "without those, ask the cluster that was made in `DIR` (default here, then ./salvor-node, then ~/.config/salvor)"},
		}},
		{"Output", []option{{name: "json", value: truth(&d.json), noArg: "true", usage: jsonUsage}}},
	}
}

// serverURL is one coordinator or several, as in SALVOR_SERVER.
func serverURL(s string) (string, error) {
	for one := range strings.SplitSeq(s, ",") {
		if _, err := client.Address(strings.TrimSpace(one)); err != nil {
			return "", err
		}
	}
	return s, nil
}

// declare puts the flags of a command on it.
func declare(cmd *cobra.Command, groups ...optionGroup) {
	cmd.DisableFlagsInUseLine = true
	for _, g := range groups {
		register(cmd.Flags(), g)
	}
	helpFlag(cmd)
}

// open connects to the cluster that flags, environment or files name.
func (w *world) open(ctx context.Context, d *dialing) (*client.Cluster, error) {
	if err := w.almost(personal); err != nil { // another cluster might be asked
		return nil, err
	}
	c, err := client.Find(client.Query{Server: d.server, KeyFile: d.keyFile, Dir: d.dir, Env: w.env})
	if err != nil {
		return nil, err
	}
	c.Agent, c.Patience = "salvor/"+w.Version, patience
	return client.Open(ctx, c)
}

// patience is how long a command tries again while the cluster has no leader,
// an election takes seconds, and how long it waits for all groups to follow.
var patience = 10 * time.Second

const tryAgain = 500 * time.Millisecond

// onCluster runs what a command does on an open cluster. It is run again while
// the cluster is not available, so it must be harmless to repeat, and tell at
// its end.
func (w *world) onCluster(cmd *cobra.Command, d *dialing, f func(context.Context, *client.Cluster) error) error {
	end := time.Now().Add(patience)
	return w.once(cmd, d, func(ctx context.Context, c *client.Cluster) error {
		return patiently(ctx, end, func() error { return f(ctx, c) })
	})
}

// patiently repeats f while the cluster is not available.
func patiently(ctx context.Context, end time.Time, f func() error) error {
	for {
		err := f()
		if salvor.ClassOf(err) != salvor.Unavailable || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(tryAgain):
		}
	}
}

// once is onCluster for what must not be repeated. It gives what went wrong the
// exit codes of such commands.
func (w *world) once(cmd *cobra.Command, d *dialing, f func(context.Context, *client.Cluster) error) error {
	c, err := w.open(cmd.Context(), d)
	if err != nil {
		return clusterError(err)
	}
	defer c.Close()
	return clusterError(f(cmd.Context(), c))
}

// coded is an error whose exit code its class does not tell.
type coded struct {
	error
	code int
}

func (c coded) Unwrap() error { return c.error }

// clusterError tells what a cluster answers from the same class of trouble with
// an archive's directory.
func clusterError(err error) error {
	if _, done := errors.AsType[coded](err); err == nil || done {
		return err
	}
	if _, told := errors.AsType[ended](err); told {
		return err
	}
	switch salvor.ClassOf(err) {
	case salvor.Conflict:
		return coded{err, exitChanged}
	case salvor.Unavailable:
		return coded{err, exitAway}
	}
	return err
}

// printJSON writes one object in one line.
func (w *world) printJSON(v any) error { return json.NewEncoder(w.stdout).Encode(v) }

// at writes a moment for people.
func at(ms int64) string {
	return time.UnixMilli(ms).Format("2006-01-02 15:04:05 -07:00")
}

// since is how long ago a moment was, and in how long one comes, at now.
func since(ms int64, now time.Time) string {
	return progress.Span(now.Sub(time.UnixMilli(ms)).Round(time.Second))
}

// completeFor is how long the shell waits for names.
const completeFor = 2 * time.Second

// completeNames offers the names of what a cluster has, as the first argument.
func (w *world) completeNames(d *dialing, names func(context.Context, *client.Cluster) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeFor)
		defer cancel()
		c, err := w.open(ctx, d)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer c.Close()
		found, err := names(ctx, c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// oneName takes the one argument of a command.
func oneName(what, usage string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 1 && args[0] == "" {
			return salvor.Errorf(salvor.Invalid, "the name of the %s is empty", what).WithHint("%s", usage)
		}
		if len(args) != 1 {
			return salvor.Errorf(salvor.Invalid, "one %s is named, and %d were", what, len(args)).WithHint("%s", usage)
		}
		return nil
	}
}

// namesOf wants one argument of each kind.
func namesOf(usage string, kinds ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != len(kinds) || slices.Contains(args, "") {
			return salvor.Errorf(salvor.Invalid, "%s are named, and %d arguments were given", strings.Join(kinds, ", "), len(args)).WithHint("%s", usage)
		}
		return nil
	}
}
