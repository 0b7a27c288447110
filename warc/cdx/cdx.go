// Package cdx writes and reads the index of segments: CDXJ lines with the
// fields pywb has, under SURT keys made by the Internet Archive's rules, and
// the table of originals that revisits may point at.
//
// It is for sealing, for whoever looks a capture up, and for the worker's
// deduplication. Lines are sorted bytewise (LC_ALL=C), numbers are strings,
// and a reader takes any line: malformed ones are errors, never panics.
//
// The key is an index key only: it folds case and sorts queries, so different
// URLs may share one. Compare the url field too. docs/formats/cdxj.md has the
// fields and where they differ from what pywb's own indexer computes.
package cdx

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"salvor"
)

// Line is one CDXJ line.
type Line struct {
	Key       string // SURT
	Timestamp string // 14 digits, UTC
	URL       string
	Mime      string // as declared; "warc/revisit" for revisits
	Detected  string // as identified; "" unknown
	Status    string // "" for revisits and resources
	Digest    string // base32 SHA-1 of the payload, transfer coding removed
	Length    int64  // compressed
	Offset    int64
	Filename  string
	Date      string // exact WARC-Date, only of records a revisit may point at
	ID        string // WARC-Record-ID without angle brackets; "" unknown
}

// Append writes the line and its line end.
func (l *Line) Append(b []byte) []byte {
	b = append(b, l.Key...)
	b = append(b, ' ')
	b = append(b, l.Timestamp...)
	b = append(b, " {"...)
	first := true
	for _, f := range [...][2]string{
		{"url", l.URL},
		{"mime", l.Mime},
		{"mime-detected", l.Detected},
		{"status", l.Status},
		{"digest", l.Digest},
		{"length", strconv.FormatInt(l.Length, 10)},
		{"offset", strconv.FormatInt(l.Offset, 10)},
		{"filename", l.Filename},
		{"date", l.Date},
		{"id", l.ID},
	} {
		if f[1] == "" {
			continue
		}
		if !first {
			b = append(b, ", "...)
		}
		first = false
		b = append(b, '"')
		b = append(b, f[0]...)
		b = append(b, `": `...)
		b = AppendString(b, f[1])
	}
	return append(b, "}\n"...)
}

// AppendString writes a JSON string (RFC 8259, 7). Bytes that are no UTF-8
// become U+FFFD.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
			i++
		case c < ' ' || c == 0x7f:
			b = append(b, `\u00`...)
			b = append(b, lowerHex[c>>4], lowerHex[c&15])
			i++
		case c < utf8.RuneSelf:
			b = append(b, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
		}
	}
	return append(b, '"')
}

const lowerHex = "0123456789abcdef"

// Write sorts lines bytewise and writes them.
func Write(w io.Writer, lines []Line) error {
	var all []byte
	ends := make([]int, 0, len(lines))
	for i := range lines {
		all = lines[i].Append(all)
		ends = append(ends, len(all))
	}
	texts := make([][]byte, len(ends))
	start := 0
	for i, end := range ends {
		texts[i], start = all[start:end-1], end
	}
	slices.SortFunc(texts, bytes.Compare)
	bw := bufio.NewWriter(w)
	for _, t := range texts {
		bw.Write(t)
		bw.WriteByte('\n')
	}
	return bw.Flush()
}

// MaxLine is the longest line Read takes.
const MaxLine = 1 << 20

// Parse reads one line. Fields it does not know are passed over, and numbers
// may be numbers.
func Parse(text []byte) (Line, error) {
	text = bytes.TrimRight(text, "\r\n")
	key, rest, ok := bytes.Cut(text, []byte(" "))
	stamp, object, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 || len(key) == 0 {
		return Line{}, salvor.Errorf(salvor.Invalid, "CDXJ line %.80q has no key, timestamp and object", text)
	}
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	if err := d.Decode(&fields); err != nil {
		return Line{}, salvor.Errorf(salvor.Invalid, "CDXJ line %.80q: %w", text, err)
	}
	l := Line{Key: string(key), Timestamp: string(stamp)}
	for name, p := range map[string]*string{
		"url": &l.URL, "mime": &l.Mime, "mime-detected": &l.Detected, "status": &l.Status,
		"digest": &l.Digest, "filename": &l.Filename, "date": &l.Date, "id": &l.ID,
	} {
		*p = text1(fields[name])
	}
	l.Digest = strings.TrimPrefix(l.Digest, "sha1:")
	var err error
	if l.Length, err = number(fields["length"]); err == nil {
		l.Offset, err = number(fields["offset"])
	}
	if err != nil {
		return Line{}, salvor.Errorf(salvor.Invalid, "CDXJ line %.80q: %w", text, err)
	}
	return l, nil
}

func text1(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

func number(v any) (int64, error) {
	s := text1(v)
	if s == "" || s == "-" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil && n < 0 {
		err = strconv.ErrRange
	}
	return n, err
}

// Read gives each line of a CDXJ file to f. Header lines ("!OpenWayback...",
// " CDX ...") are passed over.
func Read(r io.Reader, f func(Line) error) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 64<<10), MaxLine)
	for sc.Scan() {
		b := sc.Bytes()
		if len(b) == 0 || b[0] == '!' || b[0] == ' ' {
			continue
		}
		l, err := Parse(b)
		if err != nil {
			return err
		}
		if err := f(l); err != nil {
			return err
		}
	}
	if err := sc.Err(); err != nil {
		return salvor.Errorf(salvor.Invalid, "read CDXJ: %w", err)
	}
	return nil
}
