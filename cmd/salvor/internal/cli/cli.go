// Package cli is the command line of Salvor: what people type, what they are
// told, and what the process returns.
//
// Data goes to standard output and messages to standard error. A mistake gets
// one line that says what is wrong and one that says what to do. Nothing here
// crawls: a job.Engine does.
package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/job"
)

// Program is the salvor command. Its engine does the work; the rest has
// defaults.
type Program struct {
	Engine  job.Engine
	Version string           // "" is that of the build
	Now     func() time.Time // nil is time.Now
	Signals func() (<-chan os.Signal, func())
	// OpenStore opens the Stores of --store and --mirror; nil is storage/s3.
	OpenStore job.OpenStore
}

// world is what one run of the program sees.
type world struct {
	Program
	env            func(string) string
	envNames       []string // of all variables
	stdin          io.Reader
	stdout, stderr io.Writer
}

// Run executes one command line and returns the exit code.
func (p Program) Run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	w := &world{Program: p.withDefaults(), env: lookup(env), envNames: names(env), stdin: stdin, stdout: stdout, stderr: stderr}
	root := w.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return w.exit(cmd, err)
}

func (p Program) withDefaults() Program {
	if p.Version == "" {
		p.Version = buildVersion()
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.OpenStore == nil {
		p.OpenStore = openS3
	}
	if p.Signals == nil {
		p.Signals = processSignals
	}
	return p
}

func lookup(env []string) func(string) string {
	return func(name string) string {
		for _, e := range env {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				return v
			}
		}
		return ""
	}
}

func names(env []string) (out []string) {
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		out = append(out, name)
	}
	return out
}

// processSignals are those of the process.
func processSignals() (<-chan os.Signal, func()) {
	c := make(chan os.Signal, 8)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

func (w *world) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "salvor",
		Short: "Save web sites before they are gone",
		Long: `Salvor saves web sites as standard WARC files, and can show what it saved and
what it could not.`,
		Example: `  salvor save https://example.org/
  salvor save --resume
  salvor help save`,
		Version:       w.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate("salvor {{.Version}}\n")
	root.SetHelpFunc(help)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(w.serverCommand(), w.clusterCommand(), w.joinCommand(), w.configCommand())
	root.AddCommand(w.saveCommand(), w.scopeCommand(), w.storeCommand(), w.compactCommand(), w.serveCommand(), w.capturesCommand(), w.getCommand(), w.verifyCommand(), w.exportCommand(), w.searchCommand(), w.indexCommand(), w.custodyCommand(), w.drillCommand(), w.versionCommand())
	root.AddCommand(w.crawlCommand(), w.statusCommand(), w.planCommand(), w.siteCommand(), w.hostCommand(), w.nodeCommand(), w.keyCommand(), w.auditCommand())
	return root
}

// noArgs is the answer of commands that take none: mostly to a command that
// is misspelt.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	e := salvor.Errorf(salvor.Invalid, "there is no command %q", strings.TrimSpace(cmd.CommandPath()+" "+args[0]))
	if cmd.HasSubCommands() && !cmd.HasParent() && strings.Contains(args[0], "://") {
		return e.WithHint("to save it: salvor save %s", quote(args[0]))
	}
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return e.WithHint("did you mean %s %s?", cmd.CommandPath(), near[0])
	}
	return e.WithHint("see: %s --help", cmd.CommandPath())
}
