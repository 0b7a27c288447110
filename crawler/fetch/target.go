package fetch

import (
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"

	whatwg "github.com/nlnwa/whatwg-url/url"
)

// target is where a request goes, cut out of the WHATWG serialisation of its
// URL: never decoded and encoded again, so that the server is asked for
// exactly what the page linked to.
type target struct {
	originKey
	authority string // Host line: host, and the port where it is not the default
	path      string // request target: path and query
	userinfo  string // as it stands in the URL, "" for none
}

// originKey is what connections are pooled by.
type originKey struct {
	tls  bool
	host string // without brackets
	port uint16
}

func (k originKey) scheme() string {
	if k.tls {
		return "https"
	}
	return "http"
}

// addr is the host as an address literal, or invalid.
func (k originKey) addr() netip.Addr {
	if k.host == "" || k.host[len(k.host)-1] > '9' && !strings.Contains(k.host, ":") {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(k.host)
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// parseTarget reads a URL. One that is clean is taken as it is; any other goes
// through the WHATWG parser first.
func parseTarget(raw string) (target, error) {
	if t, ok := cut(raw); ok && clean(raw, &t) {
		return t, nil
	}
	u, err := whatwg.Parse(raw)
	if err != nil {
		return target{}, failf(ClassInvalid, "not a URL: %w", err)
	}
	t, ok := cut(u.Href(true))
	if !ok {
		return target{}, failf(ClassInvalid, "not an http or https URL")
	}
	if strings.ContainsFunc(t.path, unsendable) || strings.ContainsFunc(t.authority, unsendable) {
		return target{}, failf(ClassInvalid, "URL holds a blank or control character")
	}
	return t, nil
}

func unsendable(r rune) bool { return r <= ' ' || r == 0x7f }

// cut takes a serialised URL apart.
func cut(href string) (t target, ok bool) {
	rest := href
	switch {
	case strings.HasPrefix(href, "http://"):
		rest, t.port = href[7:], 80
	case strings.HasPrefix(href, "https://"):
		rest, t.port, t.tls = href[8:], 443, true
	default:
		return t, false
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	t.authority, t.path = rest[:end], rest[end:]
	t.path, _, _ = strings.Cut(t.path, "#")
	if t.path == "" || t.path[0] == '?' {
		t.path = "/" + t.path
	}
	if at := strings.LastIndexByte(t.authority, '@'); at >= 0 {
		t.userinfo, t.authority = t.authority[:at], t.authority[at+1:]
	}
	return t, t.cutPort()
}

// cutPort splits the authority into host and port.
func (t *target) cutPort() bool {
	t.host = t.authority
	colon := strings.LastIndexByte(t.host, ':')
	if colon >= 0 && strings.IndexByte(t.host[colon:], ']') < 0 {
		port, err := strconv.ParseUint(t.host[colon+1:], 10, 16)
		if err != nil {
			return false
		}
		t.host, t.port = t.host[:colon], uint16(port)
	}
	if strings.HasPrefix(t.host, "[") {
		t.host = strings.TrimSuffix(t.host[1:], "]")
	}
	return t.host != ""
}

// clean reports whether the WHATWG parser would give the URL back unchanged,
// erring to false: plain host, no dot segments, only bytes that are never
// encoded.
func clean(raw string, t *target) bool {
	h := t.host
	if t.userinfo != "" || strings.Contains(h, "xn--") || !t.cleanPort() {
		return false
	}
	if last := h[strings.LastIndexByte(h, '.')+1:]; last == "" || last[0] <= '9' { // may be a number (WHATWG URL 3.5)
		if a := t.addr(); !a.Is4() || a.String() != h {
			return false
		}
	}
	for i := range len(h) {
		if c := h[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' && i > 0 && h[i-1] != '.') {
			return false
		}
	}
	if strings.Contains(t.path, "/.") || strings.Contains(t.path, "/%2") {
		return false
	}
	for i := range len(t.path) {
		if c := t.path[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '`' || c == '{' || c == '}' ||
			c == '^' || c == '|' || c == '\\' || c == '#' || c == '\'' {
			return false
		}
	}
	return len(raw) == len(t.scheme())+len("://")+len(t.authority)+len(t.path)
}

// cleanPort reports whether the port is written as the WHATWG parser would:
// not at all where it is the scheme's own.
func (t *target) cleanPort() bool {
	if t.authority == t.host {
		return true
	}
	port, ok := strings.CutPrefix(t.authority, t.host+":")
	return ok && port[0] != '0' && (t.tls || t.port != 80) && (!t.tls || t.port != 443)
}

// authorization is the Basic credential of the userinfo (RFC 7617), or "".
func (t *target) authorization() string {
	if t.userinfo == "" {
		return ""
	}
	user, password, _ := strings.Cut(t.userinfo, ":")
	return basic(unescape(user), unescape(password))
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// unescape takes percent-encoding off; a broken escape stays.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0 {
			b = append(b, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}
