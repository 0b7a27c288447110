package cdx

import (
	"encoding/base32"
	"io"
	"sync"
	"time"

	"salvor"
)

// Originals maps payload digests to captures that revisits may point at. It
// holds at most a given number and forgets the oldest first: forgetting one
// costs bytes in the archive, never correctness.
//
// Whoever adds answers for protocol 6: the capture is durable, is not chunked,
// has a payload, and its record carries this WARC-Payload-Digest.
type Originals struct {
	mu   sync.Mutex
	at   map[salvor.SHA1]int32 // position in ring
	ring []original
	next int
	max  int
}

type original struct {
	digest salvor.SHA1
	url    string
	date   int64 // Unix ms
}

// NewOriginals makes a table of at most max entries.
func NewOriginals(max int) *Originals {
	if max < 1 || max > 1<<30 {
		max = 1
	}
	return &Originals{at: make(map[salvor.SHA1]int32), max: max}
}

// Lookup finds an original with a payload of this digest.
func (o *Originals) Lookup(d salvor.SHA1) (url string, date time.Time, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i, ok := o.at[d]
	if !ok {
		return "", time.Time{}, false
	}
	return o.ring[i].url, time.UnixMilli(o.ring[i].date).UTC(), true
}

// Add enters an original; the first one of a digest stays.
func (o *Originals) Add(d salvor.SHA1, url string, date time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.at[d]; known || d == (salvor.SHA1{}) {
		return
	}
	e := original{d, url, date.UnixMilli()}
	if len(o.ring) < o.max {
		o.at[d] = int32(len(o.ring))
		o.ring = append(o.ring, e)
		return
	}
	delete(o.at, o.ring[o.next].digest)
	o.ring[o.next] = e
	o.at[d] = int32(o.next)
	o.next = (o.next + 1) % o.max
}

// Len is how many originals are known.
func (o *Originals) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.ring)
}

// Load adds the originals among the lines of a CDXJ file of ours: those with
// a date field.
func (o *Originals) Load(r io.Reader) error {
	return Read(r, func(l Line) error {
		if l.Date == "" {
			return nil
		}
		sum, err := base32.StdEncoding.DecodeString(l.Digest)
		date, derr := time.Parse(time.RFC3339, l.Date)
		if err != nil || derr != nil || len(sum) != len(salvor.SHA1{}) {
			return salvor.Errorf(salvor.Invalid, "CDXJ line of %.200s has digest %q and date %q", l.URL, l.Digest, l.Date)
		}
		o.Add(salvor.SHA1(sum), l.URL, date)
		return nil
	})
}
