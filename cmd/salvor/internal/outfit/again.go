package outfit

import (
	"context"
	"encoding/base32"
	"strconv"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/crawler"
	"salvor/crawler/canon"
	"salvor/crawler/scope"
	"salvor/storage"
	"salvor/warc/cdx"
)

// Again queues pages once more that were saved before their host became
// read-only: what they say now is final, what was saved may have been half of it.
// The frontier forgets a saved page's URL; the indexes beside the segments have it.
// Where the later capture does not come, because the site ended first, the earlier
// one is made the page's outcome again: what is saved stays saved.
//
// To run it twice does no harm: what it queues is of a round that is made of the
// date (RoundOf), and what has reached that round is passed over.
type Again struct {
	Store storage.Store // of the crawl
	Crawl api.Crawl
	// Since is when each of the hosts became read-only.
	Since map[string]time.Time
	// Over says that nothing more is fetched: what is still queued does not come.
	Over bool
	// Lookup finds what the frontier knows of a page.
	Lookup func(ctx context.Context, crawl salvor.CrawlID, host string, k salvor.Key) (api.Known, error)
	// Discover offers pages, and Settle reports captures.
	Discover func(ctx context.Context, offers []api.Offer) error
	Settle   func(ctx context.Context, entries []api.Entry) error
	// Segments are those of the cluster, by the name of their file.
	Segments map[string]api.Segment
}

// againPiece is how many pages are offered in one call.
const againPiece = 500

// RoundOf is the round of pages that are fetched again after a date: later than any
// that people ask for, which count from 0, and than that of an earlier date.
func RoundOf(date time.Time) uint32 { return uint32(date.Unix() / 60) }

// AgainDone counts pages.
type AgainDone struct {
	Queued int // once more
	Kept   int // that got their earlier capture back
	Lost   int // that could not, because nobody knows the segment that the index names
}

// Run reads all indexes in the Store. What it did before an error counts.
func (a Again) Run(ctx context.Context) (AgainDone, error) {
	w := againPass{Again: a}
	for info, err := range a.Store.List(ctx, "warc/", "") {
		if err != nil {
			return w.done, err
		}
		if !strings.HasSuffix(info.Key, ".cdxj") {
			continue
		}
		if err := w.index(ctx, info.Key); err != nil {
			return w.done, err
		}
	}
	return w.done, nil
}

// againPass is all indexes being read.
type againPass struct {
	Again
	offers  []api.Offer
	entries []api.Entry
	done    AgainDone
}

func (a *againPass) index(ctx context.Context, key string) error {
	file, _, err := a.Store.Get(ctx, key)
	if err != nil {
		return err
	}
	defer file.Close()
	seen := "" // captures of one URL stand together
	err = cdx.Read(file, func(l cdx.Line) error {
		if l.URL == seen || ctx.Err() != nil {
			return ctx.Err()
		}
		seen = l.URL
		if err := a.line(ctx, l); err != nil {
			return err
		}
		return a.flush(ctx, againPiece)
	})
	if err != nil {
		return err
	}
	return a.flush(ctx, 1)
}

// flush passes on what there is, if it is so much.
func (a *againPass) flush(ctx context.Context, most int) error {
	if len(a.offers) >= most {
		if err := a.Discover(ctx, a.offers); err != nil {
			return err
		}
		a.done.Queued, a.offers = a.done.Queued+len(a.offers), a.offers[:0]
	}
	if len(a.entries) >= most {
		if err := a.Settle(ctx, a.entries); err != nil {
			return err
		}
		a.done.Kept, a.entries = a.done.Kept+len(a.entries), a.entries[:0]
	}
	return nil
}

// line judges a capture that was made before its host's date.
func (a *againPass) line(ctx context.Context, l cdx.Line) error {
	u, err := canon.Parse(l.URL)
	if err != nil {
		return nil // a resource record, such as a part of the log
	}
	since, frozen := a.Since[u.Host]
	if !frozen || l.Timestamp >= since.UTC().Format(cdxTime) {
		return nil
	}
	k, err := a.Lookup(ctx, a.Crawl.ID, u.Host, salvor.ItemKey(a.Crawl.HashKey, "", u.Href, nil))
	if salvor.ClassOf(err) == salvor.NotFound {
		return nil // a request with a body, or of another crawl
	}
	round, settled := RoundOf(since), k.State == api.StateSettled
	switch {
	case err != nil || k.Class == salvor.ClassRobots:
		return err
	case k.Round == round && (settled && !k.Outcome.HasCapture() || !settled && a.Over):
		e, ok := a.entry(l, k)
		if !ok {
			a.done.Lost++
			return nil
		}
		a.entries = append(a.entries, e)
	case k.Round < round && settled && k.Outcome.HasCapture() && k.At < since.UnixMilli() && !a.Over:
		it := crawler.NewItem(a.Crawl, u, scope.Decision{In: true, Class: k.Class, Band: k.Band, Hop: k.Hop}, "")
		it.Round = round
		a.offers = append(a.offers, api.Offer{Item: it})
	}
	return nil
}

const cdxTime = "20060102150405"

// entry reports a capture that the index has as the outcome of its page. Its bytes
// were counted when it was made.
func (a *againPass) entry(l cdx.Line, k api.Known) (e api.Entry, ok bool) {
	s, ok := a.Segments[l.Filename]
	at, err := time.Parse(cdxTime, l.Timestamp)
	if !ok || err != nil {
		return e, false
	}
	e = api.Entry{
		Key: k.Key, Host: k.Host, Round: k.Round, Verb: api.VerbSettle, Outcome: salvor.Saved, At: at.UnixMilli(), Type: l.Mime,
		Place: salvor.Place{Segment: s.ID, Offset: l.Offset, Length: l.Length},
	}
	if l.Mime == "warc/revisit" {
		e.Outcome, e.Type = salvor.Revisit, ""
	}
	e.Status, _ = strconv.Atoi(l.Status) // a resource has none
	digest, err := base32.StdEncoding.DecodeString(l.Digest)
	copy(e.Digest[:], digest)
	return e, err == nil
}
