package coordinator

import (
	"sync"
	"time"
)

// Clock is where a node takes its time from, so that tests can step it
// (protocol 10). Lease times are measured on the monotonic reading of Now;
// only its wall reading goes into commands.
type Clock interface {
	Now() time.Time
	// After sends once when d has passed; stop frees it early.
	After(d time.Duration) (c <-chan time.Time, stop func())
}

// systemClock is the machine's clock. Inside a testing/synctest bubble it is
// the bubble's.
type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// groupClock is the time that commands carry, in Unix ms. It never goes back
// and goes on while the wall clock is behind it: one that was ahead for a
// moment would otherwise stop all that is due or blocked until it is caught up.
type groupClock struct {
	mu sync.Mutex
	at time.Time // when it was ms
	ms int64
}

// raise moves it to at least ms.
func (g *groupClock) raise(now time.Time, ms int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ms > g.read(now) {
		g.at, g.ms = now, ms
	}
}

// now is the later of the wall clock and what the clock has come to.
func (g *groupClock) now(t time.Time) int64 {
	g.raise(t, t.UnixMilli())
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.read(t)
}

func (g *groupClock) read(t time.Time) int64 {
	if g.ms == 0 {
		return 0
	}
	return g.ms + max(0, t.Sub(g.at)).Milliseconds()
}
