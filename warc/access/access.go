// Package access is what researchers talk to: it finds captures in the index,
// reads their records from the Store, and serves both over HTTP in the interfaces
// that the field's tools speak: the CDX server API of pywb and of the Wayback
// Machine, OutbackCDX' queries, Memento (RFC 7089), raw replay, and ranges of WARC
// files.
//
// It is for access nodes and for `salvor serve`. It guarantees that nothing it
// reads can crash it or be run in a browser under its own origin, that a request's
// work is bounded, and that it changes nothing in the Store.
package access

import (
	"context"
	"log/slog"
	"time"

	"salvor/storage"
	"salvor/warc/cdx"
	"salvor/warc/cdx/index"
)

// Collection is one archive: its index, and the Store its segments lie in.
type Collection struct {
	Name   string
	Index  *index.Index
	Store  storage.Store
	Words  Searcher     // finds pages by their words; nil: nobody is to
	Logger *slog.Logger // nil takes nothing

	places places
}

// Capture is a line of the index that was found.
type Capture struct {
	cdx.Line
	Time time.Time // of the capture
}

// capture reads an entry; false if it is damaged.
func capture(e *index.Entry) (Capture, bool) {
	l, err := e.Line()
	if err != nil {
		return Capture{}, false
	}
	at, err := ParseTime(l.Timestamp)
	return Capture{Line: l, Time: at}, err == nil
}

// IsRevisit says whether the capture's payload is in another record.
func (c *Capture) IsRevisit() bool { return c.Mime == "warc/revisit" }

// Captures gives those of a URL to f, the oldest first, until it returns false.
// The URL is compared as it is, but for scheme, fragment and what a browser adds;
// where none is the same, those with the same key come: another writing of it.
func (c *Collection) Captures(ctx context.Context, url string, f func(Capture) bool) error {
	found := false
	same := sameURL(url)
	each := func(exact bool) error {
		return c.Index.Scan(ctx, exactSpan(cdx.SURT(url)), func(e *index.Entry) bool {
			x, ok := capture(e)
			if !ok || exact && !same(x.URL) {
				return true
			}
			found = true
			return f(x)
		})
	}
	if err := each(true); err != nil || found {
		return err
	}
	return each(false)
}

// Closest is the capture of a URL that was made nearest to a time. False if there
// is none. Those that were answered with an error count only where there is no
// other within a day of it.
func (c *Collection) Closest(ctx context.Context, url string, at time.Time) (best Capture, ok bool, err error) {
	exact := at.UTC().Format(stamp)
	far := func(x Capture) int64 { // seconds: a Duration is too short for the years 0001 and 9999
		d := x.Time.Unix() - at.Unix()
		if d = max(d, -d); len(x.Status) > 0 && x.Status[0] >= '4' && x.Timestamp != exact {
			d += errorHandicap
		}
		return d
	}
	err = c.Captures(ctx, url, func(x Capture) bool {
		if !ok || far(x) < far(best) {
			best, ok = x, true
		}
		return true
	})
	return best, ok, err
}

// errorHandicap is how much further away a capture seems that was answered with an
// error: who looks for a page wants the page.
const errorHandicap = 24 * 60 * 60
