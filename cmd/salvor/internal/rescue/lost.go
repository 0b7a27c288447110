package rescue

import (
	"context"
	"fmt"
	"strings"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/progress"
	"salvor/crawler"
	"salvor/crawler/canon"
	"salvor/crawler/scope"
	"salvor/warc"
	"salvor/warc/cdx"
)

// regain queues again what was saved in files that are gone: their indexes
// beside them, if they are still there, tell the URLs (docs/protocol.md 5).
func (r *rescue) regain(ctx context.Context) error {
	if len(r.missing) == 0 {
		return nil
	}
	segments, err := r.node.Segments(ctx)
	if err != nil {
		return err
	}
	in := map[string]map[salvor.SegmentID]bool{} // segments by the object that is gone
	for _, s := range segments {
		if r.missing[s.Object] == "" {
			continue
		}
		if in[s.Object] == nil {
			in[s.Object] = map[salvor.SegmentID]bool{}
		}
		in[s.Object][s.ID] = true
	}
	for object, ids := range in {
		n, err := r.regainFrom(ctx, object, ids)
		switch {
		case salvor.ClassOf(err) == salvor.NotFound:
			r.unknown++
			r.notice(progress.Error, "segment_lost", "", fmt.Sprintf("the index of %s is gone too: which URLs it held is not known", r.where(object)))
		case err != nil:
			return fmt.Errorf("queue again what lay in %s: %w", object, err)
		case n > 0:
			r.notice(progress.Note, "requeued", "", progress.Counted(n, "URL")+" of "+object+" queued again")
		}
	}
	return nil
}

// regainFrom offers in a new round what an index names and still cites one of
// the segments.
func (r *rescue) regainFrom(ctx context.Context, object string, ids map[salvor.SegmentID]bool) (queued int64, err error) {
	in, _, err := r.store.Get(ctx, warc.CDXJKey(strings.TrimPrefix(object, "warc/")))
	if err != nil {
		return 0, err
	}
	defer in.Close()
	var offers []api.Offer
	flush := func() error {
		n, err := r.discover(ctx, offers)
		queued += n
		offers = offers[:0]
		return err
	}
	err = cdx.Read(in, func(l cdx.Line) error {
		o, ok, err := r.lostOffer(ctx, l.URL, ids)
		if err != nil || !ok {
			return err
		}
		if offers = append(offers, o); len(offers) < seedPiece {
			return nil
		}
		return flush()
	})
	if err != nil {
		return queued, err
	}
	return queued, flush()
}

// lostOffer is an item whose outcome cites bytes that are gone.
func (r *rescue) lostOffer(ctx context.Context, url string, ids map[salvor.SegmentID]bool) (o api.Offer, ok bool, err error) {
	u, err := canon.Parse(url)
	if err != nil {
		return o, false, nil // a resource record, such as a part of the log
	}
	k, err := r.node.Lookup(ctx, r.crawl.ID, u.Host, salvor.ItemKey(r.crawl.HashKey, "", u.Href, nil))
	if salvor.ClassOf(err) == salvor.NotFound {
		return o, false, nil // of an earlier round of the archive
	}
	if err != nil || k.State != api.StateSettled || !ids[k.Place.Segment] {
		return o, false, err
	}
	d := scope.Decision{In: true, Class: k.Class, Band: k.Band, Hop: k.Hop}
	it := crawler.NewItem(r.crawl, u, d, "")
	it.Round = k.Round + 1
	return api.Offer{Item: it}, true, nil
}
