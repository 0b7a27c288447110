package canon

import (
	"strings"

	whatwg "github.com/nlnwa/whatwg-url/url"
)

// Base resolves the references of one document. It is cheap to make and not
// safe for concurrent use.
type Base struct {
	url    URL
	prefix string      // Href up to the path: the origin, with credentials
	path   string      // Path without query
	dir    string      // path up to and with its last slash
	slow   *whatwg.Url // parsed on first need
	encode *queryEncoder
}

// NewBase makes a base of a URL, usually that of the response, or of <base>.
func NewBase(href string) (*Base, error) {
	u, err := Parse(href)
	if err != nil {
		return nil, err
	}
	return BaseOf(u), nil
}

// BaseOf makes a base of a URL that is canonical already.
func BaseOf(u URL) *Base {
	b := &Base{url: u, prefix: u.Href[:len(u.Href)-len(u.Path)], path: u.Path}
	if q := strings.IndexByte(u.Path, '?'); q >= 0 {
		b.path = u.Path[:q]
	}
	b.dir = b.path[:strings.LastIndexByte(b.path, '/')+1]
	return b
}

// URL is what references are resolved against.
func (b *Base) URL() URL { return b.url }

// Resolve gives a reference its canonical form. The result shares no memory
// with ref. Its errors are ErrScheme, ErrTooLong and ErrInvalid.
func (b *Base) Resolve(ref string) (URL, error) {
	if len(ref) > MaxLen {
		return URL{}, ErrTooLong
	}
	if u, err, ok := b.fast(trim(ref)); ok {
		return u, err
	}
	return b.resolveSlow(ref)
}

// resolveSlow is what fast must agree with.
func (b *Base) resolveSlow(ref string) (URL, error) {
	if b.slow == nil {
		w, err := whatwg.Parse(b.url.Href)
		if err != nil {
			return URL{}, ErrInvalid
		}
		b.slow = w
	}
	return parse(b.encode.query(ref), b.slow)
}

// fast resolves references that the parser would only copy; ok is false where
// it cannot tell.
func (b *Base) fast(ref string) (u URL, err error, ok bool) {
	if ref == "" {
		return b.url, nil, true
	}
	switch ref[0] {
	case '#':
		return b.url, nil, true
	case '?':
		return b.join(b.path, ref)
	case '/':
		if len(ref) > 1 && ref[1] == '/' {
			return fastAbsolute(b.url.Scheme, ref)
		}
		return b.join("", ref)
	}
	if n := schemeLen(ref); n > 0 {
		return b.fastScheme(ref, n)
	}
	dir := b.dir
	for strings.HasPrefix(ref, ".") {
		switch {
		case strings.HasPrefix(ref, "./"):
			ref = ref[2:]
		case strings.HasPrefix(ref, "../"):
			ref = ref[3:]
			if len(dir) > 1 {
				dir = dir[:strings.LastIndexByte(dir[:len(dir)-1], '/')+1]
			}
		default:
			return b.join(dir, ref)
		}
	}
	return b.join(dir, ref)
}

// fastScheme handles references that begin with a scheme of n bytes.
func (b *Base) fastScheme(ref string, n int) (u URL, err error, ok bool) {
	scheme := ref[:n]
	if scheme != "http" && scheme != "https" {
		return u, ErrScheme, isOpaqueScheme(scheme)
	}
	rest := ref[n+1:]
	if !strings.HasPrefix(rest, "//") {
		return u, nil, false
	}
	if strings.HasPrefix(ref, b.prefix) && len(ref) > len(b.prefix) && ref[len(b.prefix)] == '/' {
		return b.join("", ref[len(b.prefix):])
	}
	return fastAbsolute(scheme, rest)
}

// join puts a clean path and query behind the base's origin.
func (b *Base) join(dir, ref string) (u URL, err error, ok bool) {
	n := cleanLen(ref, dir != "")
	if n < 0 {
		return u, nil, false
	}
	if len(b.prefix)+len(dir)+n > MaxLen {
		return u, ErrTooLong, true
	}
	href := b.prefix + dir + ref[:n]
	u = b.url
	u.Href, u.Path = href, href[len(b.prefix):]
	return u, nil, true
}

// fastAbsolute handles //host[:port]/path with a clean host.
func fastAbsolute(scheme, rest string) (u URL, err error, ok bool) {
	host, end := cleanHost(scheme, rest[2:])
	if host < 0 || host > maxHost {
		return u, nil, false
	}
	end += 2
	path := rest[end:]
	if path == "" {
		path = "/"
	}
	n := cleanLen(path, false)
	if n < 0 {
		return u, nil, false
	}
	if len(scheme)+1+end+n > MaxLen {
		return u, ErrTooLong, true
	}
	href := scheme + ":" + rest[:end] + path[:n]
	start, stop := len(scheme)+3, len(scheme)+1+end
	return URL{Href: href, Scheme: href[:len(scheme)], Host: href[start : start+host], Origin: href[:stop], Path: href[stop:]}, nil, true
}
