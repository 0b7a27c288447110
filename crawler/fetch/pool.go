package fetch

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"
)

// pool owns every connection. It keeps to the caps for one origin and for
// all, hands idle connections to the next request, and closes those idle for
// too long, or longest when there are too many. An idle connection holds no
// goroutine and no buffer.
type pool struct {
	perOrigin, all, maxIdle int
	idleFor                 time.Duration

	mu      sync.Mutex
	closed  bool
	origins map[originKey]*origin
	open    int                // slots taken: connections and dials
	idle    list.List          // of *conn, longest idle in front
	active  map[*conn]struct{} // in use
	waiting list.List          // of *waiter that the cap for all holds up
	sweeper *time.Timer        // runs while there are idle connections
}

// origin is what the pool knows of one scheme, host and port while there is a
// connection to it or somebody waits for one.
type origin struct {
	key     originKey
	open    int
	idle    []*conn // most recently used last
	waiting []*waiter
	queued  int // its waiters in pool.waiting
}

// waiter gets a connection, or nil: the slot to dial one.
type waiter struct {
	origin *origin
	ready  chan *conn
	global *list.Element // its place in pool.waiting, if there
}

func newPool(c *Config) *pool {
	return &pool{
		perOrigin: c.PerOrigin, all: c.Connections, maxIdle: c.IdleConnections, idleFor: c.Timeouts.Idle,
		origins: map[originKey]*origin{}, active: map[*conn]struct{}{},
	}
}

// SetPerOrigin changes how many connections to one origin may be open; 0 is 6.
// What is in use beyond a lower number is closed after its exchange.
func (c *Client) SetPerOrigin(n int) {
	def(&n, 6)
	c.pool.setPerOrigin(n)
}

func (p *pool) setPerOrigin(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.perOrigin = n
	for _, o := range p.origins {
		for o.open > n && len(o.idle) > 0 {
			c := o.idle[0]
			p.takeIdle(c)
			c.Close()
			p.freeSlot(o)
		}
		for len(o.waiting) > 0 && o.open < n && p.open < p.all {
			p.grantNext(o)
		}
	}
}

// get gives an idle connection, or nil and the right to dial one; the right
// is given back by release(nil) or used up by adopt. With fresh it never gives
// an idle one.
func (p *pool) get(ctx context.Context, key originKey, fresh bool) (*conn, error) {
	for {
		c, w, err := p.tryGet(key)
		if err != nil {
			return nil, err
		}
		if w != nil {
			if c, err = p.wait(ctx, w); err != nil {
				return nil, err
			}
		}
		if c == nil || !fresh && c.alive() {
			return c, nil
		}
		p.release(key, c, false)
	}
}

// tryGet takes what is there, or queues.
func (p *pool) tryGet(key originKey) (*conn, *waiter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, failf(ClassCancelled, "client is closed")
	}
	o := p.origins[key]
	if o == nil {
		o = &origin{key: key}
		p.origins[key] = o
	}
	if n := len(o.idle); n > 0 {
		c := o.idle[n-1]
		p.takeIdle(c)
		p.active[c] = struct{}{}
		return c, nil, nil
	}
	w := &waiter{origin: o}
	if o.open >= p.perOrigin {
		w.ready = make(chan *conn, 1)
		o.waiting = append(o.waiting, w)
		return nil, w, nil
	}
	if p.open >= p.all && !p.evict() {
		w.ready = make(chan *conn, 1)
		p.queue(w)
		return nil, w, nil
	}
	o.open++
	p.open++
	return nil, nil, nil
}

func (p *pool) wait(ctx context.Context, w *waiter) (*conn, error) {
	select {
	case c, ok := <-w.ready:
		if !ok {
			return nil, failf(ClassCancelled, "client is closed")
		}
		return c, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	p.unqueue(w)
	p.mu.Unlock()
	select {
	case c, ok := <-w.ready: // given in the meantime: pass it on
		if ok {
			p.release(w.origin.key, c, c != nil)
		}
	default:
	}
	return nil, fail(ClassCancelled, context.Cause(ctx))
}

func (p *pool) unqueue(w *waiter) {
	if w.global != nil {
		p.dequeue(w)
	}
	if i := slices.Index(w.origin.waiting, w); i >= 0 {
		w.origin.waiting = slices.Delete(w.origin.waiting, i, i+1)
	}
	p.forget(w.origin)
}

func (p *pool) queue(w *waiter) {
	w.global = p.waiting.PushBack(w)
	w.origin.queued++
}

func (p *pool) dequeue(w *waiter) {
	p.waiting.Remove(w.global)
	w.global = nil
	w.origin.queued--
}

// adopt puts a new connection in the place of the right to dial it.
func (p *pool) adopt(c *conn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return failf(ClassCancelled, "client is closed")
	}
	p.active[c] = struct{}{}
	return nil
}

