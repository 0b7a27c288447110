package scope

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"salvor"
	"salvor/crawler/canon"
)

// ParseValue reads a rule: conditions that must all hold, then what a URL is worth
// for which they do.
//
//	RE VALUE            the URL matches a regular expression, as in --include
//	host:NAME VALUE     it is on this host, with or without www.
//	host:*.NAME VALUE   ... or on one below it
//	kind:KIND VALUE     it is of a kind; see Kinds
//	first PAGES TIMES   the first pages of each host are worth so much more
//
// VALUE is from 0.001 to 1000. The error is of class Invalid and names rule, place
// and remedy.
func ParseValue(x ValueRule) (r valueRule, err error) {
	fields := strings.Fields(x.Text)
	if len(fields) > 0 && fields[0] == "first" {
		r.first, err = parseFirst(x, fields)
		return r, err
	}
	if len(fields) < 2 {
		return r, x.bad("it is not CONDITION... VALUE").
			WithHint(`write for example "/thread/ 10", "host:forum.example.org 5", "kind:image 0.3" or "first 1000 10"`)
	}
	r.text = x.Text
	last := len(fields) - 1
	if r.value, err = x.number(fields[last]); err != nil {
		return r, err
	}
	for i, f := range fields[:last] {
		c, err := newCondition(x, i, f)
		if err != nil {
			return r, err
		}
		r.conditions = append(r.conditions, c)
	}
	return r, nil
}

// CheckValue says what is wrong with a value.
func CheckValue(v float64) error {
	if v >= minValue && v <= maxValue {
		return nil
	}
	return salvor.Errorf(salvor.Invalid, "%g is no value", v).WithHint("a value is from %g to %g; an ordinary page is worth 1", float64(minValue), float64(maxValue))
}

const minValue, maxValue = 0.001, 1000

// valueRule is a compiled rule.
type valueRule struct {
	text       string
	number     int
	value      float64
	conditions []condition
	first      FirstPages // the rule is one of these; Pages 0: it is not
}

func (r *valueRule) matches(u canon.URL, c salvor.Class, have *pairs) bool {
	for i := range r.conditions {
		if !r.conditions[i].holds(u, c, have) {
			return false
		}
	}
	return true
}

// condition is one of: a pattern, a host, a kind.
type condition struct {
	re    pattern
	host  string
	below bool // hosts below too
	kind  string
}

func newCondition(x ValueRule, i int, text string) (c condition, err error) {
	switch name, rest, _ := strings.Cut(text, ":"); {
	case name == "host":
		rest, c.below = strings.CutPrefix(strings.ToLower(rest), "*.")
		if c.host = strings.TrimPrefix(strings.TrimSuffix(rest, "."), "www."); c.host == "" || strings.ContainsAny(c.host, "/*:") && !strings.HasPrefix(c.host, "[") {
			return c, x.bad("%q names no host", text).WithHint("write host:forum.example.org, or host:*.example.org for all below it too; the path goes into a condition of its own")
		}
		c.host = strings.Trim(c.host, "[]")
	case name == "kind":
		if c.kind = rest; !slices.Contains(Kinds, rest) {
			return c, x.bad("there is no kind %q", rest).WithHint("the kinds are %s", strings.Join(Kinds, ", "))
		}
	default:
		if c.re, err = newPattern("", "", text); err != nil {
			return c, badPattern("value rule "+strconv.Quote(x.Text)+x.place()+", condition", i+1, text, err)
		}
	}
	return c, nil
}

func (c *condition) holds(u canon.URL, class salvor.Class, have *pairs) bool {
	switch {
	case c.kind != "":
		return isKind(c.kind, u, class)
	case c.host != "":
		host := strings.TrimPrefix(u.Host, "www.")
		return host == c.host || c.below && strings.HasSuffix(host, "."+c.host)
	}
	return c.re.may(have) && c.re.matches(u)
}

func (x ValueRule) place() string {
	if x.From == "" {
		return ""
	}
	return " (" + x.From + ")"
}

func (x ValueRule) bad(format string, args ...any) *salvor.Error {
	return salvor.Errorf(salvor.Invalid, "value rule %q%s: "+format, append([]any{x.Text, x.place()}, args...)...)
}

func (x ValueRule) number(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || CheckValue(v) != nil {
		return 0, x.bad("%q is no value", s).WithHint("a rule ends in a value from %g to %g; an ordinary page is worth 1", float64(minValue), float64(maxValue))
	}
	return v, nil
}

// FirstPages are pages of a host that are worth more than the rest.
type FirstPages struct {
	Pages int64   // so many of a host in all, those before included
	Times float64 // by so much
}

func parseFirst(x ValueRule, fields []string) (f FirstPages, err error) {
	const hint = `write "first PAGES TIMES", for example "first 1000 10": a landing page set of every site comes before the rest of one`
	if len(fields) != 3 {
		return f, x.bad("it is not first PAGES TIMES").WithHint(hint)
	}
	f.Pages, err = strconv.ParseInt(fields[1], 10, 64)
	if err != nil || f.Pages < 1 || f.Pages > 1<<40 {
		return f, x.bad("%q is no number of pages", fields[1]).WithHint(hint)
	}
	f.Times, err = strconv.ParseFloat(fields[2], 64)
	if err != nil || !(f.Times >= 1 && f.Times <= maxValue) {
		return f, x.bad("%q is not how much more they are worth", fields[2]).WithHint("write a number from 1 to %g", float64(maxValue))
	}
	return f, nil
}

// appendFirst keeps what the first pages are worth falling: else a planner would
// have to fetch what is worth less to come to what is worth more.
func appendFirst(list []FirstPages, f FirstPages, x ValueRule) ([]FirstPages, error) {
	if n := len(list); n > 0 && (f.Pages <= list[n-1].Pages || f.Times >= list[n-1].Times) {
		return nil, x.bad("it follows first %d %g", list[n-1].Pages, list[n-1].Times).
			WithHint("each first counts from the beginning: more pages than the one before, and worth less")
	}
	return append(list, f), nil
}
