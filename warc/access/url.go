package access

import (
	"strings"
	"time"

	whatwg "github.com/nlnwa/whatwg-url/url"

	"salvor"
)

// sameURL says of another URL whether it names the same thing: all but scheme,
// default port, fragment and an empty path must be the same.
func sameURL(url string) func(string) bool {
	if !strings.Contains(url, "://") && !strings.HasPrefix(url, "urn:") && !strings.HasPrefix(url, "dns:") {
		url = "http://" + url
	}
	if u, err := whatwg.Parse(url); err == nil {
		url = u.Href(true)
	}
	want := bare(url)
	return func(other string) bool { return bare(other) == want }
}

// Same says whether two URLs name the same thing.
func Same(a, b string) bool { return sameURL(a)(b) }

// percented escapes each % that escapes nothing: no HTTP server takes those in a path.
func percented(url string) string {
	if !strings.Contains(url, "%") {
		return url
	}
	var b strings.Builder
	for i := range len(url) {
		b.WriteByte(url[i])
		if url[i] == '%' && !(i+2 < len(url) && isHex(url[i+1]) && isHex(url[i+2])) {
			b.WriteString("25")
		}
	}
	return b.String()
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

// unpercented undoes percented.
func unpercented(url string) string {
	var b strings.Builder
	for rest := url; ; {
		i := strings.Index(rest, "%25")
		if i < 0 {
			b.WriteString(rest)
			return b.String()
		}
		b.WriteString(rest[:i+1])
		next := rest[i+3:]
		if len(next) >= 2 && isHex(next[0]) && isHex(next[1]) { // it escapes something: it was %25 before
			b.WriteString("25")
		}
		rest = next
	}
}

// bare is a URL without what does not tell two things apart.
func bare(url string) string {
	url, _, _ = strings.Cut(url, "#")
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	host, path, _ := strings.Cut(rest, "/")
	host = strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(host), ":80"), ":443")
	return host + "/" + path
}

// layouts are how a time may be written, by its length.
const stamp = "20060102150405"

// ParseTime reads a timestamp of 4 to 14 digits, 2026 say, or of 17 with
// milliseconds. What is missing is the beginning of the year, month and so on.
func ParseTime(s string) (time.Time, error) {
	digits := strings.Trim(s, "0123456789") == ""
	if n := len(s); digits && n == 17 {
		return time.Parse("20060102150405.000", s[:14]+"."+s[14:])
	}
	if n := len(s); !digits || n < 4 || n > 14 {
		return time.Time{}, salvor.Errorf(salvor.Invalid, "%.40q is no timestamp", s).WithHint("write 4 to 14 digits, in UTC: 2026, 202611, 20261124013000")
	}
	s += "00000101000000"[len(s):]
	if s[4:6] == "00" || s[6:8] == "00" {
		return time.Time{}, salvor.Errorf(salvor.Invalid, "%.40q is no timestamp: it has a month or day 0", s)
	}
	t, err := time.Parse(stamp, s)
	if err != nil {
		return t, salvor.Errorf(salvor.Invalid, "%.40q is no timestamp: there is no such time", s)
	}
	return t, nil
}
