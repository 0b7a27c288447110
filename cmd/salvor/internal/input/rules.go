package input

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"salvor"
	"salvor/crawler/scope"
)

// Rules reads regular expressions (RE2), one a line, with comments.
func Rules(r io.Reader, name string) ([]string, error) {
	bad := &BadLines{File: name}
	var out []string
	err := scan(r, bad, func(n int, text string) {
		if comment(text) {
			return
		}
		if _, err := regexp.Compile(text); err != nil {
			bad.add(n, "%v", err)
			return
		}
		out = append(out, text)
	})
	if err != nil {
		return nil, err
	}
	return out, bad.err("one regular expression a line (syntax: https://pkg.go.dev/regexp/syntax); # begins a comment")
}

// ValueRules reads value rules, one a line, with comments.
func ValueRules(r io.Reader, name string) ([]scope.ValueRule, error) {
	bad := &BadLines{File: name}
	hint := "one rule a line: CONDITION... VALUE, or first PAGES TIMES; # begins a comment"
	var out []scope.ValueRule
	err := scan(r, bad, func(n int, text string) {
		if text, _, _ = strings.Cut(text, " #"); comment(text) {
			return
		}
		x := scope.ValueRule{Text: strings.TrimSpace(text)}
		if _, err := scope.ParseValue(x); err != nil {
			if h := salvor.HintOf(err); h != "" && len(bad.Lines) == 0 {
				hint = h
			}
			bad.add(n, "%v", err)
			return
		}
		x.From = fmt.Sprintf("%s:%d", name, n)
		out = append(out, x)
	})
	if err != nil {
		return nil, err
	}
	return out, bad.err(hint)
}
