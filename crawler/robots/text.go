package robots

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Text is our agent's part of the file in at most max bytes, without the
// sitemaps. It parses to the same answers; only where it would not fit does it
// allow less than the file, never more: Allow rules are left out, the shortest
// first, and where the Disallow rules alone are too long, they are cut to
// shorter prefixes, which forbid more.
func (f *File) Text(max int) []byte {
	if len(f.rules) == 0 && f.delay == 0 {
		return nil
	}
	head := "User-agent: *\n"
	if f.delay > 0 {
		head += "Crawl-delay: " + strings.TrimRight(strings.TrimRight(formatSeconds(f.delay), "0"), ".") + "\n"
	}
	room := max - len(head)
	if room < 0 {
		return nil
	}
	if f.disallowed() > room {
		return []byte(head + f.widened(room))
	}
	keep := f.fitting(room)
	var b strings.Builder
	b.WriteString(head)
	for i, r := range f.rules {
		if keep[i] {
			b.WriteString(r.line())
			b.WriteByte('\n')
		}
	}
	return []byte(b.String())
}

func formatSeconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', 9, 64)
}

// disallowed is how long all Disallow lines are, each once.
func (f *File) disallowed() (n int) {
	seen := map[string]bool{}
	for _, r := range f.rules {
		if line := r.line(); !r.allow && !seen[line] {
			seen[line] = true
			n += len(line) + 1
		}
	}
	return n
}

// widened are the Disallow rules, cut to the longest prefixes that fit. Allow
// rules are left out: one could be longer than the rule it lost against.
func (f *File) widened(room int) string {
	longest := 0
	for _, r := range f.rules {
		longest = max(longest, r.length)
	}
	for n := longest; n > 0; n = n * 7 / 8 {
		var b strings.Builder
		seen := map[string]bool{}
		for _, r := range f.rules {
			if p := cut(r.pattern, n); !r.allow && !seen[p] {
				seen[p] = true
				b.WriteString("Disallow: " + p + "\n")
			}
		}
		if b.Len() <= room {
			return b.String()
		}
	}
	return "Disallow: /\n"
}

// cut is a prefix of a pattern of at most n octets, and no part of an escape.
func cut(pattern string, n int) string {
	if len(pattern) <= n {
		return pattern
	}
	p := pattern[:n]
	if i := strings.LastIndexByte(p, '%'); i >= 0 && i > n-3 {
		p = p[:i]
	}
	if p = strings.TrimRight(p, "$"); p == "" { // a $ at the end would be an anchor
		return "/"
	}
	return p
}

// fitting marks the rules that fit into room: each once, Disallow rules first
// and of these the shortest, which forbid the most.
func (f *File) fitting(room int) []bool {
	order := make([]int, len(f.rules))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := f.rules[a], f.rules[b]
		if x.allow != y.allow {
			if y.allow {
				return -1
			}
			return 1
		}
		if x.allow {
			return y.length - x.length
		}
		return x.length - y.length
	})
	keep, seen := make([]bool, len(f.rules)), map[string]bool{}
	for _, i := range order {
		line := f.rules[i].line()
		if seen[line] || len(line)+1 > room {
			continue
		}
		seen[line], keep[i] = true, true
		room -= len(line) + 1
	}
	return keep
}
