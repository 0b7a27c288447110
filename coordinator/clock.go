package coordinator

import "time"

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
