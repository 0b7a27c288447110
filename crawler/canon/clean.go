package canon

// Classes of bytes. The path and query classes are what the WHATWG percent-
// encode sets leave alone (https://url.spec.whatwg.org/#percent-encoded-bytes).
const (
	pathByte uint8 = 1 << iota
	queryByte
	hostByte
	schemeByte
)

var class = classes()

func classes() (t [256]uint8) {
	for c := 0x21; c <= 0x7e; c++ {
		t[c] = pathByte | queryByte
	}
	for _, c := range `"<>#` {
		t[c] &^= pathByte | queryByte
	}
	t['\''] &^= queryByte
	for _, c := range "?`{}^|\\" {
		t[c] &^= pathByte // ^ and | are the parser's business: the specification changed its mind
	}
	for c := '0'; c <= '9'; c++ {
		t[c] |= hostByte | schemeByte
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] |= hostByte | schemeByte
		t[c-'a'+'A'] |= schemeByte
	}
	t['-'] |= hostByte | schemeByte
	t['.'] |= hostByte | schemeByte
	t['+'] |= schemeByte
	return t
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// trim drops C0 controls and spaces at both ends, as the parser does first.
func trim(s string) string {
	for len(s) > 0 && s[0] <= ' ' {
		s = s[1:]
	}
	for len(s) > 0 && s[len(s)-1] <= ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// schemeLen is the length of the scheme that ref begins with, 0 if none.
func schemeLen(ref string) int {
	if !isAlpha(ref[0]) {
		return 0
	}
	for i := 1; i < len(ref); i++ {
		if ref[i] == ':' {
			return i
		}
		if class[ref[i]]&schemeByte == 0 {
			return 0
		}
	}
	return 0
}

// isOpaqueScheme lists what pages are full of besides http; others go to the
// parser, which may still find them invalid.
func isOpaqueScheme(s string) bool {
	switch s {
	case "javascript", "mailto", "tel", "data", "blob", "about", "sms":
		return true
	}
	return false
}

// cleanLen is how much of a path with query the parser would copy as it is,
// which ends at a fragment; -1 if it would change anything. segment says that
// the first byte begins a path segment.
func cleanLen(s string, segment bool) int {
	i := 0
	for ; i < len(s); i++ {
		c := s[i]
		if class[c]&pathByte == 0 {
			break
		}
		switch c {
		case '/':
			segment = true
			continue
		case '.':
			if segment && !plainDot(s[i+1:]) {
				return -1
			}
		case '%': // %2e is a dot in dot segments
			if i+2 < len(s) && s[i+1] == '2' && s[i+2]|0x20 == 'e' {
				return -1
			}
		}
		segment = false
	}
	if i == len(s) || s[i] == '#' {
		return i
	}
	if s[i] != '?' {
		return -1
	}
	for i++; i < len(s); i++ {
		if class[s[i]]&queryByte == 0 {
			if s[i] == '#' {
				return i
			}
			return -1
		}
	}
	return i
}

// plainDot reports that a dot at the beginning of a segment, followed by rest,
// does not make a dot segment.
func plainDot(rest string) bool {
	return rest != "" && (isAlpha(rest[0]) || '0' <= rest[0] && rest[0] <= '9' || rest[0] == '_')
}
