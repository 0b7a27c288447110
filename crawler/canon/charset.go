package canon

import (
	"strconv"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
)

// queryEncoder encodes queries in a document's charset; nil is UTF-8.
type queryEncoder struct{ e encoding.Encoding }

// SetCharset names the encoding of the document: browsers encode the query of
// its links in it (https://url.spec.whatwg.org/#query-state). Labels that are
// unknown, UTF-8 or UTF-16 mean UTF-8.
func (b *Base) SetCharset(label string) {
	b.encode = nil
	e, err := htmlindex.Get(label)
	if err != nil {
		return
	}
	name, err := htmlindex.Name(e)
	if err != nil || name == "utf-8" || name == "replacement" || strings.HasPrefix(name, "utf-16") {
		return
	}
	b.encode = &queryEncoder{e}
}

// query replaces what is not ASCII in ref's query by its percent-encoded bytes.
func (q *queryEncoder) query(ref string) string {
	if q == nil {
		return ref
	}
	start := strings.IndexAny(ref, "?#")
	if start < 0 || ref[start] == '#' {
		return ref
	}
	end := len(ref)
	if h := strings.IndexByte(ref[start:], '#'); h >= 0 {
		end = start + h
	}
	text := ref[start:end]
	if isASCII(text) {
		return ref
	}
	return ref[:start] + q.encode(text) + ref[end:]
}

// encode is "percent-encode after encoding"
// (https://url.spec.whatwg.org/#string-percent-encode-after-encoding); what
// has no code becomes a percent-encoded character reference.
func (q *queryEncoder) encode(text string) string {
	enc := q.e.NewEncoder()
	if all, err := enc.String(text); err == nil {
		return escapeHigh(all)
	}
	var out strings.Builder
	for _, r := range text {
		enc.Reset()
		if s, err := enc.String(string(r)); err == nil {
			out.WriteString(escapeHigh(s))
		} else {
			out.WriteString("%26%23" + strconv.Itoa(int(r)) + "%3B")
		}
	}
	return out.String()
}

func escapeHigh(s string) string {
	const hex = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= 0x80 || c == 0x1b || c == 0x0e || c == 0x0f || c == '#' {
			out.WriteByte('%')
			out.WriteByte(hex[c>>4])
			out.WriteByte(hex[c&15])
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
