package extract

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
)

// decoder turns a document's bytes into UTF-8, piece by piece: tags can be
// found without it in every charset that contains ASCII.
type decoder struct {
	enc  encoding.Encoding // nil: UTF-8
	name string            // "" UTF-8
}

func (d *decoder) label() string {
	if d.name == "" {
		return "utf-8"
	}
	return d.name
}

// prescan is how much of a document is searched for its charset.
const prescan = 1024

// charset finds the encoding: byte order mark, header, declaration in the
// document; then UTF-8 if it is that all through, else windows-1252. It
// returns the text to scan: another one where tags may be hidden in the bytes of
// other letters, as in UTF-16 and in ISO-2022-JP, whose 者 is an escaped "<T".
func (s *scan) charset(b []byte, declared bool) []byte {
	label, body := s.label(b, declared)
	e, name := charset.Lookup(label)
	switch {
	case e == nil && !utf8.Valid(body):
		e, name = charset.Lookup("windows-1252")
	case e == nil || name == "utf-8" || name == "replacement":
		return body
	}
	s.base.SetCharset(name)
	if strings.HasPrefix(name, "utf-16") || name == "iso-2022-jp" {
		s.dec.name = name
		if text, err := e.NewDecoder().Bytes(body); err == nil {
			return text
		}
		return nil
	}
	s.dec = decoder{e, name}
	return body
}

func (s *scan) label(b []byte, declared bool) (label string, body []byte) {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return "utf-8", b[3:]
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		return "utf-16be", b[2:]
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		return "utf-16le", b[2:]
	}
	if e, _ := charset.Lookup(s.doc.Charset); e != nil {
		return s.doc.Charset, b
	}
	if !declared {
		return "", b
	}
	return declaredCharset(b[:min(len(b), prescan)]), b
}

// declaredCharset reads <meta charset>, <meta http-equiv=content-type> or the
// XML declaration (https://html.spec.whatwg.org/#prescan-a-byte-stream-to-determine-its-encoding).
func declaredCharset(b []byte) string {
	var t tag
	for i := 0; i < len(b); {
		n := bytes.IndexByte(b[i:], '<')
		if n < 0 || i+n+1 >= len(b) {
			return ""
		}
		i += n + 1
		switch c := b[i]; {
		case bytes.HasPrefix(b[i:], []byte("!--")):
			i = comment(b, i+3)
		case c == '?' && i == 1:
			if label := xmlCharset(b[i:]); label != "" {
				return label
			}
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			if i = t.readTag(b, i); t.id == tagMeta && i > 0 {
				if label := metaCharset(&t); label != "" {
					return label
				}
			}
		}
		if i < 0 {
			return ""
		}
	}
	return ""
}

func metaCharset(t *tag) string {
	v, ok := t.get(attrCharset)
	if !ok {
		if eq, _ := t.get(attrHTTPEquiv); !equalFold(trim(eq), "content-type") {
			return ""
		}
		content, _ := t.get(attrContent)
		v = contentCharset(content)
	}
	return sane(string(trim(v)))
}

// contentCharset is what follows the first "charset" with an equals sign
// (https://html.spec.whatwg.org/#algorithm-for-extracting-a-character-encoding-from-a-meta-element).
func contentCharset(v []byte) []byte {
	const word = "charset"
	for ; len(v) >= len(word); v = v[1:] {
		if !equalFold(v[:len(word)], word) {
			continue
		}
		value, ok := bytes.CutPrefix(bytes.TrimLeft(v[len(word):], " \t\r\n\f"), []byte("="))
		if !ok {
			continue
		}
		value = bytes.Trim(value, " \t\r\n\f\"'")
		if end := bytes.IndexAny(value, "; \t\r\n\f\"'"); end >= 0 {
			value = value[:end]
		}
		return value
	}
	return nil
}

func xmlCharset(b []byte) string {
	decl, _, _ := bytes.Cut(b, []byte("?>"))
	_, v, ok := bytes.Cut(decl, []byte("encoding"))
	if v = bytes.TrimLeft(v, " \t\r\n="); !ok || len(v) < 2 {
		return ""
	}
	v, _, _ = bytes.Cut(v[1:], v[:1])
	return sane(string(v))
}

// sane drops what a document cannot be in, since its declaration was readable.
func sane(label string) string {
	e, name := charset.Lookup(label)
	switch {
	case e == nil:
		return ""
	case strings.HasPrefix(name, "utf-16"):
		return "utf-8"
	case name == "x-user-defined":
		return "windows-1252"
	}
	return label
}

// text is b in UTF-8.
func (s *scan) text(b []byte) []byte {
	if s.dec.enc == nil || isASCII(b) {
		return b
	}
	out, err := s.dec.enc.NewDecoder().Bytes(b)
	if err != nil {
		return b
	}
	return out
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// maxTitle is how many bytes of a title are kept.
const maxTitle = 500

// title keeps the first title.
func (s *scan) title(raw []byte) {
	if s.info.Title != "" || s.depth > 0 {
		return
	}
	s.info.Title = cleanTitle(string(s.text(raw[:min(len(raw), 8*maxTitle)])))
}
