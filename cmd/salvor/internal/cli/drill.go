package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/drill"
	"salvor/cmd/salvor/internal/progress"
	"salvor/cmd/salvor/internal/value"
	"salvor/storage/durable"
)

const drillExamples = `  # does a cluster of this program save what it can? Two minutes a policy
  salvor drill twelve --plot drill.svg

  # quickly, with one policy
  salvor drill brief --policy salvor

  # a scenario of your own, in virtual time, with three thousand sites
  salvor drill show --file twenty > mine.drill
  salvor drill --simulate --sites 3000 ./mine.drill`

const drillExit = `  0  it was played to its end, whatever was saved
  1  an error inside salvor, or of the machine
  2  a mistake on the command line
  6  interrupted`

// drilling is what a command line says of a drill.
type drilling struct {
	workers  int
	duration time.Duration
	policies []string // none: all
	simulate bool
	sites    int // 0: those of the scenario
	dir      string
	plot     string
	json     bool
}

func (d *drilling) groups() []optionGroup {
	return []optionGroup{
		{"Drill", []option{
			{name: "workers", value: whole(&d.workers, 1, 32), usage: "with `N` workers, each a process (default 3)"},
			{name: "duration", value: one(&d.duration, value.Duration), usage: "play all of it in `TIME`: sooner, and with as many pages fewer (default as long as it is)"},
			{name: "policy", value: one(&d.policies, listed), usage: "play it once for each of `LIST`, with commas: salvor, fifo, rr, edf, density; simulated also proportional, llf, value/time, value*hazard, flow (default all)"},
			{name: "simulate", value: truth(&d.simulate), noArg: "true", usage: "play it in virtual time, without platforms and workers"},
			{name: "sites", value: whole(&d.sites, 1, mostSimulated), usage: "with --simulate, as many as `N` sites: copies of those it has, of other sizes"},
			{name: "dir", value: filled(&d.dir, "name a directory"), usage: "keep nodes and archives in `DIR` (default: nothing is kept)"},
		}},
		{"Output", []option{
			{name: "plot", value: filled(&d.plot, "name a file"), usage: "draw the value saved over time into `FILE`, an SVG"},
			{name: "json", value: truth(&d.json), noArg: "true", usage: "print the results as JSON (docs/json.md)"},
		}},
	}
}

// mostSimulated is how many sites can be simulated within a minute.
const mostSimulated = 10_000

func listed(s string) (names []string, err error) {
	for name := range strings.SplitSeq(s, ",") {
		names = append(names, strings.TrimSpace(name))
	}
	return names, nil
}

// chosen finds policies by their names; none are all.
func chosen[P any](all []P, names []string, find func(string) (P, error)) ([]P, error) {
	if len(names) == 0 {
		return all, nil
	}
	var out []P
	for _, name := range names {
		p, err := find(name)
		if err != nil {
			return nil, salvor.Errorf(salvor.Invalid, "--policy: %w", err).WithHint("%s", salvor.HintOf(err))
		}
		out = append(out, p)
	}
	return out, nil
}

func (w *world) drillCommand() *cobra.Command {
	d := &drilling{workers: 3}
	cmd := &cobra.Command{
		Use:   "drill [flags] SCENARIO|FILE",
		Short: "Rehearse a rescue on this machine, without any network",
		Long: `Drill serves platforms that are about to disappear on loopback addresses, runs a
real cluster of this program against them, and says what part of their value was
saved: once with the cluster's own judgement, and once for each of some simple
rules. A page counts when the archive holds its very bytes at the end. What was
possible is what somebody could have saved who had known everything beforehand.
With --simulate nothing is fetched: the same scenario passes in virtual time.`,
		Example:     drillExamples,
		Annotations: map[string]string{"exit": drillExit},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return salvor.Errorf(salvor.Invalid, "one scenario is played, and %d were named", len(args)).WithHint("see: salvor drill list")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return w.drill(cmd.Context(), d, args[0]) },
	}
	declare(cmd, d.groups()...)
	cmd.AddCommand(w.drillListCommand(), w.drillShowCommand())
	return cmd
}

