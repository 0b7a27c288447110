package warc

import (
	"bytes"
	"net/url"
	"strconv"
	"strings"
)

// appendFields writes a metadata record's block in application/warc-fields,
// with the names Heritrix gives them. Values are single lines.
func (m *Metadata) appendFields(b []byte) []byte {
	b = appendField(b, "via", m.Via)
	b = appendField(b, "hopsFromSeed", m.Path)
	if m.FetchMS > 0 {
		b = append(b, "fetchTimeMs: "...)
		b = strconv.AppendInt(b, m.FetchMS, 10)
		b = append(b, crlf...)
	}
	b = appendField(b, "title", m.Title)
	for _, n := range m.Notes {
		b = appendField(b, "note", n)
	}
	if len(m.Interim) > 0 {
		b = append(b, "interim: "...)
		b = appendPercent(b, m.Interim)
		b = append(b, crlf...)
	}
	for i := range m.Outlinks {
		b = m.Outlinks[i].append(b)
	}
	return b
}

// append writes "outlink: URL hop context".
func (o *Outlink) append(b []byte) []byte {
	b = append(b, "outlink: "...)
	if checkURI(o.URL) == nil {
		b = append(b, o.URL...)
	} else {
		b = appendURI(b, o.URL)
	}
	b = append(b, ' ')
	if o.Hop > ' ' && o.Hop < 0x7f {
		b = append(b, o.Hop)
	} else {
		b = append(b, '-')
	}
	if o.Context != "" {
		b = append(b, ' ')
		b = appendLine(b, o.Context)
	}
	return append(b, crlf...)
}

func appendField(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, name...)
	b = append(b, ": "...)
	b = appendLine(b, value)
	return append(b, crlf...)
}

// appendLine keeps a value on one line: controls become spaces.
func appendLine(b []byte, s string) []byte {
	n := len(b)
	b = append(b, strings.TrimSpace(s)...)
	for i := n; i < len(b); i++ {
		if b[i] < ' ' || b[i] == 0x7f {
			b[i] = ' '
		}
	}
	return b
}

func appendURI(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

const upperHex = "0123456789ABCDEF"

// appendPercent keeps bytes exact on one line: what is not printable ASCII,
// and the percent sign, is percent-encoded.
func appendPercent(b, raw []byte) []byte {
	for _, c := range raw {
		if c < ' ' || c >= 0x7f || c == '%' {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

// ParseMetadata reads what a metadata record's block holds. Lines it does not
// know are passed over: other crawlers write more.
func ParseMetadata(block []byte) *Metadata {
	m := new(Metadata)
	for line := range bytes.SplitSeq(block, []byte("\n")) {
		name, value, ok := strings.Cut(strings.TrimRight(string(line), "\r"), ":")
		if !ok {
			continue
		}
		m.set(name, strings.TrimPrefix(value, " "))
	}
	return m
}

func (m *Metadata) set(name, value string) {
	switch name {
	case "via":
		m.Via = value
	case "hopsFromSeed":
		m.Path = value
	case "fetchTimeMs":
		m.FetchMS, _ = strconv.ParseInt(value, 10, 64)
	case "title":
		m.Title = value
	case "note":
		m.Notes = append(m.Notes, value)
	case "interim":
		if s, err := url.PathUnescape(value); err == nil {
			m.Interim = []byte(s)
		}
	case "outlink":
		m.Outlinks = append(m.Outlinks, parseOutlink(value))
	}
}

func parseOutlink(v string) (o Outlink) {
	var hop string
	o.URL, v, _ = strings.Cut(v, " ")
	hop, o.Context, _ = strings.Cut(v, " ")
	if hop != "" && hop != "-" {
		o.Hop = hop[0]
	}
	return o
}
