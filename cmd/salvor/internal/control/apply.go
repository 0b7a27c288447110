package control

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"salvor"
)

// apply puts one file's content into s, and says what is new.
func apply(s *State, name string, f *file) (what []string, bad []problem) {
	before := *s
	switch name {
	case "exclude":
		var rules []Rule
		if rules, bad = parseRules(f.body); len(bad) == 0 {
			what = ruleChanges(s.Exclude, rules)
			s.Exclude, s.ExcludeUnread = rules, false
		}
		return what, bad
	case "rate":
		s.Rates, bad = parseRates(f.body)
	case "per-origin":
		s.PerOrigin, bad = parsePerOrigin(f.body)
	case "pause":
		s.Paused = f.seen.there
	case "stop":
		s.Stop = s.Stop || f.seen.there
	}
	if len(bad) > 0 {
		*s = before
		return nil, bad
	}
	return describe(name, before, *s), nil
}

func describe(name string, a, b State) []string {
	switch {
	case name == "rate" && !(len(a.Rates) == 0 && len(b.Rates) == 0) && !reflect.DeepEqual(a.Rates, b.Rates):
		return []string{"rate: " + ratesText(b)}
	case name == "per-origin" && a.PerOrigin != b.PerOrigin && b.PerOrigin == 0:
		return []string{"per-origin: as the flag says"}
	case name == "per-origin" && a.PerOrigin != b.PerOrigin:
		return []string{fmt.Sprintf("per-origin: %d", b.PerOrigin)}
	case name == "pause" && a.Paused != b.Paused && b.Paused:
		return []string{"paused"}
	case name == "pause" && a.Paused != b.Paused:
		return []string{"goes on after a pause"}
	case name == "stop" && !a.Stop && b.Stop:
		return []string{"stop"}
	}
	return nil
}

func ratesText(s State) string {
	if len(s.Rates) == 0 {
		return "as the flag says"
	}
	var parts []string
	for host, p := range s.Rates {
		if host == "" {
			host = "all"
		}
		parts = append(parts, fmt.Sprintf("%s %g/s", host, perSecond(p)))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func ruleChanges(old, next []Rule) (what []string) {
	has := func(rs []Rule, t string) bool {
		return slices.ContainsFunc(rs, func(r Rule) bool { return r.Text == t })
	}
	for _, r := range next {
		if !has(old, r.Text) {
			what = append(what, "exclude: added "+r.Text)
		}
	}
	for _, r := range old {
		if !has(next, r.Text) {
			what = append(what, "exclude: removed "+r.Text)
		}
	}
	return what
}

// perSecond is a ceiling as it is written: 0 lifts it.
func perSecond(p salvor.Pace) float64 {
	if p >= salvor.Unlimited {
		return 0
	}
	return p.PerSecond()
}
