// Package crawllog writes crawl.log in the columns of Heritrix 3, so that the
// scripts of two decades read it.
//
// It is for the worker, which adds a line for every fetch tried, and for
// people with grep and awk. Columns, separated by blanks (Heritrix,
// org.archive.crawler.io.UriProcessingFormatter):
//
//  1. time the line was written, 2026-11-23T10:15:30.123Z
//  2. status: HTTP's, or one of Heritrix' negative codes; padded to 5
//  3. bytes of the response, or "-"; padded to 10
//  4. URL
//  5. discovery path: L link, E embed, R redirect, S sitemap, X speculative; "-" for seeds
//  6. URL of the page that linked here, or "-"
//  7. media type without parameters, or "-"
//  8. "#" and the number of the fetcher, from 001; #000 for a line that a later
//     run wrote for one that was killed
//  9. when the fetch began and how long it took: yyyyMMddHHmmssSSS+milliseconds, or "-"
//  10. sha1:DIGEST of the payload in base32, or "-"
//  11. source tag: the seed, where somebody knows it; Salvor does not trace URLs
//     back to one and writes "-", as Heritrix does unless told to tag
//  12. annotations joined by commas, or "-"
//
// A line is never changed. After a crash the log lacks what was not synced,
// and Open cuts a last line that is not whole.
package crawllog

import (
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"
	"time"

	"salvor"
)

// Entry is one line.
type Entry struct {
	Time     time.Time
	Status   int
	Size     int64 // below 0: unknown
	URL      string
	Path     string
	Via      string
	Type     string
	Worker   int       // number of the fetcher
	Begin    time.Time // zero: nothing was fetched
	Duration time.Duration
	Digest   salvor.SHA1
	Source   string
	Notes    []string
}

const (
	timeLayout = "2006-01-02T15:04:05.000Z"
	// Heritrix' 17 digits; Go's layouts cannot do without the point, which
	// is taken out and put in by hand.
	beginLayout = "20060102150405.000"
)

// Append appends the entry's line with its line feed.
func (e Entry) Append(b []byte) []byte {
	b = e.Time.UTC().AppendFormat(b, timeLayout)
	b = fmt.Appendf(b, " %5d %10s ", e.Status, size(e.Size))
	for _, s := range [...]string{e.URL, e.Path, e.Via, e.Type} {
		b = append(appendWord(b, s, false), ' ')
	}
	b = fmt.Appendf(b, "#%03d ", e.Worker)
	b = append(appendBegin(b, e.Begin, e.Duration), ' ')
	if e.Digest == (salvor.SHA1{}) {
		b = append(b, '-', ' ')
	} else {
		b = append(append(append(b, "sha1:"...), e.Digest.String()...), ' ')
	}
	b = append(appendWord(b, e.Source, false), ' ')
	for i, n := range e.Notes {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendWord(b, n, true)
	}
	if len(e.Notes) == 0 {
		b = append(b, '-')
	}
	return append(b, '\n')
}

func size(n int64) string {
	if n < 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

func appendBegin(b []byte, t time.Time, d time.Duration) []byte {
	if t.IsZero() {
		return append(b, '-')
	}
	at := len(b)
	b = t.UTC().AppendFormat(b, beginLayout)
	b = append(b[:at+14], b[at+15:]...)
	return strconv.AppendInt(append(b, '+'), d.Milliseconds(), 10)
}

// appendWord appends s so that it is one column: blanks and control characters
// are percent-encoded, an empty one is "-". In a list the comma is encoded too.
func appendWord(b []byte, s string, list bool) []byte {
	if s == "" {
		return append(b, '-')
	}
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c == 0x7f || list && c == ',' {
			b = fmt.Appendf(b, "%%%02X", c)
		} else {
			b = append(b, c)
		}
	}
	return b
}

// Parse reads a line, with or without its line feed. Percent-encodings stay as
// they are; more columns than twelve (Heritrix' extra JSON) are ignored.
func Parse(line string) (Entry, error) {
	f := strings.Fields(line)
	if len(f) < 12 {
		return Entry{}, salvor.Errorf(salvor.Invalid, "crawl.log line has %d columns, 12 are needed", len(f))
	}
	p := parser{}
	e := Entry{
		Time: p.time(timeLayout, f[0]), Status: int(p.int(f[1])), Size: p.size(f[2]),
		URL: f[3], Path: word(f[4]), Via: word(f[5]), Type: word(f[6]),
		Worker: int(p.int(strings.TrimPrefix(f[7], "#"))), Digest: p.digest(f[9]), Source: word(f[10]),
	}
	e.Begin, e.Duration = p.begin(f[8])
	if f[11] != "-" {
		e.Notes = strings.Split(f[11], ",")
	}
	return e, p.err
}

func word(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

// parser keeps the first error.
type parser struct{ err error }

func (p *parser) fail(what, s string) {
	if p.err == nil {
		p.err = salvor.Errorf(salvor.Invalid, "crawl.log line: %s %.40q is malformed", what, s)
	}
}

func (p *parser) int(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		p.fail("number", s)
	}
	return n
}

func (p *parser) size(s string) int64 {
	if s == "-" {
		return -1
	}
	return p.int(s)
}

func (p *parser) time(layout, s string) time.Time {
	t, err := time.Parse(layout, s)
	if err != nil {
		p.fail("time", s)
	}
	return t
}

func (p *parser) begin(s string) (time.Time, time.Duration) {
	if s == "-" {
		return time.Time{}, 0
	}
	at, ms, ok := strings.Cut(s, "+")
	if !ok || len(at) != 17 {
		p.fail("fetch time", s)
		return time.Time{}, 0
	}
	return p.time(beginLayout, at[:14]+"."+at[14:]), time.Duration(p.int(ms)) * time.Millisecond
}

func (p *parser) digest(s string) (d salvor.SHA1) {
	if s == "-" {
		return d
	}
	b, err := base32.StdEncoding.DecodeString(strings.TrimPrefix(s, "sha1:"))
	if err != nil || len(b) != len(d) {
		p.fail("digest", s)
		return d
	}
	return salvor.SHA1(b)
}
