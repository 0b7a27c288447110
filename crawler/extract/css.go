package extract

import (
	"bytes"
	"unicode/utf8"
)

// cssNames are the contexts of a style sheet's links.
type cssNames struct{ url, imported string }

var (
	cssContexts   = cssNames{"css/url()", "css/@import"}
	styleContexts = cssNames{"style/url()", "style/@import"}
	attrContexts  = cssNames{"@style/url()", "@style/@import"}
)

// cssScan walks a style sheet (https://www.w3.org/TR/css-syntax-3/).
type cssScan struct {
	s        *scan
	b        []byte
	names    cssNames
	imports  bool // after @import, before its URL
	skips    bool // in @namespace, whose URL is a name
	depth    int  // of parentheses
	imageSet int  // depth inside image-set(), whose strings are URLs; 0 outside
}

// css notes url(), @import and image-set() of a style sheet or declaration.
func (s *scan) css(b []byte, names cssNames) {
	c := cssScan{s: s, b: b, names: names}
	for i := 0; i < len(b); {
		i = c.step(i)
	}
}

// cssStops are the bytes that mean something; the rest is skipped fast.
var cssStops = func() (t [256]bool) {
	for _, c := range "/\"'\\@();}uUiI" {
		t[c] = true
	}
	return t
}()

func (c *cssScan) step(i int) int {
	for i < len(c.b) && !cssStops[c.b[i]] {
		i++
	}
	if i >= len(c.b) {
		return i
	}
	switch ch := c.b[i]; ch {
	case '/':
		if i+1 < len(c.b) && c.b[i+1] == '*' {
			n := bytes.Index(c.b[i+2:], []byte("*/"))
			if n < 0 {
				return len(c.b)
			}
			return i + n + 4
		}
	case '"', '\'':
		text, end := cssString(c.b, i)
		switch {
		case c.imports:
			c.found(text, c.names.imported)
		case c.imageSet > 0 && c.depth == c.imageSet:
			c.found(text, c.names.url)
		}
		return end
	case '\\':
		return i + 2
	case '@':
		c.imports = c.word(i+1, "import")
		c.skips = c.word(i+1, "namespace")
	case '(':
		c.depth++
	case ')':
		if c.imageSet == c.depth {
			c.imageSet = 0
		}
		c.depth = max(c.depth-1, 0)
	case ';', '}':
		c.imports, c.skips, c.depth, c.imageSet = false, false, 0, 0
	case 'u', 'U':
		if c.word(i, "url") && c.starts(i) && i+3 < len(c.b) && c.b[i+3] == '(' {
			return c.url(i + 4)
		}
	default: // i, I
		if c.word(i, "image-set") && i+9 < len(c.b) && c.b[i+9] == '(' {
			c.depth++
			c.imageSet = c.depth
			return i + 10
		}
	}
	return i + 1
}

// word reports whether an identifier that is name in any case stands at i.
func (c *cssScan) word(i int, name string) bool {
	end := i + len(name)
	return end <= len(c.b) && equalFold(c.b[i:end], name) && (end == len(c.b) || !isIdent(c.b[end]))
}

// starts reports that no identifier runs on into i.
func (c *cssScan) starts(i int) bool { return i == 0 || !isIdent(c.b[i-1]) }

func isIdent(c byte) bool { return isAlnum(c) || c == '-' || c == '_' || c >= 0x80 }

// url reads what stands after "url(".
func (c *cssScan) url(i int) int {
	for i < len(c.b) && ends[c.b[i]]&isSpace != 0 {
		i++
	}
	if i >= len(c.b) {
		return i
	}
	var text []byte
	if q := c.b[i]; q == '"' || q == '\'' {
		text, i = cssString(c.b, i)
		n := bytes.IndexByte(c.b[i:], ')')
		if n < 0 {
			n = len(c.b) - i
		}
		i = min(i+n+1, len(c.b))
	} else {
		start := i
		for i < len(c.b) && c.b[i] != ')' {
			if c.b[i] == '\\' {
				i++
			}
			i++
		}
		i = min(i, len(c.b))
		text = trim(c.b[start:i])
		i = min(i+1, len(c.b))
	}
	name := c.names.url
	if c.imports {
		name = c.names.imported
	}
	c.found(text, name)
	return i
}

func (c *cssScan) found(text []byte, name string) {
	c.imports = false
	if c.skips || len(text) == 0 {
		return
	}
	if bytes.IndexByte(text, '\\') >= 0 {
		text = cssUnescape(text)
	}
	c.s.ref(text, Requisite, name)
}

// cssString reads a string whose quote stands at i; a line's end ends it, too.
func cssString(b []byte, i int) (text []byte, end int) {
	quote, start := b[i], i+1
	for i = start; i < len(b); i++ {
		switch b[i] {
		case quote:
			return b[start:i], i + 1
		case '\\':
			i++
		case '\n':
			return nil, i
		}
	}
	return b[start:], len(b)
}

// cssUnescape replaces \20 and \( (https://www.w3.org/TR/css-syntax-3/#consume-escaped-code-point).
func cssUnescape(v []byte) []byte {
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] != '\\' {
			out = append(out, v[i])
			continue
		}
		i++
		n, r := 0, rune(0)
		for n < 6 && i+n < len(v) && hexValue(v[i+n]) >= 0 {
			r = r<<4 | rune(hexValue(v[i+n]))
			n++
		}
		switch {
		case n > 0:
			out = utf8.AppendRune(out, r)
			i += n
			if i >= len(v) || ends[v[i]]&isSpace == 0 {
				i--
			}
		case i < len(v) && v[i] != '\n':
			out = append(out, v[i])
		}
	}
	return out
}

func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
