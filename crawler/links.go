package crawler

import (
	"context"

	"salvor"
	"salvor/api"
	"salvor/crawler/canon"
	"salvor/crawler/extract"
	"salvor/crawler/scope"
)

// harvest is what a page links to.
type harvest struct {
	offers   []api.Offer
	outlinks []outlink
}

type outlink struct {
	url, context string
	hop          byte
}

// add turns a link into an offer. What the scope leaves outside is not
// offered; what a rule excludes is, so that it is counted and listed.
func (h *harvest) add(w *Worker, parent scope.Parent, l extract.Link) {
	key := salvor.ItemKey(w.c.Crawl.HashKey, "", l.URL.Href, nil)
	rules := w.rules.Load()
	if best, ok := bestOf(rules.Scope, parent, l.Kind); ok && w.sender.knows(key, best) {
		return
	}
	d := rules.Decide(parent, l.Kind, l.URL)
	if !d.In && !d.Record {
		return
	}
	o := api.Offer{Item: w.item(l.URL, d, parent.URL.Href)}
	if !d.In {
		o.Excluded = d.Rule
	}
	h.offers = append(h.offers, o)
}

// bestOf is the most that the scope could make of a link: the shortest way and
// the best class. What was accepted with that much before needs no judgement,
// and most links of a site are such. What a page needs may be worth more to it than
// to the pages before, where values say so: that is judged each time.
func bestOf(s *scope.Scope, p scope.Parent, k extract.Kind) (sent, bool) {
	switch {
	case k == extract.Page:
		return sent{links: p.Hop.Links + 1, class: salvor.ClassPage, band: anyBand}, true
	case k == extract.Requisite && !s.Tiers().Valued():
		return sent{links: p.Hop.Links, embeds: p.Hop.Embeds + 1, class: salvor.ClassRequisite, band: anyBand}, true
	}
	return sent{}, false
}

// anyBand is no better than any other.
const anyBand = salvor.Band(0xff)

// item is the item of a URL that was judged.
func (w *Worker) item(u canon.URL, d scope.Decision, via string) salvor.Item {
	return NewItem(w.c.Crawl, u, d, via)
}

// NewItem makes the item of a URL from what the scope said of it.
func NewItem(c api.Crawl, u canon.URL, d scope.Decision, via string) salvor.Item {
	return salvor.Item{
		Key: salvor.ItemKey(c.HashKey, "", u.Href, nil), Crawl: c.ID, Host: u.Host, Origin: u.Origin,
		URL: u.Href, Class: d.Class, Band: d.Band, Hop: d.Hop, Via: via,
	}
}

// RobotsItem is the first item of an origin (protocol 4).
func RobotsItem(c api.Crawl, it salvor.Item) salvor.Item {
	url := it.Origin + "/robots.txt"
	return salvor.Item{
		Key: salvor.ItemKey(c.HashKey, "", url, nil), Crawl: c.ID, Host: it.Host, Origin: it.Origin,
		URL: url, Class: salvor.ClassRobots, Band: salvor.BandRobots,
		Hop: salvor.Hop{Links: it.Hop.Links, Path: it.Hop.Append('I')}, Via: it.URL,
	}
}

// WithRobots puts the robots.txt of every admitted offer's origin before it,
// once an origin.
func WithRobots(c api.Crawl, offers []api.Offer) []api.Offer {
	out := make([]api.Offer, 0, len(offers)+1)
	last, seen := "", map[string]bool{}
	for _, o := range offers {
		if o.Excluded == "" && o.Origin != last && !seen[o.Origin] {
			seen[o.Origin] = true
			out = append(out, api.Offer{Item: RobotsItem(c, o.Item)})
		}
		last = o.Origin
		out = append(out, o)
	}
	return out
}

// rejudge judges an offer again under the scope of now.
func (w *Worker) rejudge(o api.Offer) api.Offer {
	if o.Class == salvor.ClassRobots {
		return o
	}
	o.Excluded = ""
	rules := w.rules.Load()
	if d := rules.Recheck(o.Item); !d.In {
		o.Excluded = d.Rule
	}
	o.Band = rules.Rank(o.Item).Band
	return o
}

func (w *Worker) discover(ctx context.Context, d api.Discovery) error {
	return w.session.do(ctx, func(c api.Call) error {
		_, err := w.c.Coordinator.Discover(ctx, c, d)
		return err
	})
}

// HopOf reads a discovery path back, as far as it was kept.
func HopOf(path string) salvor.Hop {
	h := salvor.Hop{Path: path}
	for i := range len(path) {
		switch path[i] {
		case 'L':
			h.Links++
			h.Embeds = 0
		case 'E':
			h.Embeds++
		}
	}
	return h
}
