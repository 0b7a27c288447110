package outfit

import (
	"context"
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
//
// To run it twice does no harm: what it queues is of a round that is made of the
// date (RoundOf), and what has reached that round is passed over.
type Again struct {
	Store storage.Store // of the crawl
	Crawl api.Crawl
	// Since is when each of the hosts became read-only.
	Since map[string]time.Time
	// Lookup finds what the frontier knows of a page.
	Lookup func(ctx context.Context, crawl salvor.CrawlID, host string, k salvor.Key) (api.Known, error)
	// Discover offers pages.
	Discover func(ctx context.Context, offers []api.Offer) error
}

// againPiece is how many pages are offered in one call.
const againPiece = 500

// RoundOf is the round of pages that are fetched again after a date: later than any
// that people ask for, which count from 0, and than that of an earlier date.
func RoundOf(date time.Time) uint32 { return uint32(date.Unix() / 60) }

// Run reads all indexes in the Store, and returns how many pages it queued.
func (a Again) Run(ctx context.Context) (n int, err error) {
	for info, err := range a.Store.List(ctx, "warc/", "") {
		if err != nil {
			return n, err
		}
		if !strings.HasSuffix(info.Key, ".cdxj") {
			continue
		}
		some, err := a.index(ctx, info.Key)
		if n += some; err != nil {
			return n, err
		}
	}
	return n, nil
}

func (a Again) index(ctx context.Context, key string) (n int, err error) {
	file, _, err := a.Store.Get(ctx, key)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var offers []api.Offer
	flush := func() error {
		if len(offers) == 0 {
			return nil
		}
		n += len(offers)
		err := a.Discover(ctx, offers)
		offers = offers[:0]
		return err
	}
	seen := "" // captures of one URL stand together
	err = cdx.Read(file, func(l cdx.Line) error {
		if l.URL == seen || ctx.Err() != nil {
			return ctx.Err()
		}
		seen = l.URL
		o, ok, err := a.offer(ctx, l)
		if !ok || err != nil {
			return err
		}
		if offers = append(offers, o); len(offers) < againPiece {
			return nil
		}
		return flush()
	})
	if err != nil {
		return n, err
	}
	return n, flush()
}

// offer is a page to fetch again, if it was saved before its host's date and not
// since.
func (a Again) offer(ctx context.Context, l cdx.Line) (o api.Offer, ok bool, err error) {
	u, err := canon.Parse(l.URL)
	if err != nil {
		return o, false, nil // a resource record, such as a part of the log
	}
	since, frozen := a.Since[u.Host]
	if !frozen || l.Timestamp >= since.UTC().Format("20060102150405") {
		return o, false, nil
	}
	k, err := a.Lookup(ctx, a.Crawl.ID, u.Host, salvor.ItemKey(a.Crawl.HashKey, "", u.Href, nil))
	if salvor.ClassOf(err) == salvor.NotFound {
		return o, false, nil // a request with a body, or of another crawl
	}
	round := RoundOf(since)
	if err != nil || k.State != api.StateSettled || !k.Outcome.HasCapture() || k.Round >= round || k.At >= since.UnixMilli() || k.Class == salvor.ClassRobots {
		return o, false, err
	}
	it := crawler.NewItem(a.Crawl, u, scope.Decision{In: true, Class: k.Class, Band: k.Band, Hop: k.Hop}, "")
	it.Round = round
	return api.Offer{Item: it}, true, nil
}
