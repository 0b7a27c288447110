package scope

import (
	"net/netip"
	"strings"

	"salvor"
	"salvor/crawler/canon"
)

// area is what the seeds and the kind span. Scheme, default port and a leading
// www. do not matter.
type area struct {
	kind     string
	rule     string              // "scope:" + kind
	places   map[string]bool     // host[:port] without www.
	domains  map[string]bool     // registered domains
	prefixes map[string][]string // by place: pages, or directories ending in a slash
}

func newArea(kind string, seeds []string) (area, error) {
	if kind == "" {
		kind = "host"
	}
	a := area{kind: kind, rule: "scope:" + kind, places: map[string]bool{}, domains: map[string]bool{}, prefixes: map[string][]string{}}
	switch kind {
	case "page", "prefix", "host", "domain", "any":
	default:
		return a, salvor.Errorf(salvor.Invalid, "unknown scope %q", kind).WithHint("one of page, prefix, host, domain, any")
	}
	for _, seed := range seeds {
		u, err := canon.ParseSeed(seed)
		if err != nil {
			return a, err
		}
		p := place(u)
		a.places[p] = true
		a.domains[canon.SiteOf(strings.TrimPrefix(u.Host, "www."))] = true
		path := u.Path
		if kind == "prefix" {
			path, _, _ = strings.Cut(path, "?")
			path = path[:strings.LastIndexByte(path, '/')+1]
		}
		a.prefixes[p] = append(a.prefixes[p], path)
	}
	return a, nil
}

// place is host[:port]: the default ports of both schemes are the same place.
func place(u canon.URL) string {
	if u.IsZero() {
		return ""
	}
	p := u.Origin[len(u.Scheme)+3:]
	if n := len(p); n > 4 && p[n-4:] == ":443" {
		p = p[:n-4]
	} else if n > 3 && p[n-3:] == ":80" {
		p = p[:n-3]
	}
	return strings.TrimPrefix(p, "www.")
}

// match is the rule that holds u inside, or "".
func (a *area) match(u canon.URL) string {
	switch a.kind {
	case "any":
		return a.rule
	case "domain":
		if a.holds(u) {
			return a.rule
		}
		return ""
	}
	p := place(u)
	if !a.places[p] { // "" never is
		return ""
	}
	if a.kind == "host" {
		return a.rule
	}
	for _, path := range a.prefixes[p] {
		if u.Path == path || a.kind == "prefix" && strings.HasPrefix(u.Path, path) {
			return a.rule
		}
	}
	return ""
}

// holds reports whether u's host is one of the scope's, whatever the path.
func (a *area) holds(u canon.URL) bool {
	switch a.kind {
	case "any":
		return true
	case "domain":
		return a.inDomain(u.Host)
	}
	return a.places[place(u)]
}

func (a *area) inDomain(host string) bool {
	if a.domains[host] {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return false // 1.2.3.4 is no subdomain of anything
	}
	for {
		_, rest, ok := strings.Cut(host, ".")
		if !ok {
			return false
		}
		if a.domains[rest] {
			return true
		}
		host = rest
	}
}

// Roots are seeds, few where seeds are many, that span the same area: one for
// each host, domain or directory, by kind. Rules that differ in their seeds this
// way judge links alike.
func Roots(kind string, seeds []string) ([]string, error) {
	if _, err := newArea(kind, nil); err != nil || kind == "any" {
		return nil, err
	}
	var roots []string
	seen := map[string]bool{}
	for _, seed := range seeds {
		u, err := canon.ParseSeed(seed)
		if err != nil {
			return nil, err
		}
		root, name := u.Origin+"/", place(u)
		switch kind {
		case "page":
			root, name = u.Href, name+u.Path
		case "prefix":
			path, _, _ := strings.Cut(u.Path, "?")
			path = path[:strings.LastIndexByte(path, '/')+1]
			root, name = u.Origin+path, name+path
		case "domain":
			name = canon.SiteOf(strings.TrimPrefix(u.Host, "www."))
		}
		if !seen[name] {
			seen[name] = true
			roots = append(roots, root)
		}
	}
	return roots, nil
}
