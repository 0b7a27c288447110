package outfit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"salvor"
	"salvor/api"
	"salvor/crawler"
	"salvor/crawler/canon"
	"salvor/crawler/extract"
	"salvor/crawler/scope"
	"salvor/storage"
	"salvor/warc"
)

// Rescan judges the links of every stored page by the scope of now: a scope
// that grew lets in what was left outside, and what was never offered
// (protocol 3). Where metadata records were switched off there is nothing to
// read.
type Rescan struct {
	Store storage.Store // of the crawl
	// Rules are those of now; they may change while it runs.
	Rules func() (*scope.Scope, api.Crawl)
	// Lookup finds what the frontier knows of a stored page.
	Lookup func(ctx context.Context, crawl salvor.CrawlID, host string, k salvor.Key) (api.Known, error)
	// Discover offers links that belong now.
	Discover func(ctx context.Context, offers []api.Offer) error
}

// rescanPiece is how many links are offered in one call.
const rescanPiece = 1000

// Run reads all segments that are in the Store.
func (r Rescan) Run(ctx context.Context) error {
	for info, err := range r.Store.List(ctx, "warc/", "") {
		if err != nil {
			return err
		}
		if !strings.HasSuffix(info.Key, ".warc.gz") {
			continue
		}
		if err := r.segment(ctx, info.Key); err != nil {
			return err
		}
	}
	return nil
}

func (r Rescan) segment(ctx context.Context, key string) error {
	var offers []api.Offer
	flush := func() error {
		err := r.Discover(ctx, offers)
		offers = offers[:0]
		return err
	}
	err := r.eachMetadata(ctx, key, func(url string, m *warc.Metadata) error {
		more, err := r.admitted(ctx, url, m)
		if err != nil {
			return err
		}
		if offers = append(offers, more...); len(offers) < rescanPiece {
			return nil
		}
		return flush()
	})
	if err != nil {
		return fmt.Errorf("read the links stored in %s: %w", key, err)
	}
	return flush()
}

// admitted are a stored page's links that belong now.
func (r Rescan) admitted(ctx context.Context, url string, m *warc.Metadata) (offers []api.Offer, err error) {
	u, err := canon.Parse(url)
	if err != nil {
		return nil, nil // stored under a URL that is none: it has no links to resolve
	}
	rules, crawl := r.Rules()
	parent, err := r.parent(ctx, crawl, u, m.Path)
	if err != nil {
		return nil, err
	}
	for _, l := range m.Outlinks {
		target, err := canon.Parse(l.URL)
		if err != nil {
			continue
		}
		if d := rules.Decide(parent, extract.KindOf(l.Hop), target); d.In {
			offers = append(offers, api.Offer{Item: crawler.NewItem(crawl, target, d, url)})
		}
	}
	return offers, nil
}

// parent is a stored page as the frontier has it: a path, of which only the
// newest letters are kept, does not say how far the page lies from its seed or
// outside the scope. From what the frontier does not know, as a page of an
// earlier round, nothing leads outside.
func (r Rescan) parent(ctx context.Context, c api.Crawl, u canon.URL, path string) (scope.Parent, error) {
	p := scope.Parent{URL: u, Hop: crawler.HopOf(path), Class: salvor.ClassPage}
	p.Hop.Extra = math.MaxUint8
	k, err := r.Lookup(ctx, c.ID, u.Host, salvor.ItemKey(c.HashKey, "", u.Href, nil))
	if salvor.ClassOf(err) == salvor.NotFound {
		return p, nil
	}
	p.Hop, p.Class = k.Hop, k.Class
	p.Hop.Path = path // the frontier forgets it when a page is saved
	return p, err
}

// eachMetadata calls f for every metadata record of a segment.
func (r Rescan) eachMetadata(ctx context.Context, key string, f func(url string, m *warc.Metadata) error) error {
	file, _, err := r.Store.Get(ctx, key)
	if err != nil {
		return err
	}
	defer file.Close()
	records := warc.NewReader(file, 0, nil)
	for ctx.Err() == nil {
		rec, err := records.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if rec.Get("WARC-Type") != "metadata" {
			continue
		}
		block, err := io.ReadAll(rec.Block)
		if err != nil {
			return err
		}
		if err := f(rec.Get("WARC-Target-URI"), warc.ParseMetadata(block)); err != nil {
			return err
		}
	}
	return ctx.Err()
}
