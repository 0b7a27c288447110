package input

import (
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"salvor/cmd/salvor/internal/job"
)

// httpOnly begins the domain of cookies that scripts may not read; the line
// looks like a comment and is none (curl and all browsers' exporters do so).
const httpOnly = "#HttpOnly_"

// Cookies reads a Netscape cookies file: domain, subdomains, path, secure,
// expiry in Unix seconds, name, value, separated by tabs.
func Cookies(r io.Reader, name string) ([]job.Cookie, error) {
	bad := &BadLines{File: name}
	var out []job.Cookie
	err := scan(r, bad, func(n int, text string) {
		text, only := strings.CutPrefix(text, httpOnly)
		if comment(text) {
			return
		}
		c, problem := cookie(text)
		if problem != "" {
			bad.add(n, "%s", problem)
			return
		}
		c.HTTPOnly = only
		out = append(out, c)
	})
	if err != nil {
		return nil, err
	}
	return out, bad.err("the file must be in Netscape format, with tabs, as browsers' cookie exporters and curl -c write it")
}

// cookie reads one line. Its problems never cite the value.
func cookie(text string) (c job.Cookie, problem string) {
	f := strings.Split(text, "\t")
	if len(f) == 6 {
		f = append(f, "") // the tab before an empty value went with the white space
	}
	if len(f) != 7 {
		return c, strconv.Itoa(len(f)) + " fields where 7 belong, separated by tabs"
	}
	sub, err1 := truth(f[1])
	secure, err2 := truth(f[3])
	if err1 || err2 {
		return c, "the second and fourth field are TRUE or FALSE"
	}
	expiry, err := strconv.ParseFloat(f[4], 64) // some exporters write fractions
	if err != nil || expiry < -1 || expiry > 1e12 {
		return c, "the fifth field is no time in Unix seconds"
	}
	c = job.Cookie{Domain: strings.ToLower(strings.TrimPrefix(f[0], ".")), Subdomains: sub, Path: f[2], Secure: secure, Name: f[5], Value: job.Secret(f[6])}
	if expiry > 0 {
		c.Expires = time.Unix(int64(expiry), 0).UTC()
	}
	switch {
	case !domain(c.Domain):
		return c, "the first field is no domain"
	case !strings.HasPrefix(c.Path, "/"):
		return c, "the third field is no path"
	case c.Name == "" || strings.ContainsAny(c.Name, "=; \"") || control(c.Name):
		return c, "the sixth field is no cookie name"
	case strings.Contains(f[6], ";") || control(f[6]):
		return c, "the value holds a semicolon or a control character"
	}
	return c, ""
}

func truth(s string) (v, bad bool) {
	switch {
	case strings.EqualFold(s, "true"):
		return true, false
	case strings.EqualFold(s, "false"):
		return false, false
	}
	return false, true
}

func domain(s string) bool {
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return true
	}
	return s != "" && len(s) <= 253 && !strings.ContainsAny(s, "/:@? #") && !strings.HasPrefix(s, ".") && !control(s)
}

func control(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
