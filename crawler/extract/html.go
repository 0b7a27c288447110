package extract

import (
	"bytes"
)

// html is one pass over HTML, with the tokeniser's states that matter for
// links: tags, comments, raw text. What browsers keep as text but held links
// for older ones (noscript, noframes, conditional comments) is looked through,
// too.
func (s *scan) html(b []byte) {
	for i := 0; ; {
		n := bytes.IndexByte(b[i:], '<')
		if n < 0 || i+n+1 >= len(b) {
			return
		}
		i += n + 1
		switch c := b[i]; {
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			end := s.tag.readTag(b, i)
			if end < 0 {
				return
			}
			s.element()
			i = s.rawText(b, end)
		case c == '!':
			i = s.markup(b, i+1)
		case c == '?':
			i = s.instruction(b, i+1)
		case c == '/' && i+1 < len(b):
			i = s.endTag(b, i+1)
		}
		if i < 0 {
			return
		}
	}
}

// endTag skips one, with its attributes; all that is no name is a comment.
func (s *scan) endTag(b []byte, i int) int {
	if c := b[i] | 0x20; c < 'a' || 'z' < c {
		return after(b, i, '>')
	}
	start := i
	for i < len(b) && ends[b[i]]&endsName == 0 {
		i++
	}
	if equalFold(b[start:i], "svg") {
		s.svg = false
	}
	return attributes(b, i, func(_, _ []byte) {})
}

// after is the place behind the next c, or -1.
func after(b []byte, i int, c byte) int {
	n := bytes.IndexByte(b[i:], c)
	if n < 0 {
		return -1
	}
	return i + n + 1
}

var (
	dashes     = []byte("--")
	cdata      = []byte("[CDATA[")
	cdataEnd   = []byte("]]>")
	condition  = []byte("[if")
	stylesheet = []byte("xml-stylesheet")
)

// markup skips what begins with "<!".
func (s *scan) markup(b []byte, i int) int {
	switch rest := b[i:]; {
	case bytes.HasPrefix(rest, dashes):
		// A conditional comment is HTML for old browsers.
		if c := bytes.TrimLeft(rest[2:], " \t"); bytes.HasPrefix(c, condition) {
			return after(b, i, '>')
		}
		return comment(b, i+2)
	case s.xml && bytes.HasPrefix(rest, cdata):
		n := bytes.Index(rest, cdataEnd)
		if n < 0 {
			return -1
		}
		return i + n + len(cdataEnd)
	}
	return after(b, i, '>')
}

// comment finds the end of a comment whose text begins at i
// (https://html.spec.whatwg.org/#comment-start-state).
func comment(b []byte, i int) int {
	switch rest := b[i:]; {
	case len(rest) > 0 && rest[0] == '>':
		return i + 1
	case len(rest) > 1 && rest[0] == '-' && rest[1] == '>':
		return i + 2
	}
	for {
		n := bytes.Index(b[i:], dashes)
		if n < 0 {
			return -1
		}
		i += n + 2
		j := i
		for j < len(b) && b[j] == '-' {
			j++
		}
		switch {
		case j < len(b) && b[j] == '>':
			return j + 1
		case j+1 < len(b) && b[j] == '!' && b[j+1] == '>':
			return j + 2
		}
		i = j
	}
}

// instruction reads <?xml-stylesheet href="..."?> and skips all others.
func (s *scan) instruction(b []byte, i int) int {
	end := after(b, i, '>')
	if end < 0 || !bytes.HasPrefix(b[i:end], stylesheet) {
		return end
	}
	attributes(b[:end], i+len(stylesheet), func(name, value []byte) {
		if equalFold(name, "href") {
			s.ref(s.value(value), Requisite, "?xml-stylesheet/@href")
		}
	})
	return end
}

// rawText handles elements whose content is text, which begins at i. In XML and
// in SVG, unlike in HTML, <title/> has none.
func (s *scan) rawText(b []byte, i int) int {
	closed := b[i-2] == '/'
	if closed && (s.xml || s.svg) {
		return i
	}
	switch s.tag.id {
	case tagSvg:
		s.svg = !closed
	case tagScript:
		return scriptEnd(b, i)
	case tagStyle:
		end := rawEnd(b, i, "style")
		s.css(s.text(b[i:end]), styleContexts)
		return end
	case tagTitle:
		end := rawEnd(b, i, "title")
		if !s.svg {
			s.title(b[i:end])
		}
		return end
	case tagTextarea:
		return rawEnd(b, i, "textarea")
	case tagXmp:
		return rawEnd(b, i, "xmp")
	case tagIframe:
		return rawEnd(b, i, "iframe")
	case tagPlaintext:
		return -1
	}
	return i
}

// rawEnd is where the end tag of name begins, or the end of the input.
func rawEnd(b []byte, i int, name string) int {
	for {
		n := bytes.IndexByte(b[i:], '<')
		if n < 0 {
			return len(b)
		}
		i += n
		if isEndTag(b[i:], name) {
			return i
		}
		i++
	}
}

func isEndTag(b []byte, name string) bool {
	n := len(name) + 2
	return len(b) > n && b[1] == '/' && equalFold(b[2:n], name) && ends[b[n]]&endsName != 0
}

// scriptEnd is where a script's end tag begins. Inside a comment, a nested
// script element hides its own end tag
// (https://html.spec.whatwg.org/#script-data-double-escaped-state).
func scriptEnd(b []byte, i int) int {
	escaped, nested := false, false
	for ; i < len(b); i++ {
		switch b[i] {
		case '-':
			if escaped && bytes.HasPrefix(b[i:], []byte("-->")) {
				escaped, nested = false, false
			}
		case '<':
			switch rest := b[i:]; {
			case isEndTag(rest, "script"):
				if !nested {
					return i
				}
				nested = false
			case !escaped && bytes.HasPrefix(rest, []byte("<!--")):
				escaped = true
				i++ // its dashes may end it: <!-->
			case escaped && len(rest) > 7 && equalFold(rest[1:7], "script") && ends[rest[7]]&endsName != 0:
				nested = true
			}
		default:
			if escaped {
				continue
			}
			n := bytes.IndexByte(b[i:], '<')
			if n < 0 {
				return len(b)
			}
			i += n - 1
		}
	}
	return len(b)
}
