package coordinator

import (
	"sync"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// unbegun is how many leased items of each host no worker has begun yet, as the
// sessions say at their extends. What was begun counts as done long before it has
// an outcome, which comes when it is in the Store. It is in memory only; a new
// leader learns it at the next extends. The zero value is ready.
type unbegun struct {
	mu       sync.Mutex
	sessions map[salvor.SessionID]*notBegun
}

type notBegun struct {
	at    time.Time
	hosts map[frontier.HostOf]int64
}

// told takes what a session said of all its leases.
func (u *unbegun) told(now time.Time, s salvor.SessionID, hosts map[frontier.HostOf]int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.sessions == nil {
		u.sessions = map[salvor.SessionID]*notBegun{}
	}
	u.sessions[s] = &notBegun{now, hosts}
	for id, n := range u.sessions {
		if now.Sub(n.at) > salvor.LeaseTTL+leaseGrace { // its leases have ended
			delete(u.sessions, id)
		}
	}
}

// granted adds leases that the session has not told of.
func (u *unbegun) granted(now time.Time, s salvor.SessionID, leases []api.Lease) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := u.sessions[s]
	if n == nil {
		n = &notBegun{now, map[frontier.HostOf]int64{}}
		if u.sessions == nil {
			u.sessions = map[salvor.SessionID]*notBegun{}
		}
		u.sessions[s] = n
	}
	for _, l := range leases {
		if len(l.Items) > 0 {
			n.hosts[frontier.HostOf{Crawl: l.Items[0].Crawl, Host: l.Host}] += int64(len(l.Items))
		}
	}
}

// of is the sum of a crawl's hosts.
func (u *unbegun) of(crawl salvor.CrawlID) map[string]int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	sum := map[string]int64{}
	for _, n := range u.sessions {
		for h, items := range n.hosts {
			if h.Crawl == crawl {
				sum[h.Host] += items
			}
		}
	}
	return sum
}
