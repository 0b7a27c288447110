package rescue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"salvor"
	"salvor/api"
	"salvor/crawler"
	"salvor/crawler/canon"
	"salvor/crawler/extract"
	"salvor/crawler/scope"
	"salvor/warc"
)

// rescan judges the links of every stored page by the scope of now: a scope
// that grew lets in what was left outside, and what was never offered
// (protocol 3). Where metadata records were switched off there is nothing to read.
func (r *rescue) rescan(ctx context.Context) error {
	names, err := filepath.Glob(r.job.Dir.WARC("*.warc.gz"))
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := r.rescanSegment(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (r *rescue) rescanSegment(ctx context.Context, name string) error {
	var offers []api.Offer
	err := eachMetadata(ctx, name, func(url string, m *warc.Metadata) error {
		offers = append(offers, r.admitted(url, m)...)
		if len(offers) < seedPiece {
			return nil
		}
		defer func() { offers = offers[:0] }()
		return r.discover(ctx, offers)
	})
	if err != nil {
		return fmt.Errorf("read the links stored in %s: %w", name, err)
	}
	return r.discover(ctx, offers)
}

// admitted are a stored page's links that belong now.
func (r *rescue) admitted(url string, m *warc.Metadata) (offers []api.Offer) {
	u, err := canon.Parse(url)
	if err != nil {
		return nil // stored under a URL that is none: it has no links to resolve
	}
	parent := scope.Parent{URL: u, Hop: crawler.HopOf(m.Path), Class: salvor.ClassPage}
	for _, l := range m.Outlinks {
		target, err := canon.Parse(l.URL)
		if err != nil {
			continue
		}
		if d := r.scope.Decide(parent, extract.KindOf(l.Hop), target); d.In {
			offers = append(offers, api.Offer{Item: crawler.NewItem(r.crawl, target, d, url)})
		}
	}
	return offers
}

// eachMetadata calls f for every metadata record of a segment.
func eachMetadata(ctx context.Context, name string, f func(url string, m *warc.Metadata) error) error {
	file, err := os.Open(name)
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
