// Package canon gives every URL the one form by which the crawl knows it.
//
// The form is the WHATWG serialisation without fragment: case and query order
// are kept, http and https stay distinct, nothing is "cleaned". It is what is
// fetched, what the item's key is hashed from and what the WARC names. Only
// http and https URLs have a canonical form. Links go through Base, which
// resolves clean references without the parser and is fuzzed to agree with it.
package canon

import (
	"errors"
	"net/netip"
	"strings"

	whatwg "github.com/nlnwa/whatwg-url/url"
	"golang.org/x/net/publicsuffix"
)

// Version numbers this canonical form. A crawl stores the version it began
// with, because two forms of one URL would be two items.
const Version uint16 = 1

// MaxLen is the longest URL that is taken, as given and as serialised.
const MaxLen = 16 << 10

// What can be wrong with a reference. A page holds thousands, so these are
// plain values; Parse and ParseSeed wrap them with the input and the remedy.
var (
	ErrScheme  = errors.New("not an http or https URL")
	ErrTooLong = errors.New("URL longer than 16 KB")
	ErrInvalid = errors.New("not a valid URL")
)

// URL is a canonical URL and its parts.
type URL struct {
	Href   string // the whole, without fragment
	Scheme string // http or https
	Host   string // lower-case, without port; an IPv6 address without brackets
	Origin string // scheme://host[:port], default port dropped, no credentials
	Path   string // path and query, beginning with a slash: what robots rules match
}

// IsZero reports whether u is no URL.
func (u URL) IsZero() bool { return u.Href == "" }

// Port is the port as text, the scheme's default when none is written.
func (u URL) Port() string {
	if len(u.Origin) < len(u.Scheme)+3 {
		return ""
	}
	rest := u.Origin[len(u.Scheme)+3:]
	if i := strings.LastIndexByte(rest, ':'); i >= 0 && i > strings.LastIndexByte(rest, ']') {
		return rest[i+1:]
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}

// Site is the registered domain of the host (example.co.uk), or the host
// itself where there is none: an address, a bare name, a public suffix.
func (u URL) Site() string { return SiteOf(u.Host) }

// SiteOf is URL.Site of a host in canonical form.
func SiteOf(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	site, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return host
	}
	return site
}

// The parser takes time with the square of some lengths: a page may hold
// thousands of references made for that. What needs no parser may be longer.
const (
	maxSlow      = 8 << 10
	maxAuthority = 512
	maxHost      = 255 // longer than any name (RFC 1035 2.3.4)
)

// authorityLen is how long the user, host and port of a reference are, 0 where
// it has none.
func authorityLen(ref string) int {
	ref = trim(ref)
	if ref == "" {
		return 0
	}
	if n := schemeLen(ref); n > 0 {
		ref = ref[n+1:]
	}
	rest := strings.TrimLeft(ref, "/\\\t\n\r")
	lead := ref[:len(ref)-len(rest)]
	if strings.Count(lead, "/")+strings.Count(lead, "\\") < 2 {
		return 0
	}
	if n := strings.IndexAny(rest, "/\\?#"); n >= 0 {
		return n
	}
	return len(rest)
}

// parse runs the WHATWG parser; base may be nil.
func parse(ref string, base *whatwg.Url) (URL, error) {
	if len(ref) > maxSlow || authorityLen(ref) > maxAuthority {
		return URL{}, ErrTooLong
	}
	var w *whatwg.Url
	var err error
	if base == nil {
		w, err = whatwg.Parse(ref)
	} else {
		w, err = base.Parse(ref)
	}
	if err != nil || w == nil {
		return URL{}, ErrInvalid
	}
	if s := w.Scheme(); s != "http" && s != "https" {
		return URL{}, ErrScheme
	}
	if n := len(w.Hostname()); n == 0 || n > maxHost {
		return URL{}, ErrInvalid
	}
	// Credentials would stand in every record, and one page would have two URLs.
	w.SetUsername("")
	w.SetPassword("")
	href := w.Href(true)
	if len(href) > MaxLen {
		return URL{}, ErrTooLong
	}
	return split(href), nil
}

// Parts takes a URL apart that is canonical already, without parsing it again;
// the zero URL if it cannot be one.
func Parts(href string) URL {
	scheme, rest, ok := strings.Cut(href, "://")
	if !ok || scheme != "http" && scheme != "https" || rest == "" || strings.IndexByte(rest, '/') <= 0 {
		return URL{}
	}
	return split(href)
}

// split takes the parts out of a serialised http(s) URL.
func split(href string) URL {
	u := URL{Href: href}
	u.Scheme = href[:strings.IndexByte(href, ':')]
	start := len(u.Scheme) + 3
	end := start + strings.IndexByte(href[start:], '/')
	u.Path = href[end:]
	authority := href[start:end]
	u.Origin = href[:end]
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		authority = authority[at+1:]
		u.Origin = href[:start] + authority
	}
	u.Host = authority
	if host, _, ok := strings.Cut(authority, "]"); ok && strings.HasPrefix(host, "[") {
		u.Host = host[1:]
	} else if colon := strings.IndexByte(authority, ':'); colon >= 0 {
		u.Host = authority[:colon]
	}
	return u
}
