package trust

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	limitBurst = 20              // failures at once, of one address
	limitEvery = 3 * time.Second // one more is forgiven
	limitSize  = 4096            // addresses remembered
)

// limiter counts failures by the remote address. It does not protect secrets,
// which are too long to be guessed, but the work that failures make. Its memory
// is bounded: when it is full, somebody who failed little or long ago is forgotten.
type limiter struct {
	now func() time.Time

	mu    sync.Mutex
	clear map[string]time.Time // when all failures of an address are forgiven
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, clear: map[string]time.Time{}}
}

// spent is how long an address has to wait before it may fail again; 0 not.
func (l *limiter) spent(addr string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, known := l.clear[source(addr)]
	if !known {
		return 0
	}
	return max(0, at.Sub(l.now())-(limitBurst-1)*limitEvery)
}

// fail counts a failure.
func (l *limiter) fail(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key, now := source(addr), l.now()
	at, known := l.clear[key]
	if !known && len(l.clear) >= limitSize {
		l.forget(now)
	}
	if at.Before(now) {
		at = now
	}
	if at = at.Add(limitEvery); at.Sub(now) <= 2*limitBurst*limitEvery { // who goes on waits a bounded time
		l.clear[key] = at
	}
}

// forget makes room: of a few addresses picked at random it drops the forgiven,
// and the one closest to it in any case.
func (l *limiter) forget(now time.Time) {
	const few = 16
	var first string
	looked := 0
	for k, at := range l.clear { // begins anywhere
		if first == "" || at.Before(l.clear[first]) {
			first = k
		}
		if !at.After(now) {
			delete(l.clear, k)
		}
		if looked++; looked == few {
			break
		}
	}
	delete(l.clear, first)
}

// source is what stands for a remote address (host:port): an IPv4 address, or
// the /64 of an IPv6 one, since whoever has one of those has them all.
func source(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "?"
	}
	ip = ip.Unmap().WithZone("")
	if p, err := ip.Prefix(64); err == nil && ip.Is6() {
		return p.String()
	}
	return ip.String()
}
