package frontier

import (
	"strings"

	"salvor"
	"salvor/api"
)

// discover takes offers (protocol 3).
func (t *tx) discover(d *api.Discovery) ([]api.Result, error) {
	c, err := t.crawl(d.Crawl)
	if err != nil {
		return nil, err
	}
	if d.Scope != c.Scope {
		class := salvor.Conflict
		if d.Scope > c.Scope {
			class = salvor.Unavailable
		}
		return nil, salvor.Errorf(class, "discover: judged by scope version %d, crawl %d is at %d", d.Scope, c.ID, c.Scope).
			WithHint("Judge the items again with the current scope.")
	}
	results := make([]api.Result, len(d.Items))
	for i := range d.Items {
		results[i] = t.offer(c, &d.Items[i])
	}
	return results, nil
}

func (t *tx) offer(c *crawl, o *api.Offer) api.Result {
	if o.Class == salvor.ClassRobots {
		o.Band = salvor.BandRobots // what gates a host is one band
	}
	q := t.queue(c, o.Host)
	if q == nil {
		q = t.newQueue(c, o.Host)
	}
	id := itemID{c.ID, q.h.num, o.Key}
	h, ok := t.head(id)
	switch {
	case !ok:
		return t.insert(q, id, o)
	case h.state == api.StateSettled && o.Round > h.round && o.Excluded == "":
		t.renew(q, id, o)
		return api.Readmitted
	case h.state == api.StateSettled && h.outcome != salvor.Excluded:
		return api.Unchanged
	case o.Excluded != "":
		return api.Unchanged
	case h.outcome == salvor.Excluded:
		if better(&h, o) || c.Scope > h.scope {
			t.readmit(q, id, o)
			return api.Readmitted
		}
		return api.Unchanged
	case better(&h, o) || o.Band < h.band && !h.answered():
		t.improve(q, id, o)
		return api.Improved
	}
	return api.Unchanged
}

// better reports whether an offer is worth more than what is known of its item.
func better(h *head, o *api.Offer) bool {
	return rank(o.Class) < rank(h.class) || o.Hop.Better(h.hop())
}

// newQueue begins a host's queue in a crawl, and its budget if no crawl had it.
func (t *tx) newQueue(c *crawl, name string) *queue {
	h := t.m.hosts[name]
	if h == nil {
		h = t.newHost(name, c.Start)
	}
	q := &queue{c: c, h: h, ready: -1}
	c.queues[h.num] = q
	t.touch(q)
	return q
}

func (t *tx) newHost(name string, rate salvor.Pace) *host {
	t.m.meta.host++
	h := newHost(t.m.meta.host, strings.Clone(name))
	h.rate = rate
	t.m.hosts[h.name] = h
	t.m.byNum[h.num] = h
	t.touchHost(h)
	return h
}

func (t *tx) insert(q *queue, id itemID, o *api.Offer) api.Result {
	it := &item{
		head: head{
			class: o.Class, band: o.Band, scope: q.c.Scope, round: o.Round,
			links: o.Hop.Links, embeds: o.Hop.Embeds, extra: o.Hop.Extra, expiry: o.Expiry,
		},
		method: o.Method, origin: o.Origin, url: o.URL, body: o.Body, path: o.Hop.Path, via: o.Via,
	}
	q.t.Accepted++
	q.c.t.Accepted++
	if o.Excluded != "" {
		it.ans.reason = o.Excluded
		t.enterOutcome(q, id, it, salvor.Excluded)
		return api.Barred
	}
	t.revive(q.c)
	t.enterQueue(q, id, it, frontFresh)
	return api.New
}

// renew queues a settled item for a later round: what it cited is lost, or the
// offer comes from a round that this state has not seen. A saved item has
// forgotten its request, the offer brings it.
func (t *tx) renew(q *queue, id itemID, o *api.Offer) {
	it := t.item(id)
	if it == nil {
		return
	}
	if it.ans.place != (salvor.Place{}) {
		t.shelve(id, it.round, it.ans.place)
	}
	t.leave(q, id, it)
	it.method, it.origin, it.url, it.body = o.Method, o.Origin, o.URL, o.Body
	it.path, it.via = o.Hop.Path, o.Via
	it.ans, it.attempts, it.round, it.scope = answer{}, 0, o.Round, q.c.Scope
	t.revive(q.c)
	t.enterQueue(q, id, it, frontFresh)
}

// readmit queues an excluded item.
func (t *tx) readmit(q *queue, id itemID, o *api.Offer) {
	it := t.item(id)
	if it == nil {
		return
	}
	t.leave(q, id, it)
	it.ans = answer{}
	it.attempts = 0
	it.scope = q.c.Scope
	it.band = o.Band
	it.take(o)
	if it.class == salvor.ClassRobots {
		it.band = salvor.BandRobots
	}
	t.revive(q.c)
	t.enterQueue(q, id, it, frontFresh)
}

// improve gives an open item the better class, hop and band.
func (t *tx) improve(q *queue, id itemID, o *api.Offer) {
	it := t.item(id)
	if it == nil {
		return
	}
	band := min(it.band, o.Band)
	if it.answered() {
		band = it.band
	}
	if band != it.band && it.state == api.StateQueued {
		t.leave(q, id, it)
		it.band = band
		it.take(o)
		t.enterQueue(q, id, it, frontFresh)
		return
	}
	t.opened(q, it, -1)
	it.band = band
	t.opened(q, it, 1)
	it.take(o)
	t.put(id, it)
}

// take keeps the better class, and of a shorter way all that tells of it.
func (it *item) take(o *api.Offer) {
	if rank(o.Class) < rank(it.class) {
		it.class = o.Class
	}
	if o.Hop.Better(it.hop()) {
		it.links, it.embeds, it.extra = o.Hop.Links, o.Hop.Embeds, o.Hop.Extra
		it.path, it.via = o.Hop.Path, o.Via
	}
}

// revive sets a finished crawl running: something is open again (protocol 7).
func (t *tx) revive(c *crawl) {
	if c.State == salvor.CrawlFinished {
		c.State = salvor.CrawlRunning
		t.touchCrawl(c)
	}
}
