package cdx

import (
	"bytes"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// SURT is the key of a URL by the rules of the Internet Archive's tools, as
// pywb and Common Crawl apply them: escapes undone and made again minimally,
// userinfo, default port, www. prefix, fragment, session ids and a trailing
// slash gone, everything in lower case, the query's arguments sorted, the
// host's labels reversed. It takes any text.
func SURT(url string) string {
	if url == "" {
		return "-"
	}
	if strings.HasPrefix(url, "filedesc") {
		return url
	}
	u := split(clean(url))
	u.canonicalize()
	return u.key()
}

// parts of a URL. Empty host or query means none.
type parts struct {
	scheme, host, path, query []byte
	port                      int
}

var (
	spaces      = strings.NewReplacer("\n", "", "\r", "", "\t", "")
	doubledRE   = regexp.MustCompile(`^(https?://)+`)
	httpSchemes = map[string]int{"http": 80, "https": 443}
)

// clean gives a URL without line breaks that begins with a scheme, once:
// links such as http://https://example.com/ are common.
func clean(url string) []byte {
	url = spaces.Replace(strings.TrimSpace(url))
	if !hasScheme(url) {
		url = "http://" + url
	}
	b := []byte(url)
	if !strings.Contains(url, "://http") {
		return b
	}
	if m := doubledRE.FindSubmatchIndex(b); m != nil {
		b = append(b[m[2]:m[3]:m[3]], b[m[1]:]...)
	}
	return b
}

// hasScheme sees what looks like a scheme and a colon (RFC 3986, 3.1).
func hasScheme(url string) bool {
	for i := range len(url) {
		c := url[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		switch {
		case c == ':':
			return i > 0
		case letter:
		case i > 0 && ('0' <= c && c <= '9' || c == '+' || c == '.' || c == '-'):
		default:
			return false
		}
	}
	return false
}

// www is the length of a host's "www.", "www2." and the like.
func www(host []byte) int {
	if !bytes.HasPrefix(host, []byte("www")) {
		return 0
	}
	i := 3
	for i < len(host) && '0' <= host[i] && host[i] <= '9' {
		i++
	}
	if i < len(host) && host[i] == '.' {
		return i + 1
	}
	return 0
}

// split follows RFC 2396, appendix B.
func split(b []byte) (u parts) {
	scheme, rest, _ := bytes.Cut(b, []byte(":"))
	u.scheme = scheme
	rest, _, _ = bytes.Cut(rest, []byte("#"))
	rest, u.query, _ = bytes.Cut(rest, []byte("?"))
	if !bytes.HasPrefix(rest, []byte("//")) {
		u.path = rest
	} else if i := bytes.IndexByte(rest[2:], '/'); i >= 0 {
		u.authority(rest[2 : 2+i])
		u.path = rest[2+i:]
	} else {
		u.authority(rest[2:])
	}
	if len(u.host) == 0 && len(u.path) > 0 && bytes.HasPrefix(u.scheme, []byte("http")) {
		host, path, _ := bytes.Cut(bytes.TrimLeft(u.path, "/"), []byte("/"))
		u.host, u.path = host, append([]byte("/"), path...)
	}
	return u
}

func (u *parts) authority(a []byte) {
	if i := bytes.LastIndexByte(a, '@'); i >= 0 {
		a = a[i+1:]
	}
	host, port := a, []byte(nil)
	if i := bytes.IndexByte(a, '['); i >= 0 {
		host, port, _ = bytes.Cut(a[i+1:], []byte("]"))
		_, port, _ = bytes.Cut(port, []byte(":"))
	} else {
		host, port, _ = bytes.Cut(a, []byte(":"))
	}
	u.host = host
	if n, err := strconv.ParseUint(string(port), 10, 16); err == nil {
		u.port = int(n)
	}
}

func (u *parts) canonicalize() {
	u.host = canonicalHost(u.host)
	if string(u.scheme) != "dns" {
		u.host = u.host[www(u.host):]
	}
	if u.port == httpSchemes[strings.ToLower(string(u.scheme))] {
		u.port = 0
	}
	u.path = unescape(u.path)
	if len(u.host) > 0 {
		u.path = normalPath(u.path)
	}
	u.path = stripPathSession(lower(escape(u.path)))
	if n := len(u.path); n > 1 && u.path[n-1] == '/' {
		u.path = u.path[:n-1]
	}
	u.query = sortQuery(stripQuerySession(lower(escape(unescape(u.query)))))
}

func (u *parts) key() string {
	var b []byte
	if len(u.host) == 0 {
		b = append(append(b, u.scheme...), ':')
	} else {
		labels := bytes.Split(u.host, []byte("."))
		slices.Reverse(labels)
		b = append(b, bytes.Join(labels, []byte(","))...)
		if u.port != 0 {
			b = strconv.AppendInt(append(b, ':'), int64(u.port), 10)
		}
		b = append(b, ')')
	}
	b = append(b, u.path...)
	if len(u.query) > 0 {
		if len(u.path) == 0 {
			b = append(b, '/')
		}
		b = append(append(b, '?'), u.query...)
	}
	return string(b)
}

func canonicalHost(h []byte) []byte {
	h = unescape(h)
	if !ascii(h) {
		h = punycode(h)
	}
	h = bytes.Trim(bytes.ReplaceAll(h, []byte(".."), []byte(".")), ".")
	if ip, ok := looseIPv4(string(h)); ok {
		return []byte(ip)
	}
	return lower(escape(lower(h)))
}

// punycode encodes a host that was not serialised by a URL parser. One that
// has an empty or too long label stays as it is, to be escaped.
func punycode(h []byte) []byte {
	text := norm.NFKC.String(strings.ToLower(strings.ToValidUTF8(string(h), "")))
	a, err := idna.Punycode.ToASCII(text)
	if err != nil {
		return h
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(a, "."), ".") {
		if len(label) == 0 || len(label) > 63 {
			return h
		}
	}
	return []byte(a)
}

// looseIPv4 reads IPv4 addresses the way inet_aton does: one to four numbers,
// octal with a leading zero, the last one filling what is left. A host of
// digits only is a decimal number cut to 32 bits.
func looseIPv4(h string) (string, bool) {
	for i := range len(h) {
		if h[i] != '.' && (h[i] < '0' || h[i] > '9') {
			return "", false
		}
	}
	if h == "" {
		return "", false
	}
	fields := strings.Split(h, ".")
	if len(fields) == 1 {
		return dotted(modulo32(h)), true
	}
	if len(fields) > 4 {
		return "", false
	}
	var addr uint64
	for i, f := range fields {
		v, err := strconv.ParseUint(f, base(f), 32)
		last := i == len(fields)-1
		switch {
		case err != nil, !last && v > 255, last && v >= 1<<(8*(5-len(fields))):
			return "", false
		case last:
			addr |= v
		default:
			addr |= v << (24 - 8*i)
		}
	}
	return dotted(uint32(addr)), true
}

func base(s string) int {
	if len(s) > 1 && s[0] == '0' {
		return 8
	}
	return 10
}

func modulo32(digits string) (v uint32) {
	for i := range len(digits) {
		v = v*10 + uint32(digits[i]-'0')
	}
	return v
}

func dotted(v uint32) string {
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}).String()
}

