package extract

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// headers takes the links of the response's header fields. They resolve
// against the URL that answered, whatever <base> says.
func (s *scan) headers() {
	if s.doc.Header == nil {
		return
	}
	kind := Page
	if s.doc.Status >= 300 && s.doc.Status < 400 {
		kind = Redirect
	}
	for _, v := range s.doc.Header("Location") {
		s.ref(headerRef(v), kind, "header/Location")
	}
	for _, v := range s.doc.Header("Content-Location") {
		s.ref(headerRef(v), Page, "header/Content-Location")
	}
	for _, v := range s.doc.Header("Refresh") {
		if url, delay, ok := parseRefresh([]byte(v)); ok {
			s.ref(headerRef(string(url)), refreshKind(delay), "header/Refresh")
		}
	}
	for _, v := range s.doc.Header("Link") {
		s.linkHeader([]byte(v))
	}
}

// headerRef is a field's value as a reference: bytes that are not UTF-8 go
// back to the server as they came.
func headerRef(v string) []byte {
	if utf8.ValidString(v) {
		return []byte(v)
	}
	out := make([]byte, 0, 3*len(v))
	for i := range len(v) {
		if v[i] < 0x80 {
			out = append(out, v[i])
			continue
		}
		out = append(out, '%', "0123456789ABCDEF"[v[i]>>4], "0123456789ABCDEF"[v[i]&15])
	}
	return out
}

// linkHeader reads <url>; rel="a b"; type=x, ... (RFC 8288 3).
func (s *scan) linkHeader(v []byte) {
	for {
		open := bytes.IndexByte(v, '<')
		if open < 0 {
			return
		}
		end := bytes.IndexByte(v[open:], '>')
		if end < 0 {
			return
		}
		url := v[open+1 : open+end]
		var l linkRel
		l, v = linkParams(v[open+end+1:])
		if kind, ok := l.kind(); ok {
			s.ref(headerRef(string(url)), kind, "header/Link")
		}
		if len(l.imagesrcset) > 0 {
			s.srcset(l.imagesrcset, "header/Link imagesrcset")
		}
	}
}

// linkParams reads parameters up to the next comma.
func linkParams(v []byte) (l linkRel, rest []byte) {
	for len(v) > 0 {
		switch c := v[0]; {
		case c == ',':
			return l, v[1:]
		case c == ';' || c <= ' ':
			v = v[1:]
			continue
		}
		end := bytes.IndexAny(v, "=;,")
		if end < 0 {
			return l, nil
		}
		name := trim(v[:end])
		if v = v[end:]; v[0] != '=' {
			continue
		}
		var value []byte
		value, v = paramValue(bytes.TrimLeft(v[1:], " \t"))
		l.set(string(bytes.ToLower(name)), value)
	}
	return l, nil
}

func paramValue(v []byte) (value, rest []byte) {
	if len(v) > 0 && v[0] == '"' {
		for i := 1; i < len(v); i++ {
			switch v[i] {
			case '\\':
				i++
			case '"':
				return value, v[i+1:]
			}
			if i < len(v) {
				value = append(value, v[i])
			}
		}
		return value, nil
	}
	end := bytes.IndexAny(v, ";,")
	if end < 0 {
		end = len(v)
	}
	return trim(v[:end]), v[end:]
}

func (l *linkRel) set(name string, value []byte) {
	switch name {
	case "rel":
		if l.rel == nil { // RFC 8288 3.3: the first counts
			l.rel = value
		}
	case "type":
		l.typ = value
	case "as":
		l.as = value
	case "imagesrcset":
		l.imagesrcset = value
	}
}

// parseRefresh reads "5; url=..." as the HTML standard does
// (https://html.spec.whatwg.org/#shared-declarative-refresh-steps).
func parseRefresh(v []byte) (url []byte, delay int, ok bool) {
	v = bytes.TrimLeft(v, " \t\r\n\f")
	n := 0
	for n < len(v) && '0' <= v[n] && v[n] <= '9' {
		n++
	}
	if n == 0 && (len(v) == 0 || v[0] != '.') {
		return nil, 0, false
	}
	delay, err := strconv.Atoi(string(v[:n]))
	if err != nil && n > 0 {
		delay = 1 << 30
	}
	for n < len(v) && ('0' <= v[n] && v[n] <= '9' || v[n] == '.') {
		n++
	}
	rest := v[n:]
	v = bytes.TrimLeft(rest, " \t\r\n\f")
	if len(v) > 0 && (v[0] == ';' || v[0] == ',') {
		v = bytes.TrimLeft(v[1:], " \t\r\n\f")
	} else if len(v) == len(rest) {
		return nil, 0, false
	}
	if len(v) >= 3 && bytes.EqualFold(v[:3], []byte("url")) {
		if w := bytes.TrimLeft(v[3:], " \t\r\n\f"); len(w) > 0 && w[0] == '=' {
			v = bytes.TrimLeft(w[1:], " \t\r\n\f")
		}
	}
	if len(v) > 0 && (v[0] == '"' || v[0] == '\'') {
		quote := v[0]
		v = v[1:]
		if i := bytes.IndexByte(v, quote); i >= 0 {
			v = v[:i]
		}
	}
	return v, delay, len(v) > 0
}

// refreshKind tells a page that moved from one that shows itself anew.
func refreshKind(delay int) Kind {
	if delay < 5 {
		return Redirect
	}
	return Page
}
