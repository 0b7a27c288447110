package fetch

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	minTTL      = time.Minute     // shorter ones would ask again for each page
	maxTTL      = time.Hour       // longer ones would miss a move
	negativeTTL = time.Minute     // for a name that does not exist
	failureTTL  = 5 * time.Second // for servers that do not answer
	staleTTL    = 24 * time.Hour  // an old answer is better than none (RFC 8767)
	maxNames    = 50_000          // in the cache, least recently used out first
)

// dnsCache keeps resolutions and asks once for many.
type dnsCache struct {
	resolver Resolver
	timeout  time.Duration
	again    time.Duration   // a failure is remembered this long
	ctx      context.Context // the Client's: ends look-ups under way
	running  *sync.WaitGroup

	mu    sync.Mutex
	most  int
	names map[string]*list.Element // of *dnsEntry
	used  list.List                // most recently used in front
}

// dnsEntry is one name. Fields below ready are set once it is closed.
type dnsEntry struct {
	name   string
	ready  chan struct{}
	answer *answer
	err    error
	expiry time.Time
}

// answer is a resolution that reports itself once.
type answer struct {
	*Resolution
	told atomic.Bool
}

// claim is the resolution for the first caller, nil for all others. A last known
// address is no answer of the DNS.
func (a *answer) claim() *Resolution {
	if a == nil || a.LastKnown != nil || a.told.Swap(true) {
		return nil
	}
	return a.Resolution
}

func newDNSCache(ctx context.Context, c *Config, running *sync.WaitGroup) *dnsCache {
	d := &dnsCache{resolver: c.Resolver, timeout: c.Timeouts.DNS, again: failureTTL, ctx: ctx, running: running, names: map[string]*list.Element{}, most: maxNames}
	if c.Proxy != "" { // which resolves then; there may be no name server for us at all
		d.again = negativeTTL
	}
	return d
}

func (d *dnsCache) lookup(ctx context.Context, name string) (*answer, error) {
	e := d.entry(name)
	select {
	case <-e.ready:
		return e.answer, e.err
	case <-ctx.Done():
		return nil, fail(ClassCancelled, context.Cause(ctx))
	case <-d.ctx.Done():
		return nil, fail(ClassCancelled, context.Cause(d.ctx))
	}
}

// entry is the name's fresh entry, one being resolved, or a new one.
func (d *dnsCache) entry(name string) *dnsEntry {
	d.mu.Lock()
	defer d.mu.Unlock()
	var old *dnsEntry
	if el := d.names[name]; el != nil {
		old = el.Value.(*dnsEntry)
		select {
		case <-old.ready:
			if time.Now().Before(old.expiry) {
				d.used.MoveToFront(el)
				return old
			}
		default:
			return old
		}
		d.used.Remove(el)
	}
	e := &dnsEntry{name: name, ready: make(chan struct{})}
	d.names[name] = d.used.PushFront(e)
	if d.used.Len() > d.most {
		last := d.used.Back()
		delete(d.names, last.Value.(*dnsEntry).name)
		d.used.Remove(last)
	}
	d.running.Go(func() { d.resolve(e, old) })
	return e
}

// resolve fills e. Many may wait for it, so it does not end with the first
// caller's context.
func (d *dnsCache) resolve(e, old *dnsEntry) {
	defer close(e.ready)
	ctx, cancel := context.WithTimeout(d.ctx, d.timeout)
	defer cancel()
	r, err := d.resolver.Resolve(ctx, e.name)
	now := time.Now()
	switch {
	case err == nil && len(r.Addresses) > 0:
		e.answer = &answer{Resolution: r}
		e.expiry = now.Add(min(max(r.TTL, minTTL), maxTTL))
	case err == nil:
		e.err = failf(ClassNoSuchHost, "%s has no address", e.name)
		e.expiry = now.Add(negativeTTL)
	case errors.Is(err, ErrNoSuchHost):
		e.err = fail(ClassNoSuchHost, err)
		e.expiry = now.Add(negativeTTL)
	case d.ctx.Err() != nil:
		e.err = fail(ClassCancelled, err)
	case old != nil && old.answer != nil && now.Sub(old.answer.Time) < staleTTL:
		e.answer, e.expiry = old.answer, now.Add(failureTTL)
	default:
		e.err = fail(ClassDNS, err)
		e.expiry = now.Add(d.again)
	}
}
