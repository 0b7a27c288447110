package crawler

import (
	"slices"
	"time"
)

// A gauge tells when the hosts of a purse begin to answer slowly: twice in a row
// the median of the last answers was twice what it used to be. It compares
// medians with medians, so that a site of quick and slow pages is not slow all
// the time. What it used to be falls within seconds and rises over minutes; with
// each incident it comes nearer to what is, so that a site that stays slower costs a
// few cuts.
type gauge struct {
	base time.Duration   // what it used to be; 0 not known
	took []time.Duration // by the answers since the last look, at most mostTook
	n    int             // of them
	last time.Time       // look
	slow bool            // it was, then
	end  time.Time       // of the incident: what began before it says nothing new
}

const (
	// An incident lasts until an answer to what was asked under it has come, and
	// this long besides.
	incident = 5 * time.Second
	// lookEvery and leastTook are how much is needed for a look.
	lookEvery = 2 * time.Second
	leastTook = 16
	mostTook  = 32
	// baseRise is how long the base takes to follow a rise.
	baseRise = 2 * time.Minute
	// leastBase keeps the noise of a near server from looking like trouble.
	leastBase = 50 * time.Millisecond
)

// add takes how long the answer to a request took that began at a time. It is
// true where an incident begins.
func (g *gauge) add(now, began time.Time, took time.Duration) bool {
	if g.last.IsZero() {
		g.last = now
	}
	if began.Before(g.end) {
		return false
	}
	if len(g.took) < mostTook {
		g.took = append(g.took, took)
	} else {
		g.took[g.n%mostTook] = took
	}
	g.n++
	if g.n < leastTook || now.Sub(g.last) < lookEvery {
		return false
	}
	return g.look(now)
}

// look judges what came since the last one.
func (g *gauge) look(now time.Time) bool {
	slices.Sort(g.took)
	m, since, before := g.took[len(g.took)/2], now.Sub(g.last), g.slow
	g.took, g.n, g.last = g.took[:0], 0, now
	if g.base == 0 {
		g.base = m
	}
	switch g.slow = m > 2*max(g.base, leastBase); {
	case g.slow && before:
		g.base += (m - g.base) / 4
		g.slow, g.last, g.end = false, now.Add(m+incident), now.Add(m+incident)
		return true
	case m < g.base:
		g.base += (m - g.base) / 8
	default:
		g.base += time.Duration(float64(m-g.base) * min(1, since.Seconds()/baseRise.Seconds()))
	}
	return false
}