// normalPath resolves dot segments and drops empty ones, except a last one.
func normalPath(p []byte) []byte {
	if len(p) == 0 {
		return []byte("/")
	}
	var kept [][]byte
	for _, s := range bytes.Split(p, []byte("/"))[1:] {
		switch {
		case string(s) == ".":
		case string(s) == ".." && len(kept) > 0:
			kept = kept[:len(kept)-1]
		default:
			kept = append(kept, s)
		}
	}
	out := make([]byte, 1, len(p)+1)
	out[0] = '/'
	for i, s := range kept {
		last := i == len(kept)-1
		if out = append(out, s...); len(s) > 0 && !last {
			out = append(out, '/')
		}
	}
	return out
}

// unescape undoes percent-encoding until nothing changes.
func unescape(b []byte) []byte {
	for bytes.IndexByte(b, '%') >= 0 {
		n := unescapeOnce(b)
		if len(n) == len(b) {
			return n
		}
		b = n
	}
	return b
}

func unescapeOnce(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			hi, lo := unhex(b[i+1]), unhex(b[i+2])
			if hi >= 0 && lo >= 0 {
				out = append(out, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
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

// escape encodes what is not printable ASCII, the number and percent signs.
func escape(b []byte) []byte {
	clean := true
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || c == '#' || c == '%' {
			clean = false
			break
		}
	}
	if clean {
		return b
	}
	out := make([]byte, 0, len(b)+8)
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || c == '#' || c == '%' {
			out = append(out, '%', lowerHex[c>>4], lowerHex[c&15])
		} else {
			out = append(out, c)
		}
	}
	return out
}

// lower folds ASCII letters only.
func lower(b []byte) []byte {
	out := b
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			if &out[0] == &b[0] {
				out = slices.Clone(b)
			}
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// sortQuery sorts arguments by name, then value; a name without "=" first.
func sortQuery(q []byte) []byte {
	if bytes.IndexByte(q, '&') < 0 {
		return q
	}
	args := bytes.Split(q, []byte("&"))
	slices.SortStableFunc(args, func(a, b []byte) int {
		an, av, ahas := bytes.Cut(a, []byte("="))
		bn, bv, bhas := bytes.Cut(b, []byte("="))
		if c := bytes.Compare(an, bn); c != 0 {
			return c
		}
		if ahas != bhas {
			if ahas {
				return 1
			}
			return -1
		}
		return bytes.Compare(av, bv)
	})
	return bytes.Join(args, []byte("&"))
}
