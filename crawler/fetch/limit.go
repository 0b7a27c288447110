package fetch

import (
	"context"
	"sync"
	"time"
)

// limiter holds all connections together to a rate of bytes a second. Bytes
// are paid for after they were read: nothing is known of them before.
type limiter struct {
	rate int64
	done <-chan struct{} // ends waiting
	mu   sync.Mutex
	free time.Time // when all bytes so far are paid
}

// burst is how far reading may run ahead.
const burst = 100 * time.Millisecond

func newLimiter(rate int64, done <-chan struct{}) *limiter {
	if rate <= 0 {
		return nil
	}
	return &limiter{rate: rate, done: done}
}

// most is the most bytes to read at once, so that a slow rate stays even.
func (l *limiter) most(n int) int {
	if l == nil {
		return n
	}
	return int(min(int64(n), max(512, l.rate/8)))
}

// pay waits until n more bytes fit, and says how long that was.
func (l *limiter) pay(ctx context.Context, n int) time.Duration {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	now := time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(float64(n) / float64(l.rate) * float64(time.Second)))
	wait := l.free.Sub(now) - burst
	l.mu.Unlock()
	if wait <= 0 {
		return 0
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-l.done:
	}
	return time.Since(now)
}
