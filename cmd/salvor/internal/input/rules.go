package input

import (
	"io"
	"regexp"
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
