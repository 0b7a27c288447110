package platform

import (
	"math"
	"net/http"
	"sync"
	"time"
)

// verdict is how a request is answered.
type verdict struct {
	status     int           // 200: with what was asked for
	delay      time.Duration // before the answer
	retryAfter time.Duration // of 429
	gone       bool          // the platform is dead
}

// gate decides over the requests of one platform. Time is given: it is a pure
// state machine, and safe for concurrent use.
type gate struct {
	Conduct
	seed   uint64
	bucket *bucket // may be another platform's too

	mu      sync.Mutex
	asked   uint64          // requests so far
	refused []time.Duration // of late
	banned  time.Duration   // until then
}

func newGate(c Conduct, seed uint64, b *bucket) *gate {
	if c.Ban.Within == 0 {
		c.Ban.Within = 10 * time.Second
	}
	return &gate{Conduct: c, seed: seed, bucket: b}
}

// decide judges a request that comes at a moment.
func (g *gate) decide(at time.Duration, method string) verdict {
	if g.dead(at) {
		return verdict{status: http.StatusServiceUnavailable, gone: true}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	v := verdict{status: http.StatusOK, delay: g.Latency}
	if chance(g.seed+3*g.asked) < g.Tail.Share {
		v.delay += g.Tail.Latency
	}
	switch {
	case at < g.banned:
		v.status = http.StatusForbidden
	case !g.bucket.take(at):
		v.status, v.retryAfter, v.delay = http.StatusTooManyRequests, retryAfter, 0
		g.refuse(at)
	case g.stormy(at):
		v.status = http.StatusServiceUnavailable
	case g.ReadOnly > 0 && at >= g.ReadOnly && method != http.MethodGet && method != http.MethodHead:
		v.status = http.StatusForbidden
	}
	return v
}

// retryAfter is what those are told who ask too often. Platforms say more, and
// drills are short.
const retryAfter = 2 * time.Second

// dead says whether a moment is after the platform's end.
func (g *gate) dead(at time.Duration) bool { return g.Death > 0 && at >= g.Death }

// refuse counts a refusal, and bans who does not heed them.
func (g *gate) refuse(at time.Duration) {
	if g.Ban.After <= 0 {
		return
	}
	for len(g.refused) > 0 && at-g.refused[0] > g.Ban.Within {
		g.refused = g.refused[1:]
	}
	if g.refused = append(g.refused, at); len(g.refused) >= g.Ban.After {
		g.banned, g.refused = at+g.Ban.For, nil
	}
}

func (g *gate) stormy(at time.Duration) bool {
	for _, s := range g.Storms {
		if at >= s.From && at < s.To && chance(g.seed+3*g.asked+1) < s.Share {
			return true
		}
	}
	return false
}

// bucket is a token bucket: so many requests a second over time, and a few at
// once. The crawler may spend its budget of 10 s in any way that it likes, so
// that a bucket holds that of a second and a half, and five.
type bucket struct {
	mu      sync.Mutex
	changes []Change
	rate    float64 // 0: no limit
	tokens  float64
	at      time.Duration
}

func newBucket(rate float64, changes []Change) *bucket {
	b := &bucket{rate: rate, changes: changes}
	b.tokens = b.size()
	return b
}

func (b *bucket) size() float64 { return 1.5*b.rate + 5 }

// take is false where a request comes too early.
func (b *bucket) take(at time.Duration) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.changes) > 0 && at >= b.changes[0].At {
		b.fill(b.changes[0].At)
		b.rate, b.changes = b.changes[0].Rate, b.changes[1:]
	}
	b.fill(at)
	if b.rate == 0 {
		return true
	}
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

func (b *bucket) fill(at time.Duration) {
	if at > b.at { // requests may come a little out of order
		b.tokens = math.Min(b.tokens+b.rate*(at-b.at).Seconds(), b.size())
		b.at = at
	}
}
