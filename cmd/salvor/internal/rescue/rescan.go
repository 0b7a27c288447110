package rescue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/progress"
	"salvor/crawler"
	"salvor/crawler/canon"
	"salvor/crawler/extract"
	"salvor/crawler/scope"
	"salvor/warc"
)

// rescan judges the links of every stored page by the scope of now: a scope
// that grew lets in what was left outside, and what was never offered
// (docs/protocol.md 3). Where metadata records were switched off there is nothing to read.
func (r *rescue) rescan(ctx context.Context) error {
	r.mu.Lock()
	grown, moved := r.widened, len(r.moves.list)
	r.mu.Unlock()
	r.notice(progress.Note, "rescan", "", "the scope grew: the links of all stored pages are judged again")
	if err := r.pool.Seal(ctx); err != nil { // pages of open segments have links too
		return err
	}
	if err := r.rescanAll(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.memory.Widened = r.widened != grown // it may have grown again meanwhile
	r.memory.Judged = moved
	return r.memory.save(r.job.Dir)
}

func (r *rescue) rescanAll(ctx context.Context) error {
	for info, err := range r.store.List(ctx, "warc/", "") {
		if err != nil {
			return err
		}
		if !strings.HasSuffix(info.Key, ".warc.gz") {
			continue
		}
		if err := r.rescanSegment(ctx, info.Key); err != nil {
			return err
		}
	}
	return nil
}

func (r *rescue) rescanSegment(ctx context.Context, key string) error {
	var offers []api.Offer
	flush := func() error {
		_, err := r.discover(ctx, offers)
		offers = offers[:0]
		return err
	}
	err := r.eachMetadata(ctx, key, func(url string, m *warc.Metadata) error {
		more, err := r.admitted(ctx, url, m)
		if err != nil {
			return err
		}
		offers = append(offers, more...)
		if len(offers) < seedPiece {
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
func (r *rescue) admitted(ctx context.Context, url string, m *warc.Metadata) (offers []api.Offer, err error) {
	u, err := canon.Parse(url)
	if err != nil {
		return nil, nil // stored under a URL that is none: it has no links to resolve
	}
	rules, crawl := r.rules()
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
func (r *rescue) parent(ctx context.Context, c api.Crawl, u canon.URL, path string) (scope.Parent, error) {
	p := scope.Parent{URL: u, Hop: crawler.HopOf(path), Class: salvor.ClassPage}
	p.Hop.Extra = math.MaxUint8
	k, err := r.node.Lookup(ctx, c.ID, u.Host, salvor.ItemKey(c.HashKey, "", u.Href, nil))
	if salvor.ClassOf(err) == salvor.NotFound {
		return p, nil
	}
	p.Hop, p.Class = k.Hop, k.Class
	p.Hop.Path = path // the frontier forgets it when a page is saved
	return p, err
}

// eachMetadata calls f for every metadata record of a segment.
func (r *rescue) eachMetadata(ctx context.Context, key string, f func(url string, m *warc.Metadata) error) error {
	file, _, err := r.store.Get(ctx, key)
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
