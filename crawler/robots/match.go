package robots

import (
	"strings"
	"time"
)

func newRule(allow bool, value string) rule {
	r := rule{allow: allow, text: value, pattern: normalise(value)}
	if r.pattern[0] != '/' && r.pattern[0] != '*' {
		r.pattern = "/" + r.pattern // common mistake, plain intent
	}
	r.length = len(r.pattern)
	if body, anchor := r.pattern[:r.length-1], r.pattern[r.length-1:]; strings.Contains(body, "$") {
		r.pattern = strings.ReplaceAll(body, "$", "%24") + anchor // only the last is special
	}
	r.plain = !strings.Contains(r.pattern, "*") && !strings.HasSuffix(r.pattern, "$")
	return r
}

// Allowed reports whether a path with query may be fetched, and the line that
// says so; "" if none matches. The longest match wins, and Allow wins a tie
// (RFC 9309 2.2.2). /robots.txt itself is always allowed.
func (f *File) Allowed(pathAndQuery string) (bool, string) {
	if pathAndQuery == "" {
		pathAndQuery = "/"
	}
	if pathAndQuery == "/robots.txt" {
		return true, ""
	}
	path := special.Replace(normalise(pathAndQuery))
	var best *rule
	for i := range f.rules {
		r := &f.rules[i]
		if best != nil && (r.length < best.length || r.length == best.length && (best.allow || !r.allow)) {
			continue
		}
		if r.matches(path) {
			best = r
		}
	}
	if best == nil {
		return true, ""
	}
	return best.allow, best.line()
}

// special gives the characters that patterns use the spelling by which a
// pattern means the characters themselves (RFC 9309 2.2.3).
var special = strings.NewReplacer("*", "%2A", "$", "%24")

func (r *rule) line() string {
	if r.allow {
		return "Allow: " + r.text
	}
	return "Disallow: " + r.text
}

func (r *rule) matches(path string) bool {
	if r.plain {
		return strings.HasPrefix(path, r.pattern)
	}
	return wildcard(r.pattern, path)
}

// wildcard matches * and a final $. Each piece between stars is taken at its
// first place, which cannot miss a match, so that no pattern makes it go back.
func wildcard(pattern, path string) bool {
	anchored := strings.HasSuffix(pattern, "$")
	if anchored {
		pattern = pattern[:len(pattern)-1]
	}
	first, rest, star := strings.Cut(pattern, "*")
	if !strings.HasPrefix(path, first) {
		return false
	}
	path = path[len(first):]
	for star {
		var piece string
		piece, rest, star = strings.Cut(rest, "*")
		if !star && anchored {
			return strings.HasSuffix(path, piece)
		}
		i := strings.Index(path, piece)
		if i < 0 {
			return false
		}
		path = path[i+len(piece):]
	}
	return !anchored || path == ""
}

// normalise gives paths and patterns one spelling (RFC 9309 2.2.2): octets
// outside ASCII are percent-encoded, percent-encoded unreserved characters are
// decoded, hexadecimal digits are upper-case.
func normalise(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r == '%' || r <= ' ' || r >= 0x7f }) {
		return s
	}
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0 {
			c = byte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
			if isUnreserved(c) {
				b = append(b, c)
			} else {
				b = append(b, '%', digits[c>>4], digits[c&15])
			}
			continue
		}
		if c <= ' ' || c >= 0x7f {
			b = append(b, '%', digits[c>>4], digits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

// isUnreserved is RFC 3986 2.3.
func isUnreserved(c byte) bool {
	return isAlpha(c) || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// CrawlDelay is the delay our group asks for; 0 none.
func (f *File) CrawlDelay() time.Duration { return f.delay }

// Sitemaps lists the file's Sitemap lines, as written.
func (f *File) Sitemaps() []string { return f.sitemaps }

// Rules is how many rules are for us.
func (f *File) Rules() int { return len(f.rules) }