// release gives a connection back, to be used again or closed; nil gives back
// the right to dial.
func (p *pool) release(key originKey, c *conn, reuse bool) {
	if c != nil && !reuse {
		c.Close() // nothing is lost: all that came was read or is not wanted
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.origins[key]
	if c != nil {
		delete(p.active, c)
	}
	if p.closed {
		if c != nil && reuse {
			c.Close()
		}
		return
	}
	if c == nil || !reuse {
		p.freeSlot(o)
		return
	}
	if o.open > p.perOrigin { // the number was lowered
		c.Close()
		p.freeSlot(o)
		return
	}
	if len(o.waiting) > 0 {
		w := o.waiting[0]
		o.waiting = slices.Delete(o.waiting, 0, 1)
		p.active[c] = struct{}{}
		w.ready <- c
		return
	}
	if p.waiting.Len() > 0 { // others need the slot more than this origin needs a connection at rest
		c.Close()
		p.freeSlot(o)
		return
	}
	p.putIdle(o, c)
}

// freeSlot gives a slot to who waits longest and may have it.
func (p *pool) freeSlot(o *origin) {
	o.open--
	p.open--
	for el := p.waiting.Front(); el != nil && p.open < p.all; el = p.waiting.Front() {
		w := el.Value.(*waiter)
		p.dequeue(w)
		if w.origin.open >= p.perOrigin {
			w.origin.waiting = append(w.origin.waiting, w)
			continue
		}
		p.grant(w)
	}
	if len(o.waiting) > 0 && p.open < p.all && o.open < p.perOrigin {
		p.grantNext(o)
	} else if len(o.waiting) > 0 && o.open == 0 {
		// Nobody of this origin will release any more: wait with the others.
		for _, w := range o.waiting {
			p.queue(w)
		}
		o.waiting = nil
	}
	p.forget(o)
}

// grantNext gives a slot to who waits longest for this origin.
func (p *pool) grantNext(o *origin) {
	w := o.waiting[0]
	o.waiting = slices.Delete(o.waiting, 0, 1)
	p.grant(w)
}

func (p *pool) grant(w *waiter) {
	w.origin.open++
	p.open++
	w.ready <- nil
}

// forget drops an origin nobody needs.
func (p *pool) forget(o *origin) {
	if o.open == 0 && len(o.waiting) == 0 && o.queued == 0 {
		delete(p.origins, o.key)
	}
}

func (p *pool) putIdle(o *origin, c *conn) {
	if p.idle.Len() >= p.maxIdle {
		p.evict()
	}
	c.idleSince = time.Now()
	c.place = p.idle.PushBack(c)
	o.idle = append(o.idle, c)
	if p.sweeper == nil {
		p.sweeper = time.AfterFunc(p.idleFor, p.sweep)
	}
}

func (p *pool) takeIdle(c *conn) {
	p.idle.Remove(c.place)
	c.place = nil
	o := p.origins[c.key]
	i := slices.Index(o.idle, c)
	o.idle = slices.Delete(o.idle, i, i+1)
}

// evict closes the connection idle for longest and frees its slot.
func (p *pool) evict() bool {
	el := p.idle.Front()
	if el == nil {
		return false
	}
	c := el.Value.(*conn)
	o := p.origins[c.key]
	p.takeIdle(c)
	c.Close()
	p.freeSlot(o)
	return true
}

// sweep closes what has been idle for too long and comes back for the rest.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweeper = nil
	for el := p.idle.Front(); el != nil; el = p.idle.Front() {
		if left := p.idleFor - time.Since(el.Value.(*conn).idleSince); left > 0 {
			p.sweeper = time.AfterFunc(left, p.sweep)
			return
		}
		p.evict()
	}
}

// close ends all connections and all waiting.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	if p.sweeper != nil {
		p.sweeper.Stop()
	}
	for el := p.idle.Front(); el != nil; el = el.Next() {
		el.Value.(*conn).Close()
	}
	for c := range p.active {
		c.Close()
	}
	for el := p.waiting.Front(); el != nil; el = el.Next() {
		close(el.Value.(*waiter).ready)
	}
	for _, o := range p.origins {
		for _, w := range o.waiting {
			close(w.ready)
		}
	}
	p.idle.Init()
	p.waiting.Init()
}
