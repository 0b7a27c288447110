package extract

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// value is an attribute's value: decoded from the document's charset, with its
// character references replaced. It may lie in the document or in the arena.
func (s *scan) value(raw []byte) []byte {
	v := s.text(raw)
	if bytes.IndexByte(v, '&') < 0 {
		return v
	}
	start := len(s.arena)
	s.arena = unescape(s.arena, v)
	return s.arena[start:len(s.arena):len(s.arena)]
}

// unescape appends v with its character references replaced as they are in
// attributes: a name without semicolon counts only where neither = nor a
// letter or digit follows
// (https://html.spec.whatwg.org/#named-character-reference-state).
func unescape(dst, v []byte) []byte {
	for {
		i := bytes.IndexByte(v, '&')
		if i < 0 {
			return append(dst, v...)
		}
		dst = append(dst, v[:i]...)
		v = v[i:]
		n := referenceLen(v)
		dst = appendReference(dst, v[:n], n < len(v) && v[n] == '=')
		v = v[n:]
	}
}

// referenceLen is the length of what may be a reference at the beginning of v.
func referenceLen(v []byte) int {
	i := 1
	if i < len(v) && v[i] == '#' {
		if i++; i < len(v) && v[i]|0x20 == 'x' {
			i++
		}
	}
	for i < len(v) && isAlnum(v[i]) {
		i++
	}
	if i < len(v) && v[i] == ';' {
		i++
	}
	return i
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// maxReference is longer than any name.
const maxReference = 40

func appendReference(dst, r []byte, equals bool) []byte {
	switch string(r) {
	case "&", "&;":
		return append(dst, r...)
	case "&amp;":
		return append(dst, '&')
	case "&quot;":
		return append(dst, '"')
	case "&semi;":
		return append(dst, ';')
	}
	if r[1] == '#' {
		return append(dst, html.UnescapeString(string(r))...)
	}
	closed := r[len(r)-1] == ';'
	if len(r) > maxReference || equals && !closed {
		return append(dst, r...)
	}
	x := html.UnescapeString(string(r))
	whole := utf8.RuneCountInString(x) == 1 // names without semicolon are single characters
	if closed {
		whole = x[len(x)-1] != ';'
	}
	if !whole {
		return append(dst, r...)
	}
	return append(dst, x...)
}
