package fetch

import (
	"bytes"
	"strings"
)

// Parsing of response heads. Browsers are the measure (Chromium's
// http_response_headers.cc, WHATWG fetch), not RFC 9112: whatever they show,
// an archive keeps. Everything odd becomes a note.

// slop is how many stray bytes may precede "HTTP", as in Chromium.
const slop = 4

// head is a parsed response head.
type head struct {
	status  int
	version string // "http/1.1", for WARC-Protocol
	old     bool   // HTTP/1.0 or unknown: no keep-alive unless said
	header  Header
	notes   []string
}

func (h *head) note(s string) { h.notes = append(h.notes, s) }

type verdict uint8

const (
	needMore verdict = iota
	isHead           // a status line begins at the offset given
	isHTTP09         // no status line: the bytes are the entity (RFC 1945 3.1)
)

// lookAt tells what the first bytes of an answer are.
func lookAt(b []byte) (start int, v verdict) {
	for start < len(b) && (b[start] == '\r' || b[start] == '\n') {
		start++
	}
	rest := b[start:]
	for i := range slop + 1 {
		if i > len(rest) {
			return start, needMore
		}
		switch matchStatus(rest[i:]) {
		case isHead:
			return start + i, isHead
		case needMore:
			return start, needMore
		}
	}
	return 0, isHTTP09
}

// matchStatus looks for "HTTP/", "HTTP " or SHOUTcast's "ICY ".
func matchStatus(b []byte) verdict {
	for _, word := range [...]string{"HTTP/", "HTTP ", "ICY "} {
		n := min(len(b), len(word))
		if strings.EqualFold(word[:n], string(b[:n])) {
			if n == len(word) {
				return isHead
			}
			return needMore
		}
	}
	return isHTTP09
}

// headEnd is the length of the head in b with its blank line, or 0. Nothing
// before from needs to be looked at again.
func headEnd(b []byte, from int) int {
	for i := max(0, from-3); i < len(b); {
		j := bytes.IndexByte(b[i:], '\n')
		if j < 0 {
			return 0
		}
		i += j + 1
		switch rest := b[i:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return i + 1
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return i + 2
		}
	}
	return 0
}

// parseHead reads a head that begins with a status line at start. It takes
// any bytes; a head that was cut gives what is there.
func parseHead(b []byte, start int) head {
	var h head
	if start > 0 {
		h.note("stray bytes before the status line")
	}
	text := string(b[start:])
	line, rest, _ := cutLine(text)
	h.parseStatus(line)
	if strings.IndexByte(text, 0) >= 0 {
		h.note("NUL in the response head")
	}
	h.header = make(Header, 0, strings.Count(rest, "\n"))
	for rest != "" {
		line, rest, _ = cutLine(rest)
		h.parseField(line)
	}
	return h
}

// cutLine takes one line, ended by LF, off s.
func cutLine(s string) (line, rest string, ended bool) {
	line, rest, ended = strings.Cut(s, "\n")
	return strings.TrimSuffix(line, "\r"), rest, ended
}

// parseStatus reads the status line as browsers do: version, blanks, digits.
func (h *head) parseStatus(line string) {
	version, rest, _ := strings.Cut(line, " ")
	h.parseVersion(version)
	rest = strings.TrimLeft(rest, " \t")
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	if rest == "" {
		h.status = 200
		h.note("status line without a status, 200 assumed")
		return
	}
	if n != 3 || rest[0] == '0' || n < len(rest) && rest[n] != ' ' && rest[n] != '\t' {
		h.note("invalid status in the status line")
		return
	}
	h.status = int(rest[0]-'0')*100 + int(rest[1]-'0')*10 + int(rest[2]-'0')
}

func (h *head) parseVersion(v string) {
	switch v {
	case "HTTP/1.1":
		h.version = "http/1.1"
		return
	case "HTTP/1.0":
		h.version, h.old = "http/1.0", true
		return
	}
	h.version, h.old = "http/1.0", true
	if low := strings.ToLower(v); low == "http/1.1" {
		h.version, h.old = low, false
	}
	h.note("unusual protocol version in the status line")
}

// parseField reads one header line.
func (h *head) parseField(line string) {
	if line == "" {
		return
	}
	if line[0] == ' ' || line[0] == '\t' {
		if h.fold(line) {
			return
		}
		line = strings.TrimLeft(line, " \t")
	}
	if strings.IndexByte(line, '\r') >= 0 {
		h.note("bare CR in a header line")
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		h.note("header line without a colon")
		return
	}
	if trimmed := strings.TrimRight(name, " \t"); trimmed != name {
		h.note("blank before the colon of a header line")
		name = trimmed
	}
	if name == "" {
		h.note("header line without a name")
		return
	}
	if strings.ContainsFunc(name, notToken) {
		h.note("header name is not a token")
	}
	h.header = append(h.header, Field{name, strings.Trim(value, " \t")})
}

// fold joins an obsolete continuation line (RFC 9112 5.2) to the field before.
func (h *head) fold(line string) bool {
	if len(h.header) == 0 {
		h.note("first header line begins with a blank")
		return false
	}
	last := &h.header[len(h.header)-1]
	last.Value = strings.TrimLeft(last.Value+" "+strings.Trim(line, " \t"), " ")
	h.note("folded header line")
	return true
}

// hasToken reports whether a comma-separated header lists a token.
func (h Header) hasToken(name, token string) bool {
	for _, f := range h {
		if !strings.EqualFold(f.Name, name) {
			continue
		}
		for part := range strings.SplitSeq(f.Value, ",") {
			if strings.EqualFold(strings.Trim(part, " \t"), token) {
				return true
			}
		}
	}
	return false
}
