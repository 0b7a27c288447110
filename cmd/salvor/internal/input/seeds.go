package input

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"salvor"
	"salvor/crawler/scope"
)

// Seed is a line of a seeds file.
type Seed struct {
	URL    string  // canonical
	Given  string  // as written
	Source string  // FILE:LINE
	Value  float64 // what it is worth, and all in its directory; 0: nobody said
}

// Seeds reads one URL a line, and what it is worth where value=NUMBER follows.
// Blank lines and lines that begin with # are left out, and so is a comment after
// a URL: white space, then #. canonical says what is wrong with a URL in a few
// words (docs/formats/seeds.md).
func Seeds(r io.Reader, name string, canonical func(string) (string, error)) ([]Seed, error) {
	bad := &BadLines{File: name}
	hints := map[string]int{}
	var out []Seed
	err := scan(r, bad, func(n int, text string) {
		if comment(text) {
			return
		}
		if strings.Contains(text, byteOrderMark) {
			bad.add(n, "a byte order mark inside: the end of a line is missing there")
			return
		}
		url, rest := cutSpace(text)
		value, rest, err := seedValue(rest)
		if err != nil {
			hints[salvor.HintOf(err)]++
			bad.add(n, "%v", err)
			return
		}
		if rest != "" && !comment(rest) {
			bad.add(n, "%q: white space inside; write one URL a line, and %%20 for a space in one", shorten(text))
			return
		}
		c, err := canonical(url)
		if err != nil {
			hints[salvor.HintOf(err)]++
			bad.add(n, "%v", err)
			return
		}
		out = append(out, Seed{URL: c, Given: url, Source: fmt.Sprintf("%s:%d", name, n), Value: value})
	})
	if err != nil {
		return nil, err
	}
	hint := "one URL a line, beginning with http:// or https://; # begins a comment"
	for h, n := range hints {
		if n == len(bad.Lines)+bad.More && h != "" {
			hint = h // all lines have the same remedy
		}
	}
	return out, bad.err(hint)
}

// seedValue takes value=NUMBER off what follows a URL.
func seedValue(text string) (value float64, rest string, err error) {
	word, rest := cutSpace(text)
	number, ok := strings.CutPrefix(word, "value=")
	if !ok {
		return 0, text, nil
	}
	if value, err = strconv.ParseFloat(number, 64); err != nil {
		value = math.NaN()
	}
	if err := scope.CheckValue(value); err != nil {
		return 0, "", salvor.Errorf(salvor.Invalid, "%q is no value", number).WithHint("%s", salvor.HintOf(err))
	}
	return value, rest, nil
}

func cutSpace(s string) (before, after string) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " \t")
}

func shorten(s string) string {
	const most = 100
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
