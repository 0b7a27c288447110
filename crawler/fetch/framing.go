package fetch

import (
	"strings"
)

// frame says where a message ends (RFC 9112 6.3, read leniently).
type frame struct {
	framing Framing
	length  int64 // with Length: bytes of the body
	least   int64 // with two lengths: the smaller one, where the body may end too
	reuse   bool  // the connection may carry another request
}

// frameOf decides the framing of the answer to a request of that method.
// Every doubt forbids reuse: who is unsure where one answer ends does not know
// where the next begins.
func frameOf(method string, h *head) frame {
	f := frame{reuse: !h.old}
	if h.old && h.header.hasToken("Connection", "keep-alive") {
		f.reuse = true
	}
	if h.header.hasToken("Connection", "close") || h.status == 0 || h.status == 101 {
		f.reuse = false
	}
	te := h.header.transferCodings()
	length, least := h.length()
	switch {
	case method == "HEAD" || h.status == 204 || h.status == 304 || h.status == 101:
		f.framing = None
	case h.chunked(te):
		f.framing = Chunked
		if length >= 0 {
			h.note("both Transfer-Encoding and Content-Length")
		}
		f.length, f.least = length, least
	case length >= 0:
		f.framing, f.length, f.least = Length, length, least
	default:
		f.framing, f.reuse = UntilClose, false
	}
	return f
}

// transferCodings lists the codings applied, in order, lower case, without
// identity.
func (h Header) transferCodings() []string {
	var te []string
	for _, f := range h {
		if !strings.EqualFold(f.Name, "Transfer-Encoding") {
			continue
		}
		for part := range strings.SplitSeq(f.Value, ",") {
			coding, _, _ := strings.Cut(part, ";")
			if coding = strings.ToLower(strings.Trim(coding, " \t\"")); coding != "" && coding != "identity" {
				te = append(te, coding)
			}
		}
	}
	return te
}

// chunked reports whether the last transfer coding is chunked.
func (h *head) chunked(te []string) bool {
	if len(te) == 0 {
		return false
	}
	if len(te) > 1 || te[0] != "chunked" {
		h.note("unusual Transfer-Encoding")
	}
	return te[len(te)-1] == "chunked"
}

// length is the Content-Length, or -1; least differs from it where lines
// contradict each other, and then length is the largest.
func (h *head) length() (length, least int64) {
	length = -1
	seen := 0
	for _, f := range h.header {
		if !strings.EqualFold(f.Name, "Content-Length") {
			continue
		}
		for part := range strings.SplitSeq(f.Value, ",") {
			n, ok := parseLength(strings.Trim(part, " \t"))
			if !ok {
				h.note("invalid Content-Length")
				continue
			}
			if seen++; length < 0 {
				length, least = n, n
			}
			length, least = max(length, n), min(least, n)
		}
	}
	switch {
	case length != least && seen > 1:
		h.note("different Content-Length values")
	case seen > 1:
		h.note("repeated Content-Length")
	}
	return length, least
}

// parseLength reads digits only, at most 18.
func parseLength(s string) (n int64, ok bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}
