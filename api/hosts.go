package api

import (
	"time"

	"salvor"
)

// HostFeedback is how a host answered one session since its last report.
type HostFeedback struct {
	Crawl      salvor.CrawlID
	Host       string
	Requests   int64
	Errors     int64         // time-outs, resets
	Throttled  int64         // 429 and 503
	Latency    time.Duration // median time to the first byte
	RetryAfter int64         // Unix ms; 0 none
	CrawlDelay time.Duration // robots.txt; 0 none
	Limited    bool          // the pace, not the queue, was what held it back
	Slowed     bool          // answers took twice as long as before, and the session cut its pace itself
}

// Host is one host's queue and budget.
type Host struct {
	Name    string
	Totals  Totals
	Rate    salvor.Pace // current budget
	Ceiling salvor.Pace
	Booked  salvor.Pace
	Blocked int64 // Unix ms until which nothing is granted; 0 not
	Note    string
	Group   string // of merged hosts, whose budget it is; "" the host's own
	// Bands are its queued items, first those that are granted first.
	Bands []BandCount
	// Unbegun are those of its leased items that no worker has begun, as far as
	// the leader knows, and Held the same by the bands they were granted from.
	Unbegun int64
	Held    []BandCount
}

// BandCount is how many items of a band are queued, or held by workers.
type BandCount struct {
	Band   salvor.Band
	Queued int64
}
