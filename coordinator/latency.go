package coordinator

import (
	"math"
	"time"
)

// answers is how long a host's answers take, and took before. It is a mean over
// all sessions, each report weighed by its requests: near and far workers, quick
// and slow pages meet in it.
type answers struct {
	sum, n float64 // ms x requests and requests, decayed
	seen   float64 // requests in all
	base   float64 // ms that they used to take
}

const (
	// baseRise is how long the base takes to follow a rise.
	baseRise = 2 * time.Minute
	// baseFrom is of how many requests the base is made: the first ones, as of
	// robots.txt, often are of another kind than all that follow.
	baseFrom = 32
	// leastJudged is how many requests must be remembered for a word on them. A
	// host asked less than about every two seconds is not judged.
	leastJudged = 8
	// leastBase keeps the noise of a near server from looking like trouble.
	leastBase = 50 * time.Millisecond
)

// add takes what requests since the last report took.
func (a *answers) add(since time.Duration, requests int64, took time.Duration) {
	keep := math.Exp2(-since.Seconds() / halfLife.Seconds())
	a.sum, a.n = a.sum*keep, a.n*keep
	if took <= 0 || requests <= 0 {
		return
	}
	n := float64(requests)
	a.sum, a.n, a.seen = a.sum+n*ms(took), a.n+n, a.seen+n
	m := a.mean()
	switch {
	case a.seen < baseFrom:
		a.base = m
	case m < a.base:
		a.base += (m - a.base) * (1 - keep)
	default:
		a.base += (m - a.base) * min(1, since.Seconds()/baseRise.Seconds())
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (a *answers) mean() float64 {
	if a.n == 0 {
		return 0
	}
	return a.sum / a.n
}

// slow reports whether answers take much longer than they used to.
func (a *answers) slow() bool {
	return a.n >= leastJudged && a.mean() > 2*max(a.base, ms(leastBase))
}

// answered starts anew after an incident: what comes now is of another rate. The
// base comes nearer to what was, so that a host that stays slow, or that sends
// pages of a slower kind, costs a few falls and not the rate.
func (a *answers) answered() {
	if m := a.mean(); m > a.base {
		a.base += (m - a.base) / 4
	}
	a.sum, a.n = 0, 0
}
