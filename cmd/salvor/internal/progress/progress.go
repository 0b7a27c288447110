// Package progress shows how a crawl goes: on a terminal, as plain lines, or
// as JSON.
//
// The engine hands in snapshots and notices and is never made to wait; what is
// derived from them (rates, time left) is computed here, once, for all
// printers.
package progress

import "time"

// Sink takes what the engine has to say. Calls return at once, from any
// goroutine; after Close they do nothing.
type Sink interface {
	// Update replaces the last snapshot. Once a second is plenty.
	Update(Snapshot)
	// Notice tells the operator something that happened once. Too many in a
	// short time are counted instead of printed.
	Notice(Notice)
}

// Phase is what the engine is at. Its text is part of the JSON contract.
type Phase string

const (
	Starting   Phase = "starting" // opening the state
	Mending    Phase = "mending"  // repairing segments a crash left open
	Crawling   Phase = "crawling"
	Sweeping   Phase = "sweeping"   // crawling, and judging by new rules what is known
	Rescanning Phase = "rescanning" // crawling, and judging the links of stored pages again
	Paused     Phase = "paused"
	Draining   Phase = "draining" // finishing what is under way
	Sealing    Phase = "sealing"
	Reporting  Phase = "reporting"
	Ended      Phase = "ended"
)

// Snapshot is the state of a crawl at one moment: absolute counts, over all
// runs on the directory.
type Snapshot struct {
	Phase Phase

	Saved    int64 // outcome saved
	Revisits int64
	Gone     int64
	Refused  int64
	Failed   int64
	Excluded int64
	TooBig   int64
	Known    int64 // all URLs accepted
	Queued   int64
	Waiting  int64  // for a retry
	Leased   int64  // under way
	Held     int64  // of these: captured, on their way to a Store elsewhere
	Stopped  string // why nothing new is fetched; "" it is

	Captures int64 // exchanges recorded
	Bytes    int64 // received: their response blocks

	Errors map[string]int64 // attempts that failed, by class: "timeout", "http_5xx", "dns_failed"
	Hosts  []Host           // the busiest, at most 20, most open first

	Spool    int64 // bytes in the spool
	SpoolMax int64
	Open     int // segments
	Sealed   int
}

// Settled is what has an outcome.
func (s Snapshot) Settled() int64 {
	return s.Saved + s.Revisits + s.Gone + s.Refused + s.Failed + s.Excluded + s.TooBig
}

// Host is one host's part.
type Host struct {
	Name     string
	Open     int64
	Saved    int64
	Rate     float64 // requests/s it may get now; 0 unlimited
	Captures int64   // for its measured rate
	Why      string  // why it is slow or stopped: "429, waits until 12:03:10"; empty when it is not
}

// Level is how loud a notice is.
type Level uint8

const (
	Info  Level = iota // shown with -v
	Note               // shown
	Error              // shown even with -q
)

// Notice is one thing that happened.
type Notice struct {
	Level Level
	At    time.Time // zero: now
	Text  string    // one line, lower case, no full stop
	Hint  string    // what to do about it
	Code  string    // stable word for scripts: "invalid_certificate", "robots_unreachable"
	Host  string
	URL   string
}
