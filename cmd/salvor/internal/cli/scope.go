package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
	"salvor/crawler/canon"
)

func (w *world) scopeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "scope", Short: "Explain what belongs to a crawl", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(w.scopeTestCommand())
	return cmd
}

const scopeExamples = `  # would this archive save it, by which rule, and through which link was it found?
  salvor scope test https://example.org/a --dir example.org-20261201120000

  # would this command line?
  salvor scope test https://cdn.example.net/x.png \
      --from https://example.org/ --scope domain`

func (w *world) scopeTestCommand() *cobra.Command {
	a := &asked{settings: defaults()}
	var from []string
	cmd := &cobra.Command{
		Use:     "test [flags] URL",
		Short:   "Say whether a URL is in or out, by which rule and through which link",
		Long:    "Test says whether a URL belongs to a crawl, which rule decides it, and by which\nlinks the archive came to know it. The answer is data: the exit code is 0 for both.",
		Example: scopeExamples,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return salvor.Errorf(salvor.Invalid, "one URL is tested, and %d were given", len(args)).WithHint("salvor scope test URL --dir DIR")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			a.note(cmd.Flags(), from)
			return w.scopeTest(cmd.Context(), a, args[0])
		},
		DisableFlagsInUseLine: true,
	}
	register(cmd.Flags(), optionGroup{"Archive", []option{
		{name: "dir", value: filled(&a.dir, "name the directory of an archive"), usage: "ask the archive in `DIR`, which may be in use; flags below are tried on top of its settings"},
		{name: "from", value: many(&from, any1), usage: "`URL` of a seed (repeatable)"},
	}})
	register(cmd.Flags(), a.scopeGroup())
	register(cmd.Flags(), optionGroup{"Output", []option{{name: "json", value: truth(&a.json), noArg: "true", usage: "print the answer as JSON (docs/json.md)"}}})
	helpFlag(cmd)
	completions(cmd)
	return cmd
}

func (w *world) scopeTest(ctx context.Context, a *asked, raw string) error {
	u, err := canon.ParseSeed(raw)
	if err != nil {
		return err
	}
	if err := w.fill(a); err != nil {
		return err
	}
	now := w.Now()
	seeds, err := w.seeds(a, now)
	if err != nil {
		return err
	}
	if a.dir == "" && len(seeds) == 0 {
		return salvor.Errorf(salvor.Invalid, "no crawl to test against").WithHint("name an archive with --dir, or seeds with --from or --seeds")
	}
	p, trace, err := w.scopePlan(ctx, a, seeds, u.Href, now)
	if err != nil {
		return err
	}
	answer, err := judged(p, trace, u.Href)
	if err != nil {
		return err
	}
	if a.json {
		return progress.WriteJSON(w.stdout, "scope", now, answer)
	}
	_, err = w.stdout.Write([]byte(answer.text()))
	if trace.Note != "" {
		fmt.Fprintf(w.stderr, "salvor: %s\n", progress.Clean(trace.Note))
	}
	return err
}

// scopePlan is the crawl in question, and what its archive knows of the URL.
func (w *world) scopePlan(ctx context.Context, a *asked, seeds []job.Seed, href string, now time.Time) (*plan, job.Trace, error) {
	var m *remembered
	var trace job.Trace
	if a.dir != "" {
		d, err := archive.OpenRead(a.dir)
		if err != nil {
			return nil, trace, err
		}
		if m, err = remember(d); err != nil {
			return nil, trace, err
		}
		if trace, err = w.Engine.Trace(ctx, job.Inquiry{Dir: d, Settings: m.settings, URL: href}); err != nil {
			return nil, trace, err
		}
	}
	if _, err := a.restore(m); err != nil {
		return nil, trace, err
	}
	p := &plan{dir: a.dir, settings: a.settings}
	if m == nil {
		p.seeds = distinct(nil, seeds)
	} else {
		p.resume(a, m, seeds)
	}
	return p, trace, nil
}

// answerJSON is the line of the JSON contract for `scope test`.
type answerJSON struct {
	URL     string    `json:"url"`
	In      bool      `json:"in"`
	Rule    string    `json:"rule"`
	Via     []viaJSON `json:"via"`     // from the seed to the URL, the URL last
	Assumed bool      `json:"assumed"` // the archive knows no link to it: judged as linked from a seed
	Known   bool      `json:"known"`   // to the archive
	State   string    `json:"state,omitempty"`
	Outcome string    `json:"outcome,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Status  int       `json:"status,omitempty"`
	At      string    `json:"at,omitempty"`
	Note    string    `json:"note,omitempty"` // why the archive does not tell all it knows
}

type viaJSON struct {
	URL  string `json:"url"`
	Hop  string `json:"hop,omitempty"` // Heritrix' letter
	In   bool   `json:"in"`
	Rule string `json:"rule"`
}

// judged follows the links by which the archive found the URL. Where it knows
// none, or not all of them, the URL is judged as linked from a seed.
func judged(p *plan, t job.Trace, href string) (*answerJSON, error) {
	j, err := newJudge(&p.settings, p.seeds, t.Moved, t.Live)
	if err != nil {
		return nil, err
	}
	out := &answerJSON{URL: href, Via: []viaJSON{}, Known: t.Known, State: t.State, Reason: t.Reason, Status: t.Status, Note: t.Note}
	if t.Known && t.Outcome != salvor.Open {
		out.Outcome = t.Outcome.String()
	}
	if !t.At.IsZero() {
		out.At = t.At.UTC().Format(time.RFC3339)
	}
	path := t.Path
	if len(path) == 0 || t.Partial {
		path, out.Assumed = assumed(p, href)
	}
	steps, err := j.follow(path)
	if err != nil {
		return nil, err
	}
	for _, s := range steps {
		out.Via = append(out.Via, viaJSON{s.url, s.hop, s.in, s.rule})
	}
	last := steps[len(steps)-1]
	out.In, out.Rule = last.in, last.rule
	return out, nil
}

func assumed(p *plan, href string) (path []job.Link, isAssumed bool) {
	for _, s := range p.seeds {
		if s.URL == href {
			return []job.Link{{URL: href}}, false
		}
	}
	return []job.Link{{URL: p.seeds[0].URL}, {URL: href, Hop: "L"}}, true
}

func (a *answerJSON) text() string {
	var b strings.Builder
	verdict := "out"
	if a.In {
		verdict = "in"
	}
	fmt.Fprintf(&b, "%-5s %s\nrule  %s\n", verdict, progress.Clean(a.URL), a.Rule)
	for i, v := range a.Via {
		label, how := "", "link "+v.Hop
		if i == 0 {
			label, how = "via", "seed"
		}
		note := ""
		if a.Assumed && i == len(a.Via)-1 {
			note = "  (assumed: the archive knows no link to it)"
		}
		fmt.Fprintf(&b, "%-5s %-6s %s%s\n", label, how, progress.Clean(v.URL), note)
	}
	if a.Known {
		fmt.Fprintf(&b, "known %s\n", strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s", a.State, a.Outcome, statusText(a.Status), a.Reason, a.At)), " "))
	}
	return b.String()
}

func statusText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
