package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor/cmd/salvor/internal/progress"
	"salvor/cmd/salvor/internal/server"
) // serve runs a node until it is stopped.
func (w *world) serve(ctx context.Context, c server.Config) error {
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	stop, quit := make(chan struct{}), make(chan struct{})
	defer close(quit)
	signals, release := w.Signals()
	defer release()
	go stopOn(signals, stop, kill, quit)
	return server.Run(ctx, c, server.Options{
		Version: w.Version, Log: w.stderr, Stop: stop, OpenStore: w.OpenStore, Ready: w.started,
	})
}

// stopOn is what signals do to a node: the first stops it cleanly, the second
// at once.
func stopOn(signals <-chan os.Signal, stop chan<- struct{}, kill context.CancelFunc, quit <-chan struct{}) {
	var heard time.Time
	for asked := 0; ; {
		select {
		case <-quit:
			return
		case <-signals:
		}
		if asked > 0 && time.Since(heard) < echo {
			continue
		}
		heard = time.Now()
		if asked++; asked == 1 {
			close(stop)
			continue
		}
		kill()
		return
	}
}

// started says how to reach a node that serves.
func (w *world) started(s server.Started) {
	if s.Founded != "" {
		fmt.Fprintf(w.stderr, "made a cluster of this machine in %s; the admin's key is in %s\n", s.Dir, s.Founded)
	}
	at := "works for its cluster"
	if s.Address != "" {
		at = "serves https://" + s.Address
	}
	fmt.Fprintf(w.stderr, "node %s %s\n", s.Name, at)
}

func (w *world) clusterCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "Make a cluster, and let machines in", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(w.initCommand(), w.tokenCommand(), w.restoreCommand())
	return cmd
}

const initExamples = `  salvor cluster init --listen 0.0.0.0:7420 --advertise node1.example.org:7420 --store "s3://rescues/2026"
  salvor server`

func (w *world) initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init [flags]",
		Short: "Make a cluster and its first node",
		Long: `Init makes the cluster's certificate authority, its first node and the first
admin's API key in DIR, and writes the settings to DIR/salvor.yaml. It dials nobody.
Start the node with: salvor server`,
		Example: initExamples, Args: noArgs, DisableFlagsInUseLine: true,
	}
	a := nodeFlags(cmd)
	helpFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := w.settle(cmd.Flags(), a)
		if err != nil {
			return err
		}
		id, key, err := server.Found(c, w.Version)
		if err != nil {
			return err
		}
		if err := saveSettings(c); err != nil {
			return err
		}
		fmt.Fprintf(w.stdout, "%s\n", key)
		fmt.Fprintf(w.stderr, "made the cluster %s with node %s in %s\n  the admin's key is in %s: keep a copy, it is shown nowhere again\n  start it: salvor server%s\n",
			id.Settings().ID, id.Peer().Name, c.Dir, key, dirFlag(c))
		return nil
	}
	return cmd
}

// dirFlag is what must be said to name the directory again.
func dirFlag(c server.Config) string {
	if c.Dir == server.Defaults().Dir {
		return ""
	}
	return " --dir " + quote(c.Dir)
}

// saveSettings writes what differs from the defaults, for the next start.
func saveSettings(c server.Config) error {
	var b strings.Builder
	b.WriteString(server.SettingsHead)
	plain := server.Defaults().Settled().Settings()
	for i, s := range c.Settings() {
		if s == plain[i] {
			continue
		}
		line, err := settingLine(s)
		if err != nil {
			return err
		}
		b.Write(line)
	}
	return server.SaveSettings(c, []byte(b.String()))
}

const restoreExamples = `  # every coordinator is lost: on a new machine
  salvor cluster restore --store "s3://rescues/2026" --listen 0.0.0.0:7420 --advertise node1.example.org:7420
  salvor server`

func (w *world) restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore [flags]",
		Short: "Bring a cluster back from its store",
		Long: `Restore makes the first node of a cluster that was lost, from the newest copies of
its state in the store; what was stored after them is found by the node when it runs.
With the old authority (identity/ca.crt and identity/ca.key of a coordinator, from a
backup) put into DIR/identity before, workers and keys go on; without it everybody
joins anew. Never while a coordinator of the old cluster may still run.`,
		Example: restoreExamples, Args: noArgs, DisableFlagsInUseLine: true,
	}
	var force bool
	register(cmd.Flags(), optionGroup{"Restoring", []option{
		{name: "force", value: truth(&force), noArg: "true", usage: "take the cluster over although a coordinator was at work a few minutes ago"},
	}})
	a := nodeFlags(cmd)
	helpFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := w.settle(cmd.Flags(), a)
		if err != nil {
			return err
		}
		id, at, err := server.Restore(cmd.Context(), c, w.Version, w.OpenStore, force)
		if err != nil {
			return err
		}
		if err := saveSettings(c); err != nil {
			return err
		}
		fmt.Fprintf(w.stderr, "brought back the cluster %s as it was %s ago, with node %s in %s\n  start it: salvor server%s\n",
			id.Settings().ID, progress.Span(w.Now().Sub(at).Round(time.Second)), id.Peer().Name, c.Dir, dirFlag(c))
		return nil
	}
	return cmd
}
