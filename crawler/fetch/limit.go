package fetch

import (
	"context"
	"sync"
	"time"
)

// Limit holds all connections of the clients that share it to a rate of bytes a
// second. Bytes are paid for after they were read: nothing is known of them
// before. A nil Limit is none.
type Limit struct {
	rate int64
	mu   sync.Mutex
	free time.Time // when all bytes so far are paid
	paid int64     // bytes so far
}

// burst is how far reading may run ahead.
const burst = 100 * time.Millisecond

// NewLimit is a rate of bytes a second; nil for 0, which is no limit.
func NewLimit(rate int64) *Limit {
	if rate <= 0 {
		return nil
	}
	return &Limit{rate: rate}
}

// Rate is how many bytes a second there may be; 0 any.
func (l *Limit) Rate() int64 {
	if l == nil {
		return 0
	}
	return l.rate
}

// Paid is how many bytes were received so far.
func (l *Limit) Paid() int64 {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.paid
}

// most is the most bytes to read at once, so that a slow rate stays even.
func (l *Limit) most(n int) int {
	if l == nil {
		return n
	}
	return int(min(int64(n), max(512, l.rate/8)))
}

// pay waits until n more bytes fit, or something ends, and says how long that was.
func (l *Limit) pay(ctx context.Context, done <-chan struct{}, n int) time.Duration {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	l.paid += int64(n)
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
	case <-done:
	}
	return time.Since(now)
}

// most is the most bytes to read at once, by both limits of a client.
func (c *Client) most(n int) int { return min(c.limit.most(n), c.cfg.Shared.most(n)) }

// pay waits until both limits of a client allow n more bytes.
func (c *Client) pay(ctx context.Context, n int) time.Duration {
	return c.limit.pay(ctx, c.ctx.Done(), n) + c.cfg.Shared.pay(ctx, c.ctx.Done(), n)
}
