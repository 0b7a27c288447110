package fetch

import (
	"bufio"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"salvor"
)

// ReadCookies reads a cookie file in Netscape's form, as browsers' add-ons,
// curl and wget write it: seven fields separated by tabs, # begins a comment,
// #HttpOnly_ a cookie. A Domain with a leading dot covers its subdomains.
func ReadCookies(r io.Reader) ([]*http.Cookie, error) {
	var cookies []*http.Cookie
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		text := strings.TrimPrefix(strings.TrimRight(in.Text(), "\r\n"), "#HttpOnly_")
		if strings.TrimSpace(text) == "" || text[0] == '#' {
			continue
		}
		c, err := parseCookie(text)
		if err != nil {
			return nil, salvor.Errorf(salvor.Invalid, "cookie file line %d: %w", n, err).
				WithHint("each line is: domain, subdomains TRUE or FALSE, path, secure TRUE or FALSE, expiry, name, value, separated by tabs")
		}
		cookies = append(cookies, c)
	}
	if err := in.Err(); err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "read cookie file: %w", err)
	}
	return cookies, nil
}

func parseCookie(text string) (*http.Cookie, error) {
	f := strings.Split(text, "\t")
	if len(f) == 6 {
		f = append(f, "") // an empty value, its tab stripped
	}
	if len(f) != 7 {
		return nil, salvor.Errorf(salvor.Invalid, "%d fields, not 7", len(f))
	}
	expiry, err := strconv.ParseFloat(f[4], 64)
	if err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "expiry %q is not a number", f[4])
	}
	c := &http.Cookie{
		Domain: strings.ToLower(strings.TrimPrefix(f[0], ".")), Path: f[2],
		Secure: strings.EqualFold(f[3], "TRUE"), Name: f[5], Value: f[6],
	}
	if strings.EqualFold(f[1], "TRUE") {
		c.Domain = "." + c.Domain
	}
	if expiry > 0 {
		c.Expires = time.Unix(int64(expiry), 0)
	}
	if strings.ContainsAny(c.Name+c.Value, "\r\n\x00;") {
		return nil, salvor.Errorf(salvor.Invalid, "cookie %q holds a character that cannot be sent", c.Name)
	}
	return c, nil
}

// cookieJar finds cookies by domain. It never changes: what a server sets
// during a crawl is recorded, not sent back.
type cookieJar map[string][]*http.Cookie

func newCookieJar(cookies []*http.Cookie) cookieJar {
	if len(cookies) == 0 {
		return nil
	}
	jar := cookieJar{}
	for _, c := range cookies {
		d := strings.ToLower(c.Domain)
		jar[d] = append(jar[d], c)
	}
	return jar
}

// header is the Cookie line's value for a request (RFC 6265 5.4).
func (jar cookieJar) header(t *target, now time.Time) string {
	if jar == nil {
		return ""
	}
	path, _, _ := strings.Cut(t.path, "?")
	var b []byte
	add := func(domain string) {
		for _, c := range jar[domain] {
			if c.Secure && !t.tls || !c.Expires.IsZero() && c.Expires.Before(now) || !pathMatch(path, c.Path) {
				continue
			}
			if len(b) > 0 {
				b = append(b, "; "...)
			}
			b = append(append(append(b, c.Name...), '='), c.Value...)
		}
	}
	add(t.host)
	add("." + t.host)
	if !t.addr().IsValid() {
		for i := range len(t.host) {
			if t.host[i] == '.' {
				add(t.host[i:])
			}
		}
	}
	return string(b)
}

// pathMatch is RFC 6265 5.1.4.
func pathMatch(path, of string) bool {
	if of == "" || of == "/" || path == of {
		return true
	}
	rest, ok := strings.CutPrefix(path, of)
	return ok && (of[len(of)-1] == '/' || strings.HasPrefix(rest, "/"))
}
