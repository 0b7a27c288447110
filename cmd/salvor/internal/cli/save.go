package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"salvor"
)

const saveExamples = `  # everything on one host, into ./example.org-YYYYMMDDhhmmss
  salvor save https://example.org/

  # go on after an interruption, a crash or a full disk
  salvor save --resume

  # a dying forum: what can be had until the plug is pulled
  salvor save --deadline "2026-12-01 18:00 +01:00" --exclude-set forum \
      https://forum.example/

  # a list of pages with all they need to be shown, and nothing else
  salvor save --scope page --seeds urls.txt --dir pages

  # gently, from an address of ours, with a name for the server's owner
  salvor save --max-rate 0.5 --contact https://example.net/ https://example.org/`

const saveMore = `While it runs, files in DIR/control change it: exclude, rate, per-origin, pause,
stop (docs/control.md). Interrupted once (Ctrl-C, SIGTERM) it finishes what is
under way, seals and reports; twice, it stops at once and loses nothing. After a
hangup it goes on with plain lines in DIR/salvor.log.`

func (w *world) saveCommand() *cobra.Command {
	a := &asked{settings: defaults()}
	cmd := &cobra.Command{
		Use:         "save [flags] URL...",
		Short:       "Save web sites into an archive directory",
		Long:        "Save crawls web sites from the given URLs and writes a verified archive.",
		Example:     saveExamples,
		Annotations: map[string]string{"exit": exitHelp, "more": saveMore},
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.config != "" {
				if err := configure(cmd.Flags(), "save", a.config); err != nil {
					return configError(err)
				}
			}
			a.note(cmd.Flags(), args)
			return w.save(cmd, a)
		},
		DisableFlagsInUseLine: true,
	}
	for _, g := range a.groups() {
		register(cmd.Flags(), g)
	}
	helpFlag(cmd)
	completions(cmd)
	return cmd
}

// note takes down which flags were given, and the arguments. "--resume DIR"
// has to be untangled here: the parser takes DIR for an argument, because
// --resume may stand alone.
func (a *asked) note(fs *pflag.FlagSet, args []string) {
	fs.Visit(func(f *pflag.Flag) { a.changed = append(a.changed, f.Name) })
	if a.resume == newestUnfinished && len(args) > 0 && !strings.Contains(args[0], "://") {
		a.resume, args = args[0], args[1:]
	}
	a.urls = args
}

func completions(cmd *cobra.Command) {
	for flag, names := range map[string][]string{
		"scope": {"page", "prefix", "host", "domain", "any"}, "robots": {"obey", "strict", "ignore"},
		"exclude-set": excludeSets, "retry": strings.Split(outcomeNames(retriable), ", "),
	} {
		if cmd.Flags().Lookup(flag) == nil {
			continue
		}
		if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // the flag was looked up above
		}
	}
}

// save is the command: plan, then run the plan.
func (w *world) save(cmd *cobra.Command, a *asked) error {
	now := w.Now()
	if a.quiet && a.verbose {
		return salvor.Errorf(salvor.Invalid, "-q and -v contradict each other").WithHint("leave one of them out")
	}
	if err := w.fill(a); err != nil {
		return err
	}
	seeds, err := w.seeds(a, now)
	if err != nil {
		return err
	}
	dir, must, err := w.where(a, seeds, now)
	if err != nil {
		return err
	}
	m, note, err := w.lookOrBring(cmd.Context(), a, dir, must, seeds)
	if err != nil {
		return err
	}
	p, err := w.makePlan(a, m, dir, seeds, now)
	if err != nil {
		return err
	}
	if a.dryRun {
		return w.dryRun(a, p)
	}
	d, p, err := w.openPlanned(a, p, seeds, must, now)
	if err != nil {
		return err
	}
	if note != "" {
		p.notes = append(p.notes, note)
	}
	return w.carryOut(cmd.Context(), a, p, d)
}
