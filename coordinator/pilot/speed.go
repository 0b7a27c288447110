package pilot

import (
	"time"

	"salvor"
	"salvor/api"
)

// speeds are how fast each host was served lately.
type speeds map[hostID]*speed

type hostID struct {
	crawl salvor.CrawlID
	host  string
}

func newSpeeds() speeds { return speeds{} }

// speed is a host's rate over the last looks, and what was planned for it.
type speed struct {
	at    time.Time
	ended int64   // items that were begun
	rate  float64 // of these a second
	known float64 // weight of what the rate was averaged over; 1: a whole span
	plan  float64
	least [2]float64 // of the plans of this span and of the one before
	turn  time.Time  // when this span began
	slow  time.Time  // since when it does much less than was planned; zero: it does not
	most  float64    // that it proved to do, and a little more; 0 not known
	size  size
}

// speedSpan is over how long a rate is averaged.
const speedSpan = 20 * time.Second

// leastSpan is over how long a rate can be told at all.
const leastSpan = 800 * time.Millisecond

// of takes a host's newest counters. full says that the workers do all they can.
func (s speeds) of(id hostID, now time.Time, h *api.Host, full bool) *speed {
	x := s[id]
	ended := begun(h)
	if x == nil {
		x = &speed{at: now, ended: ended}
		x.size.take(h.Totals.Accepted, ended)
		s[id] = x
		return x
	}
	span := now.Sub(x.at)
	if span < leastSpan {
		return x
	}
	keep := max(0, 1-span.Seconds()/speedSpan.Seconds())
	x.size.take(h.Totals.Accepted, ended)
	recent := float64(max(ended-x.ended, 0)) / span.Seconds()
	sum := x.rate*x.known*keep + recent*(1-keep)
	x.known = x.known*keep + 1 - keep
	x.rate = sum / x.known
	x.at, x.ended = now, ended
	x.judge(h, max(recent, x.rate), full)
	return x
}

// begun is how many items of a host were fetched, or are being fetched.
func begun(h *api.Host) int64 {
	return h.Totals.Accepted - h.Totals.Queued - h.Totals.Waiting - h.Unbegun
}

// judge compares what the host did with the least that was planned for it of late:
// workers need a while to follow. While they do all they can, others may have had
// its part: then it says nothing.
func (x *speed) judge(h *api.Host, did float64, full bool) {
	given := min(x.least[0], x.least[1])
	if given > 0 && did < slowShare*given && h.Totals.Queued > 0 && !full {
		if x.slow.IsZero() {
			x.slow = x.at
		}
	} else {
		x.slow = time.Time{}
	}
	switch {
	case !x.slow.IsZero() && x.at.Sub(x.slow) >= slowFor:
		x.most = max(did*recovers, 1)
	case x.most > 0:
		x.most = max(x.most, did*recovers)
	}
}

const (
	// slowShare of its plan for slowFor, and a host is taken to be no faster: its
	// connections or its answers bound it, not its budget.
	slowShare = 0.7
	slowFor   = 4 * time.Second
	// recovers is by how much more than it did it is given then.
	recovers = 1.3
)

// limit is what the host can take: its budget, or what it proved to do.
func (x *speed) limit(h *api.Host) float64 {
	r := limited(min(h.Rate, h.Ceiling))
	if x.most > 0 {
		r = min(r, x.most)
	}
	return r
}

// planned notes what the host is to get.
func (x *speed) planned(now time.Time, rate float64) {
	if now.Sub(x.turn) >= speedSpan {
		x.least = [2]float64{rate, x.least[0]} // 0 where there was no plan
		x.turn = now
	}
	x.plan, x.least[0] = rate, min(x.least[0], rate)
}

// planned notes what every host is to get, and forgets those that have nothing
// left.
func (s speeds) planned(v *View) {
	here := make(map[hostID]bool, len(v.Hosts))
	for i, h := range v.Hosts {
		id := hostID{h.Crawl, h.Host}
		here[id] = true
		s[id].planned(time.UnixMilli(v.At), v.Plan.Hosts[i].Rate)
	}
	for id := range s {
		if !here[id] {
			delete(s, id)
		}
	}
}

// Capacity is what the workers can do.
type Capacity struct {
	Workers int     `json:"workers"`
	Rate    float64 `json:"rate"`            // requests a second now
	Most    float64 `json:"most"`            // that they could do; 0 not known
	Use     float64 `json:"use"`             // of what they have, the busiest; 0 to 1
	Bound   string  `json:"bound,omitempty"` // what is used most: cpu, connections, requests, egress
	Spool   float64 `json:"spool"`           // fullest, 0 to 1
}

// leastUse is what a worker must use for it to be said what it could do. Below, a
// good part of what it uses may be for other things than fetching: what it could do
// would seem to fall with what it is given, and be given less for that.
const leastUse = 0.5

// measure adds the workers up. A worker that uses a share of what it has could do
// its rate divided by that share (the utilisation law; Denning and Buzen, 1978).
func measure(nodes []api.NodeStatus) (c Capacity) {
	known := 0
	for _, n := range nodes {
		l := n.Load
		if l == nil || n.Silent != "" || n.Node.State != api.NodeActive {
			continue
		}
		c.Workers++
		c.Rate += l.Rate
		use := l.Use()
		if use >= c.Use {
			c.Use, c.Bound = use, boundOf(*l)
		}
		c.Spool = max(c.Spool, l.Spool)
		if use >= leastUse {
			c.Most += l.Rate / use
			known++
		}
	}
	if known > 0 { // the others are taken to be like them
		c.Most *= float64(c.Workers) / float64(known)
	}
	return c
}

// full says that the workers do all they can, or that nobody knows what they could
// do.
func (c Capacity) full() bool { return c.Most == 0 || c.Use > fullUse }

// fullUse is the share in use of what the workers have above which they do all
// that they can.
const fullUse = 0.9

func boundOf(l api.Load) string {
	if l.Egress > fullUse { // a full line keeps connections busy, too
		return "egress"
	}
	switch l.Use() {
	case l.Requests:
		return "requests"
	case l.CPU:
		return "cpu"
	case l.Egress:
		return "egress"
	}
	return "connections"
}

// rate is what is planned with, where all hosts could take so much: without a
// measure as if the workers could do all.
func (c Capacity) rate(wanted float64) float64 {
	if c.Workers == 0 {
		return 0
	}
	if c.Most == 0 {
		return wanted + 1
	}
	return max(c.Most, 1)
}
