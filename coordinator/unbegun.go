package coordinator

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// unbegun is which leased items of each host no worker has begun yet, as the
// sessions say at their extends: how many, and of what bands they were when they
// were granted. Those that were granted first are begun first. What was begun counts as done long before it has
// an outcome, which comes when it is in the Store. It is in memory only; a new
// leader learns it at the next extends. The zero value is ready.
type unbegun struct {
	mu       sync.Mutex
	sessions map[salvor.SessionID]*notBegun
}

type notBegun struct {
	at    time.Time
	hosts map[frontier.HostOf][]api.BandCount
}

// told takes what a session said of all its leases.
func (u *unbegun) told(now time.Time, s salvor.SessionID, hosts map[frontier.HostOf]int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.sessions == nil {
		u.sessions = map[salvor.SessionID]*notBegun{}
	}
	next := &notBegun{now, make(map[frontier.HostOf][]api.BandCount, len(hosts))}
	for h, n := range hosts {
		var granted []api.BandCount
		if before := u.sessions[s]; before != nil {
			granted = before.hosts[h]
		}
		next.hosts[h] = newest(granted, n)
	}
	u.sessions[s] = next
	for id, n := range u.sessions {
		if now.Sub(n.at) > salvor.LeaseTTL+leaseGrace { // its leases have ended
			delete(u.sessions, id)
		}
	}
}

// newest are the last n items of what was granted. What is not known of, as to a new
// leader, was granted when it was the best there was: it is like the first of them.
func newest(granted []api.BandCount, n int64) (out []api.BandCount) {
	for _, b := range slices.Backward(granted) {
		b.Queued = min(b.Queued, n)
		if n -= b.Queued; b.Queued > 0 {
			out = append(out, b)
		}
	}
	slices.Reverse(out)
	switch {
	case n > 0 && len(out) > 0:
		out[0].Queued += n
	case n > 0:
		out = []api.BandCount{{Band: unknownBand, Queued: n}}
	}
	return out
}

// unknownBand is of items that were granted before this node led.
const unknownBand = salvor.BandPage

// granted adds leases that the session has not told of.
func (u *unbegun) granted(now time.Time, s salvor.SessionID, leases []api.Lease) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := u.sessions[s]
	if n == nil {
		n = &notBegun{now, map[frontier.HostOf][]api.BandCount{}}
		if u.sessions == nil {
			u.sessions = map[salvor.SessionID]*notBegun{}
		}
		u.sessions[s] = n
	}
	for _, l := range leases {
		for _, x := range l.Items {
			h := frontier.HostOf{Crawl: x.Crawl, Host: l.Host}
			n.hosts[h] = add(n.hosts[h], api.BandCount{Band: x.Band, Queued: 1})
		}
	}
}

// add appends to runs of bands.
func add(to []api.BandCount, b api.BandCount) []api.BandCount {
	if n := len(to); n > 0 && to[n-1].Band == b.Band {
		to[n-1].Queued += b.Queued
		return to
	}
	return append(to, b)
}

// of is the sum of a crawl's hosts, by band.
func (u *unbegun) of(crawl salvor.CrawlID) map[string][]api.BandCount {
	u.mu.Lock()
	defer u.mu.Unlock()
	sum := map[string][]api.BandCount{}
	for _, n := range u.sessions {
		for h, items := range n.hosts {
			if h.Crawl == crawl {
				sum[h.Host] = append(sum[h.Host], items...)
			}
		}
	}
	for h, items := range sum {
		sum[h] = byBand(items)
	}
	return sum
}

// byBand adds up what is of one band, first the band that is granted first.
func byBand(items []api.BandCount) (out []api.BandCount) {
	slices.SortFunc(items, func(a, b api.BandCount) int { return cmp.Compare(a.Band, b.Band) })
	for _, b := range items {
		out = add(out, b)
	}
	return out
}
