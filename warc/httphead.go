package warc

import (
	"bytes"
	"strconv"
	"strings"
)

// form is how a response's bytes can be stored so that every checker of the
// field accepts the record; docs/decisions/0008 has the table of trials.
type form uint8

const (
	// formNone: nothing came, or a head that is no HTTP message to jwarc or
	// gowarc. Stored as a response record of application/octet-stream.
	formNone form = iota
	// formBare: no head at all (HTTP/0.9). Stored as a resource record: its
	// block is the entity body (WARC 1.1, 6.4.2).
	formBare
	// formLoose: an HTTP message to readers that go by lines, but net/http
	// (which IA's verifier uses) rejects it or sees another payload. Stored
	// as application/http without a payload digest.
	formLoose
	// formStrict: every reader sees the same payload.
	formStrict
)

// headInfo is what one pass over a response's head finds.
type headInfo struct {
	form   form
	mime   string // declared media type, without parameters
	length int64  // Content-Length; -1 none
	coding bool   // there is a Transfer-Encoding
}

// parseHead judges a head of HeadLen bytes, blank line included.
func parseHead(head []byte) headInfo {
	in := headInfo{form: formStrict, length: -1}
	line, rest, ok := cutLine(head)
	if !ok || !in.statusLine(line) {
		in.form = formNone
		return in
	}
	for n := 0; ; n++ {
		if line, rest, ok = cutLine(rest); !ok {
			in.form = formNone // no blank line: gowarc says so
			return in
		}
		if len(line) == 0 {
			break
		}
		if !in.fieldLine(line, n == 0) {
			in.form = formNone
			return in
		}
	}
	if len(rest) != 0 {
		in.form = formNone
	}
	return in
}

// cutLine takes one line that ends in LF, and drops its CR.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return nil, b, false
	}
	line, rest = b[:i], b[i+1:]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, rest, true
}

// statusLine takes HTTP/D.D, spaces, three digits and an optional reason.
func (in *headInfo) statusLine(l []byte) bool {
	if len(l) < 6 || string(l[:5]) != "HTTP/" {
		return false
	}
	v, rest, ok := bytes.Cut(l[5:], []byte(" "))
	if !ok || len(v) == 0 {
		return false
	}
	if len(v) != 3 || v[1] != '.' || !isDigit(v[0]) || !isDigit(v[2]) {
		if len(v) != 1 || !isDigit(v[0]) {
			return false
		}
		in.form = formLoose // "HTTP/2 200": net/http rejects it
	}
	rest = bytes.TrimLeft(rest, " ")
	if len(rest) < 3 || !isDigit(rest[0]) || !isDigit(rest[1]) || !isDigit(rest[2]) {
		return false
	}
	if len(rest) > 3 && rest[3] != ' ' {
		return false
	}
	if code := string(rest[:3]); code < "200" || code == "204" || code == "304" {
		in.form = formLoose // net/http sees no body whatever follows
	}
	return true
}

// fieldLine takes "name: value" or, not first, a folded line. What net/http
// would reject makes the form loose.
func (in *headInfo) fieldLine(l []byte, first bool) bool {
	if l[0] == ' ' || l[0] == '\t' {
		in.loosenUnless(cleanValue(l))
		return !first
	}
	colon := bytes.IndexByte(l, ':')
	if colon < 0 {
		return false
	}
	name, value := l[:colon], bytes.Trim(l[colon+1:], " \t")
	in.loosenUnless(cleanName(name) && cleanValue(value))
	switch len(name) {
	case len("Content-Type"):
		if in.mime == "" && bytes.EqualFold(name, []byte("Content-Type")) {
			in.mime = declaredType(value)
		}
	case len("Content-Length"):
		if bytes.EqualFold(name, []byte("Content-Length")) {
			in.contentLength(value)
		}
	case len("Transfer-Encoding"):
		if bytes.EqualFold(name, []byte("Transfer-Encoding")) {
			in.coding = true
			in.form = formLoose
		}
	}
	return true
}

func (in *headInfo) contentLength(v []byte) {
	n, err := strconv.ParseUint(string(v), 10, 63)
	in.loosenUnless(err == nil && in.length < 0 && len(v) > 0 && isDigit(v[0]))
	in.length = int64(n)
}

func (in *headInfo) loosenUnless(ok bool) {
	if !ok {
		in.form = formLoose
	}
}

// declaredType is what pywb puts into its index: all before ";" or a space.
func declaredType(v []byte) string {
	if i := bytes.IndexAny(v, "; "); i >= 0 {
		v = v[:i]
	}
	return strings.ToValidUTF8(string(v), "�")
}

func cleanName(n []byte) bool {
	for _, c := range n {
		if !tokenBytes[c] {
			return false
		}
	}
	return len(n) > 0
}

func cleanValue(v []byte) bool {
	for _, c := range v {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
