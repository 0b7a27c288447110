package fetch

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// sender writes requests. Order and casing of the lines are those of a
// browser, always the same, because some servers look at them and because a
// record should not differ for no reason.
type sender struct {
	fixed   [][2]string // lines before Referer
	extra   [][2]string // lines of Config.Header that replace none, and From
	plain   [][2]string // extra without credentials
	trusted func(host string) bool
	cookies cookieJar
}

func newSender(c *Config) *sender {
	s := &sender{fixed: [][2]string{
		{"User-Agent", c.UserAgent},
		{"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		{"Accept-Encoding", "gzip"},
	}, cookies: newCookieJar(c.Cookies)}
	if c.From != "" {
		s.extra = append(s.extra, [2]string{"From", c.From})
	}
	s.fixed, s.extra = override(s.fixed, s.extra, c.Header)
	s.trusted = c.SensitiveFor
	s.plain = slices.DeleteFunc(slices.Clone(s.extra), func(l [2]string) bool { return Sensitive(l[0]) })
	return s
}

// linesFor are the extra lines that a host may get. Each hop of a redirect is
// a request of its own, so credentials do not follow it to another host.
func (s *sender) linesFor(t *target) [][2]string {
	if s.trusted == nil || s.trusted(t.host) {
		return s.extra
	}
	return s.plain
}

// secretWords make a header's name one of credentials.
var secretWords = [...]string{"auth", "cookie", "token", "secret", "password", "passwd", "credential", "session", "api-key", "apikey", "access-key", "csrf", "xsrf", "jwt", "signature"}

// Sensitive reports whether a header line of this name may hold credentials:
// Authorization, Cookie, X-Api-Key and the like. It errs to true.
func Sensitive(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	return slices.ContainsFunc(secretWords[:], func(w string) bool { return strings.Contains(name, w) })
}

// override puts lines in the place of those with the same name; what has no
// place goes to the end. The arguments are not changed.
func override(fixed, extra, lines [][2]string) (f, e [][2]string) {
	if len(lines) == 0 {
		return fixed, extra
	}
	f, e = append([][2]string(nil), fixed...), append([][2]string(nil), extra...)
next:
	for _, l := range lines {
		for i := range f {
			if strings.EqualFold(f[i][0], l[0]) {
				f[i] = l
				continue next
			}
		}
		e = append(e, l)
	}
	return f, e
}

// ours are lines that follow from the request itself and cannot be set.
func ours(name string) bool {
	for _, n := range [...]string{"Host", "Connection", "Content-Length", "Transfer-Encoding", "Proxy-Authorization"} {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// message is a request ready to be sent. Bytes cutFrom to cutTo are a secret
// line for the proxy that is not recorded.
type message struct {
	bytes          []byte
	cutFrom, cutTo int
}

// recorded is the message without the proxy's secret.
func (m *message) recorded() []byte {
	if m.cutTo == 0 {
		return m.bytes
	}
	return append(append(make([]byte, 0, len(m.bytes)), m.bytes[:m.cutFrom]...), m.bytes[m.cutTo:]...)
}

// message serialises r. viaProxy asks for the absolute form (RFC 9112 3.2.2).
func (s *sender) message(r *Request, t *target, viaProxy *proxy, now time.Time) message {
	var m message
	fixed, extra := override(s.fixed, s.linesFor(t), r.Header)
	b := make([]byte, 0, 512+len(t.path)+len(r.Referer)+len(r.Body))
	b = append(append(b, method(r)...), ' ')
	if viaProxy != nil {
		b = append(append(append(b, "http://"...), t.authority...), t.path...)
	} else {
		b = append(b, t.path...)
	}
	b = append(b, " HTTP/1.1\r\n"...)
	b = line(b, "Host", t.authority)
	b = lines(b, fixed)
	b = line(b, "Referer", referer(r.Referer))
	b = line(b, "Connection", "keep-alive")
	b = line(b, "Authorization", t.authorization())
	b = line(b, "Cookie", s.cookies.header(t, now))
	b = lines(b, extra)
	if len(r.Body) > 0 || method(r) == "POST" || method(r) == "PUT" || method(r) == "PATCH" {
		b = line(b, "Content-Length", strconv.Itoa(len(r.Body)))
	}
	if viaProxy != nil && viaProxy.auth != "" {
		m.cutFrom = len(b)
		b = line(b, "Proxy-Authorization", viaProxy.auth)
		m.cutTo = len(b)
	}
	m.bytes = append(append(b, "\r\n"...), r.Body...)
	return m
}

func method(r *Request) string {
	if r.Method == "" {
		return "GET"
	}
	return r.Method
}

func lines(b []byte, ls [][2]string) []byte {
	for _, l := range ls {
		if !ours(l[0]) {
			b = line(b, l[0], l[1])
		}
	}
	return b
}

// line appends one header line; without a value, none.
func line(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(b, name...), ": "...)
	return append(append(b, value...), '\r', '\n')
}

// referer is the page's URL without what RFC 9110 10.1.3 forbids; "" where it
// cannot be sent.
func referer(page string) string {
	page, _, _ = strings.Cut(page, "#")
	if strings.ContainsFunc(page, unsendable) {
		return ""
	}
	scheme, rest, ok := strings.Cut(page, "://")
	if !ok {
		return ""
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
		return scheme + "://" + rest[at+1:]
	}
	return page
}
