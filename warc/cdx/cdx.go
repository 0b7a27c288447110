// Package cdx writes and reads the index of segments: CDXJ lines with the
// fields pywb has, under SURT keys made by the Internet Archive's rules, and
// the table of originals that revisits may point at.
//
// The key is an index key only: it folds case and sorts queries, so different
// URLs may share one. Compare the url field too.
package cdx

import (
	"time"

	"salvor"
)

// Line is one CDXJ line.
type Line struct {
	Key       string // SURT
	Timestamp string // 14 digits
	URL       string
	Mime      string // as declared; "warc/revisit" for revisits
	Status    string // "" for revisits and resources
	Digest    string // base32, of the payload; of the entity where the record is chunked
	Length    int64  // compressed
	Offset    int64
	Filename  string
	Date      string // exact WARC-Date, only of records a revisit may point at
}

// Originals maps payload digests to the captures that revisits may point at.
type Originals struct{}

// NewOriginals makes a table of at most max entries.
func NewOriginals(max int) *Originals { return &Originals{} }

// Lookup finds an original with a payload of this digest.
func (o *Originals) Lookup(d salvor.SHA1) (url string, date time.Time, ok bool) {
	return "", time.Time{}, false
}

// Add enters a durable capture whose record carries a WARC-Payload-Digest.
func (o *Originals) Add(d salvor.SHA1, url string, date time.Time) {}
