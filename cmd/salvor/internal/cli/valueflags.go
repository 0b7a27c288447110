package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"salvor"
	"salvor/cmd/salvor/internal/input"
	"salvor/cmd/salvor/internal/job"
	"salvor/crawler/scope"
)

// valueGroup says what is worth more than the rest. Whoever gives one of these
// flags anew replaces all of them.
func (a *asked) valueGroup() optionGroup {
	s := &a.settings
	all := func(dst, src *job.Settings) {
		dst.ValueRules, dst.ValueFiles, dst.ValueRecipe = src.ValueRules, src.ValueFiles, src.ValueRecipe
	}
	return optionGroup{"What first", []option{
		{name: "value-rule", value: many(&s.ValueRules, valueRule), carry: all, usage: "what is worth more and comes first: `RULE` is CONDITION... VALUE, a condition a RE, host:NAME or kind:KIND, an ordinary page worth 1 (docs/value.md). The first that matches counts (repeatable)"},
		{name: "value-rules", value: many(&a.valueFiles, any1), carry: all, usage: "such rules from `FILE`, one a line, # begins a comment (repeatable)"},
		{name: "value-recipe", value: recipeName(&s.ValueRecipe), carry: all, usage: "after those the built-in rules of `NAME`: originals-first, thumbnails-first, text-first (salvor crawl value list)"},
	}}
}

func valueRule(s string) (scope.ValueRule, error) {
	x := scope.ValueRule{Text: s}
	_, err := scope.ParseValue(x)
	return x, err
}

func recipeName(at *string) pflag.Value {
	return one(at, func(s string) (string, error) {
		_, err := scope.FindRecipe(s)
		return s, err
	})
}

// fillValues puts the rules of files and of the recipe behind those of flags.
func (w *world) fillValues(a *asked) error {
	s := &a.settings
	for _, path := range a.valueFiles {
		rules, err := readFile(w, path, input.ValueRules)
		if err = a.passOver("value-rules", path, err); err != nil {
			return err
		}
		s.ValueRules = append(s.ValueRules, rules...)
	}
	s.ValueFiles = slices.Clone(a.valueFiles)
	rules, err := withRecipe(s.ValueRules, s.ValueRecipe)
	if err != nil {
		return err
	}
	s.ValueRules = rules
	return nil
}

// withRecipe appends a recipe's rules, and checks what no single rule can be
// wrong with.
func withRecipe(rules []scope.ValueRule, recipe string) ([]scope.ValueRule, error) {
	if recipe != "" {
		r, err := scope.FindRecipe(recipe)
		if err != nil {
			return nil, err
		}
		rules = append(slices.Clone(rules), r.Rules...)
	}
	if _, err := scope.CompileValues(scope.ValueRules{Rules: rules}); err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "%w", err).WithHint("%s", salvor.HintOf(err))
	}
	return rules, nil
}

// ruleSource is where a rule comes from, for people.
func ruleSource(r scope.ValueRule) string {
	if r.From == "" {
		return ""
	}
	return fmt.Sprintf("(%s)", r.From)
}
