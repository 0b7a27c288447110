package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/input"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/cmd/salvor/internal/progress"
	"salvor/crawler/scope"
)

func (w *world) crawlValueCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "value", Short: "Say what of a crawl is worth most, and so is fetched first", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(w.valueSetCommand(), w.valueShowCommand(), w.valueExplainCommand(), w.valueListCommand())
	return cmd
}

const valueSetExamples = `  # threads before everything else, pictures after the pages
  salvor crawl value set forum --rule "/thread/ 10" --rule "kind:image 0.3"

  # the first thousand pages of each host before the rest of any
  salvor crawl value set forum --rules-file values.txt --rule "first 1000 10"

  # back to the order by nearness
  salvor crawl value set forum --none`

// valuing is what one command line says of values.
type valuing struct {
	dialing
	rules  []scope.ValueRule
	files  []string
	recipe string
	none   bool
}

func (w *world) valueSetCommand() *cobra.Command {
	v := new(valuing)
	cmd := &cobra.Command{
		Use: "set [flags] NAME", Short: "Say what is worth most, while the crawl runs",
		Long: `Set puts value rules in the place of those before. What is found from now on is
queued by them at once, and what is queued already is moved within seconds, what
is worth more first; a large crawl takes a little longer. The planner counts by
them too. What seeds are worth by their file stays (docs/value.md).`,
		Example: valueSetExamples, Annotations: map[string]string{"exit": setExit},
		Args:              oneName("crawl", "salvor crawl value set NAME --rule \"/thread/ 10\""),
		ValidArgsFunction: w.completeNames(&v.dialing, crawlNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			want, err := w.valuesAsked(v)
			if err != nil {
				return err
			}
			return w.onCluster(cmd, &v.dialing, func(ctx context.Context, c *client.Cluster) error {
				return w.setValues(ctx, c, args[0], want, v.json)
			})
		},
	}
	declare(cmd, append([]optionGroup{{"Rules", []option{
		{name: "rule", value: many(&v.rules, valueRule), usage: "`RULE` is CONDITION... VALUE, a condition a RE, host:NAME or kind:KIND, an ordinary page worth 1; or first PAGES TIMES (docs/value.md). The first that matches counts (repeatable)"},
		{name: "rules-file", value: many(&v.files, any1), usage: "after those the rules of `FILE`, one a line, # begins a comment; - is standard input (repeatable)"},
		{name: "recipe", value: recipeName(&v.recipe), usage: "after those the built-in rules of `NAME` (salvor crawl value list)"},
		{name: "none", value: truth(&v.none), noArg: "true", usage: "take all rules away"},
	}}}, v.groups("print the rules as JSON (docs/json.md)")...)...)
	return cmd
}

// valuesAsked reads the files that the flags name.
func (w *world) valuesAsked(v *valuing) (want outfit.Values, err error) {
	rules := slices.Clone(v.rules)
	for _, path := range v.files {
		more, err := readFile(w, path, input.ValueRules)
		if err != nil {
			return want, fmt.Errorf("--rules-file: %w", err)
		}
		rules = append(rules, more...)
	}
	rules, err = withRecipe(rules, v.recipe)
	switch {
	case err != nil:
		return want, err
	case v.none && len(rules) > 0:
		return want, salvor.Errorf(salvor.Invalid, "--none takes all rules away, and there are some too").WithHint("leave one of them out")
	case !v.none && len(rules) == 0:
		return want, salvor.Errorf(salvor.Invalid, "no rule").WithHint(`give one: --rule "/thread/ 10", --rules-file FILE or --recipe NAME; or take all away: --none`)
	}
	return outfit.Values{Rules: rules, Recipe: v.recipe}, nil
}

// setValues changes a crawl's value rules, in the place of those it was seen
// with.
func (w *world) setValues(ctx context.Context, c *client.Cluster, name string, want outfit.Values, asJSON bool) error {
	for range turnTries {
		now, err := findCrawl(ctx, c, name)
		if err != nil {
			return err
		}
		next, x, changed, err := valued(now, want)
		if err != nil {
			return err
		}
		if changed {
			if err = c.SetCrawl(ctx, next); salvor.ClassOf(err) == salvor.Conflict {
				continue
			}
		}
		if err == nil {
			err = c.Everywhere(ctx, next)
		}
		if err != nil {
			return err
		}
		return w.tellValued(next, &x, changed, c.Settings.Level >= movesFrom, asJSON)
	}
	return salvor.Errorf(salvor.Conflict, "crawl %s is changed again and again by somebody else", name).WithHint("try again")
}

// valued is a crawl with other value rules.
func valued(c api.Crawl, want outfit.Values) (next api.Crawl, x outfit.Spec, changed bool, err error) {
	if c.State >= salvor.CrawlFinished {
		return c, x, false, salvor.Errorf(salvor.Conflict, "crawl %s is %s: nothing more of it is fetched", c.Name, c.State).WithHint("see: salvor crawl show %s", c.Name)
	}
	if x, err = outfit.SpecOf(c); err != nil {
		return c, x, false, err
	}
	if have := x.ValuesInForce(); slices.Equal(have.Rules, want.Rules) && have.Recipe == want.Recipe {
		return c, x, false, nil
	}
	next = c
	next.Scope++
	next.Version++
	x.Values, x.Valued = &want, next.Scope
	next.Settings, err = x.Encode()
	return next, x, true, err
}

// movesFrom is the feature level from which what is queued can be moved.
const movesFrom = 3

func (w *world) tellValued(c api.Crawl, x *outfit.Spec, changed, moves, asJSON bool) error {
	if asJSON {
		return w.printJSON(valuesOf(c, x))
	}
	n := progress.Counted(int64(len(x.ValuesInForce().Rules)), "value rule")
	text := fmt.Sprintf("crawl %s has %s now; what is queued is being moved to its place: salvor crawl value show %s", c.Name, n, c.Name)
	if !moves {
		text = fmt.Sprintf("crawl %s has %s now, for what is found from now on; what is queued is moved when the cluster has feature level %d (salvor status)", c.Name, n, movesFrom)
	}
	if !changed {
		text = fmt.Sprintf("crawl %s had these already: %s", c.Name, n)
	}
	_, err := fmt.Fprintln(w.stderr, text)
	return err
}
