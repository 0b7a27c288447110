package crawler

import (
	"maps"
	"sync"
	"sync/atomic"

	"salvor/api"
)

// Stats are what this run of the worker did. Counters of the crawl as a whole
// are the coordinator's.
type Stats struct {
	Requests int64            // exchanges begun
	Captures int64            // exchanges recorded
	Bytes    int64            // of response blocks
	Busy     int64            // exchanges under way
	Errors   map[string]int64 // attempts that got no good answer, by class
	Notes    map[string]int64 // deviations of servers: "invalid-certificate"
}

type counters struct {
	requests, captures, bytes, busy atomic.Int64

	mu     sync.Mutex
	errors map[string]int64
	notes  map[string]int64
	certs  map[[2]string]int64 // by host and problem
}

func (c *counters) certificate(host, problem string) {
	c.mu.Lock()
	c.certs[[2]string{host, problem}]++
	c.mu.Unlock()
}

// Certificates counts captures under an invalid certificate by host and
// problem. They never prevent a capture.
func (w *Worker) Certificates() map[[2]string]int64 {
	w.stats.mu.Lock()
	defer w.stats.mu.Unlock()
	return maps.Clone(w.stats.certs)
}

func (c *counters) settled(e api.Entry) {
	if e.Verb == api.VerbSettle && e.Place.Length > 0 {
		c.bytes.Add(e.Bytes)
		c.captures.Add(1)
	}
}

// failed counts an attempt that an operator wants to know of.
func (c *counters) failed(v verdict) {
	if v.unanswered || v.throttled || v.status >= 500 {
		c.mu.Lock()
		c.errors[v.reason]++
		c.mu.Unlock()
	}
}

func (c *counters) note(n string) {
	c.mu.Lock()
	c.notes[n]++
	c.mu.Unlock()
}

// Stats so far.
func (w *Worker) Stats() Stats {
	c := &w.stats
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{
		Requests: c.requests.Load(), Captures: c.captures.Load(), Bytes: c.bytes.Load(), Busy: c.busy.Load(),
		Errors: maps.Clone(c.errors), Notes: maps.Clone(c.notes),
	}
}
