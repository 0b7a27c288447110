package control

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"salvor"
)

// problem is a line that means nothing.
type problem struct {
	line int
	text string
}

// lines calls f for each line that is neither blank nor a comment, with
// trailing white space, a carriage return and a byte order mark removed.
func lines(b []byte, f func(n int, text string)) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	sc := bufio.NewScanner(bytes.NewReader(b))
	sc.Buffer(nil, maxFile+1)
	for n := 1; sc.Scan(); n++ {
		text := strings.TrimSpace(sc.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		f(n, text)
	}
}

// parseRules reads regular expressions, one a line.
func parseRules(b []byte) (rules []Rule, bad []problem) {
	lines(b, func(n int, text string) {
		re, err := regexp.Compile(text)
		if err != nil {
			bad = append(bad, problem{n, fmt.Sprintf("no regular expression: %v", err)})
			return
		}
		rules = append(rules, Rule{Text: text, Line: n, Regexp: re})
	})
	return rules, bad
}

// parseRates reads "RATE" for every host, or "HOST RATE" for one, a line.
// RATE is requests/s; 0 lifts the ceiling.
func parseRates(b []byte) (rates map[string]salvor.Pace, bad []problem) {
	rates = make(map[string]salvor.Pace)
	lines(b, func(n int, text string) {
		fields := strings.Fields(text)
		host := ""
		if len(fields) == 2 {
			host = strings.ToLower(fields[0])
		}
		rate, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		switch {
		case len(fields) > 2 || err != nil || rate < 0 || math.IsNaN(rate) || rate > maxRate:
			bad = append(bad, problem{n, fmt.Sprintf("%q is neither RATE nor HOST RATE (requests/s, 0 lifts the ceiling)", text)})
		case rate == 0:
			rates[host] = salvor.Unlimited
		case rate < 0.001:
			bad = append(bad, problem{n, fmt.Sprintf("%q is less than 0.001 requests/s; to stop, create the file pause", text)})
		default:
			rates[host] = salvor.PerSecond(rate)
		}
	})
	return rates, bad
}

// parsePerOrigin reads one number.
func parsePerOrigin(b []byte) (n int, bad []problem) {
	lines(b, func(line int, text string) {
		v, err := strconv.Atoi(text)
		switch {
		case err != nil || v < 1 || v > maxPerOrigin:
			bad = append(bad, problem{line, fmt.Sprintf("%q is no number from 1 to %d", text, maxPerOrigin)})
		case n != 0:
			bad = append(bad, problem{line, "a second number: the file holds one"})
		default:
			n = v
		}
	})
	return n, bad
}
