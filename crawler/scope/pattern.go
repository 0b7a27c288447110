package scope

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"

	"salvor"
	"salvor/crawler/canon"
)

// pattern is one rule: a regular expression over the whole URL, or a guard.
type pattern struct {
	id, text, source string
	re               *regexp.Regexp
	guard            func(canon.URL) bool
	any              [][]uint16 // bigrams of which one list must occur whole; nil: always ask re
}

// maxReason is what an outcome's reason may hold.
const maxReason = 200

// compileAll compiles a list of operator's patterns. Their ids hold number and
// text, so that a report explains itself; live ones have no number, because
// lines move while people edit.
func compileAll(prefix, source string, texts []string) ([]pattern, error) {
	out := make([]pattern, 0, len(texts))
	for i, text := range texts {
		id := prefix + "/" + strconv.Itoa(i+1) + " " + text
		if source == "control" {
			id = prefix + " " + text
		}
		p, err := newPattern(id, source, text)
		if err != nil {
			return nil, badPattern(source, i+1, text, err)
		}
		out = append(out, p)
	}
	return out, nil
}

func newPattern(id, source, text string) (pattern, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return pattern{}, err
	}
	if len(id) > maxReason {
		id = strings.ToValidUTF8(id[:maxReason], "")
	}
	return pattern{id: id, text: text, source: source, re: re, any: literals(text)}, nil
}

// CheckPattern says what is wrong with a regular expression, and where.
func CheckPattern(source string, number int, text string) error {
	if _, err := regexp.Compile(text); err != nil {
		return badPattern(source, number, text, err)
	}
	return nil
}

// badPattern names the pattern, the place in it and the remedy.
func badPattern(source string, number int, text string, err error) error {
	what, at := err.Error(), ""
	hint := "patterns are regular expressions in RE2 syntax: https://pkg.go.dev/regexp/syntax"
	if e, ok := errors.AsType[*syntax.Error](err); ok {
		what = string(e.Code)
		if i := strings.Index(text, e.Expr); i >= 0 && e.Expr != "" {
			at = " at character " + strconv.Itoa(i+1) + " (" + strconv.Quote(e.Expr) + ")"
		}
		hint = patternHint(e, hint)
	}
	return salvor.Errorf(salvor.Invalid, "%s %d: %s%s in pattern %q", source, number, what, at, text).WithHint("%s", hint)
}

func patternHint(e *syntax.Error, general string) string {
	switch e.Code {
	case syntax.ErrInvalidPerlOp, syntax.ErrMissingRepeatArgument:
		if strings.HasPrefix(e.Expr, "(?") {
			return "RE2 has no look-around; write an --include for what must stay, or a narrower pattern"
		}
		return "these are regular expressions, not file globs: write .* for any text, and \\? or \\+ for the character itself"
	case syntax.ErrInvalidEscape:
		return "RE2 has no back references; a backslash goes before punctuation, or in a class such as \\d"
	case syntax.ErrMissingParen, syntax.ErrUnexpectedParen:
		return "close each parenthesis, or write \\( and \\) for the characters themselves"
	case syntax.ErrMissingBracket:
		return "close the bracket, or write \\[ for the character itself"
	case syntax.ErrInvalidRepeatSize, syntax.ErrLarge, syntax.ErrNestingDepth:
		return "repeat less: RE2 allows at most 1000 copies"
	}
	return general
}