func (w *world) drillListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list [flags]", Short: "List the scenarios that ship", Args: noArgs, DisableFlagsInUseLine: true,
		Long: "List names the scenarios that ship with the program.",
		RunE: func(*cobra.Command, []string) error {
			var rows [][]string
			for _, name := range drill.Names() {
				s, err := drill.Find(name)
				if err != nil {
					return err
				}
				rows = append(rows, []string{name, s.About})
			}
			return w.printTable([]string{"SCENARIO", "WHAT HAPPENS"}, rows)
		}}
	helpFlag(cmd)
	return cmd
}

func (w *world) drillShowCommand() *cobra.Command {
	source := false
	cmd := &cobra.Command{Use: "show [flags] SCENARIO|FILE", Short: "Show the platforms of a scenario", DisableFlagsInUseLine: true,
		Long: "Show lists the platforms of a scenario: what their pages are worth, how many\nrequests they bear, what people hear of their end and when, and when it comes.",
		Args: oneName("scenario", "salvor drill show SCENARIO"),
		RunE: func(_ *cobra.Command, args []string) error {
			if source {
				b, err := drill.Source(args[0])
				if err == nil {
					_, err = w.stdout.Write(b)
				}
				return err
			}
			s, err := drill.Find(args[0])
			if err != nil {
				return err
			}
			return w.showScenario(s)
		}}
	declare(cmd, optionGroup{"Output", []option{{name: "file", value: truth(&source), noArg: "true", usage: "print the scenario's file, to write one of your own from"}}})
	return cmd
}

// drill plays a scenario, once for each policy.
func (w *world) drill(ctx context.Context, d *drilling, name string) error {
	s, err := drill.Find(name)
	if err != nil {
		return err
	}
	if d.duration > 0 {
		s = s.Scaled(d.duration, s.Capacity)
	}
	if d.simulate {
		return w.simulate(d, s)
	}
	if d.sites > 0 {
		return salvor.Errorf(salvor.Invalid, "--sites is for --simulate").WithHint("say --simulate too, or leave --sites out")
	}
	policies, err := chosen(drill.Policies, d.policies, drill.FindPolicy)
	if err != nil {
		return err
	}
	possible, err := drill.Simulate(s, d.workers, drill.Planner)
	if err != nil {
		return err
	}
	ctx, release := w.interruptible(ctx)
	defer release()
	var results []drill.Result
	for _, p := range policies {
		r, err := drill.Run(ctx, s, p, drill.Options{Dir: d.dir, Workers: d.workers, Tell: w.drillProgress(s.Length)})
		if err != nil {
			return err
		}
		results = append(results, r)
	}
	if d.plot != "" {
		if err := writePlot(d.plot, s, results, possible.Possible); err != nil {
			return err
		}
	}
	if d.json {
		return w.printJSON(drillJSONOf(s, d.workers, results, possible))
	}
	return w.tellDrill(s, d.workers, results, possible)
}

// interruptible is ctx that a signal ends.
func (w *world) interruptible(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals, release := w.Signals()
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); release() }
}

// drillEvery is how often people are told how far a drill is.
const drillEvery = 10 * time.Second

// drillProgress tells each new phase, and how it goes every now and then.
func (w *world) drillProgress(length time.Duration) func(drill.Progress) {
	var phase string
	var next time.Duration
	return func(p drill.Progress) {
		if p.Phase == phase && p.At < next {
			return
		}
		if p.Phase != phase {
			phase, next = p.Phase, 0
		}
		next += drillEvery
		text := p.Phase
		if p.Phase == "running" {
			text = fmt.Sprintf("%s of %s, %s fetched, worth %.0f", p.At.Round(time.Second), length, progress.Counted(int64(p.Served), "page"), p.Value)
		}
		fmt.Fprintf(w.stderr, "%s: %s\n", p.Policy, text)
	}
}

func writePlot(path string, s drill.Scenario, results []drill.Result, possible float64) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return durable.Error(err, "create", path)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return drill.PlotOf(s, results, possible).WriteSVG(f)
}
