package frontier

import (
	"encoding/binary"

	"salvor"
	"salvor/api"
)

// headCache remembers of items what decides an offer. Most offers are of few
// items: what every page of a site links to. It is a table of fixed size with
// one place for each item, without pointers, and holds what was committed.
type headCache []cachedHead

type cachedHead struct {
	id            itemID
	scope, round  uint32
	links         uint16
	embeds, extra uint8
	state         api.ItemState
	outcome       salvor.Outcome
	class         salvor.Class
	band          salvor.Band
}

const headsKept = 1 << 18 // 11 MB

// at is the place for an item; another item may have it. No item has the zero
// id: crawls are numbered from one.
func (c headCache) at(id itemID) *cachedHead {
	n := binary.LittleEndian.Uint64(id.key[:]) ^ uint64(id.host)*0x9e3779b97f4a7c15
	return &c[n%uint64(len(c))]
}

func (c headCache) put(id itemID, h *head) {
	*c.at(id) = cachedHead{
		id: id, scope: h.scope, round: h.round, links: h.links, embeds: h.embeds, extra: h.extra,
		state: h.state, outcome: h.outcome, class: h.class, band: h.band,
	}
}

func (c *cachedHead) head() head {
	return head{
		scope: c.scope, round: c.round, links: c.links, embeds: c.embeds, extra: c.extra,
		state: c.state, outcome: c.outcome, class: c.class, band: c.band,
	}
}
