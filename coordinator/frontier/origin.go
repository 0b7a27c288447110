package frontier

import (
	"strings"

	"salvor"
	"salvor/api"
)

// originKey names an origin of a host in a crawl.
type originKey struct {
	q      *queue
	origin string
}

// robotsPath follows an origin in the URL of its robots.txt (RFC 9309 2.3).
const robotsPath = "/robots.txt"

// robotsFirst makes the robots.txt of an item's origin known before the item is
// queued. Senders put it before their pages, but the promise that it is the
// first item of its origin is not theirs: an item may also be admitted by a
// changed scope, or reopened, long after it was offered without.
//
// Once known it gates its host like every item of its band, and its record
// stays, so that this looks no further than a table.
func (t *tx) robotsFirst(q *queue, id itemID, it *item) {
	if _, ok := t.m.origins[originKey{q, it.origin}]; ok {
		return
	}
	t.knowOrigin(q, it.origin)
	url := it.origin + robotsPath
	key := salvor.ItemKey(q.c.HashKey, "", url, nil)
	if key == id.key { // a link to it
		it.class, it.band = salvor.ClassRobots, salvor.BandRobots
		return
	}
	hop := it.hop()
	hop.Path = it.path
	t.offer(q.c, &api.Offer{Item: salvor.Item{
		Key: key, Crawl: id.crawl, Host: q.h.name, Origin: it.origin, URL: url,
		Class: salvor.ClassRobots, Band: salvor.BandRobots,
		Hop: salvor.Hop{Links: it.links, Path: hop.Append('I')}, Via: it.url,
	}})
}

func (t *tx) knowOrigin(q *queue, origin string) {
	origin = strings.Clone(origin)
	t.m.origins[originKey{q, origin}] = struct{}{}
	t.set(keyOrigin(nil, q.c.ID, q.h.num, origin), []byte{recordVersion})
}

// rank orders classes, lower first. What robots.txt is for does not change with
// who else names it, not even a person.
func rank(c salvor.Class) int {
	if c == salvor.ClassRobots {
		return -1
	}
	return int(c)
}
