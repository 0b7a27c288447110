// Package fetch records HTTP exchanges as they go over the wire.
//
// It is for the crawler's worker. It speaks HTTP/1.1 itself, because what
// net/http refuses an archive would lose: a Capture holds the exact bytes sent
// and received, whatever the server meant by them, and Notes say what was odd.
// It guarantees that
//
//   - no address outside the public Internet is dialled unless AllowNet opens
//     it, by whatever name, spelling or redirect it was reached;
//   - memory stays flat however long a body is;
//   - a fetch ends: by the context, by Close, or when the server stops moving.
package fetch

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Client fetches. It is safe for concurrent use and owns every connection and
// goroutine it makes; Close ends them.
type Client struct {
	cfg    Config
	spool  budget
	pool   *pool
	dialer *dialer
	sender *sender
	limit  *Limit

	received atomic.Int64 // bytes of answers

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup // fetches and look-ups
}

// New makes a Client.
func New(cfg Config) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg.withDefaults()}
	c.spool.dir = c.cfg.SpoolDir
	c.spool.left.Store(c.cfg.SpoolMemory)
	if c.cfg.Resolver == nil {
		c.cfg.Resolver = newSystemResolver()
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	var err error
	if c.dialer, err = newDialer(&c.cfg, newDNSCache(c.ctx, &c.cfg, &c.running)); err != nil {
		c.cancel()
		return nil, err
	}
	c.pool = newPool(&c.cfg)
	c.sender = newSender(&c.cfg)
	c.limit = NewLimit(c.cfg.LimitRate)
	return c, nil
}

// Close ends every fetch under way and every connection, and waits for them.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.pool.close()
	c.running.Wait()
	return nil
}

// Received is how many bytes of answers came so far, of those under way too.
func (c *Client) Received() int64 { return c.received.Load() }

// Fetch asks once and records the answer. It follows no redirect. The error,
// if any, is an *Error, and then there is no capture.
func (c *Client) Fetch(ctx context.Context, r Request) (*Capture, error) {
	if !c.enter() {
		return nil, &Error{Class: ClassCancelled, URL: r.URL, Err: errors.New("client is closed")}
	}
	defer c.running.Done()
	capture, err := c.fetch(ctx, &r)
	if err != nil {
		e := *fail(ClassInternal, err) // a copy: resolution errors are shared
		e.URL = r.URL
		return nil, &e
	}
	return capture, nil
}

func (c *Client) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.running.Add(1)
	}
	return !c.closed
}

func (c *Client) fetch(ctx context.Context, r *Request) (*Capture, error) {
	if strings.ContainsFunc(r.Method, notToken) {
		return nil, failf(ClassInvalid, "method %q is not a token", r.Method)
	}
	if err := checkLines(r.Header); err != nil {
		return nil, fail(ClassInvalid, err)
	}
	t, err := parseTarget(r.URL)
	if err != nil {
		return nil, err
	}
	var via *proxy
	if c.dialer.absoluteForm(&t) {
		via = c.dialer.proxy
	}
	m := c.sender.message(r, &t, via, time.Now())
	capture, reused, err := c.try(ctx, r, &t, &m, false)
	if err != nil && reused && lost(err) {
		// The server closed the idle connection as we wrote: not an answer.
		capture, _, err = c.try(ctx, r, &t, &m, true)
	}
	return capture, err
}

// lost reports whether the connection ended without one byte.
func lost(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Class == ClassEmpty || e.Class == ClassReset)
}

// try makes one exchange, on a new connection if fresh is asked for.
func (c *Client) try(ctx context.Context, r *Request, t *target, m *message, fresh bool) (capture *Capture, reused bool, err error) {
	cn, err := c.connection(ctx, t, fresh)
	if err != nil {
		return nil, false, err
	}
	reused = cn.served > 0
	stop := func() bool { return true }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, cn.Close)
	}
	x := exchange{c: c, ctx: ctx, cn: cn, method: method(r), sums: sumsPool.Get().(*sums)}
	x.cap = &Capture{URL: r.URL, Method: x.method, Block: newSpool(&c.spool)}
	err = x.run(m)
	x.sums.block.Reset()
	x.sums.entity.Reset()
	sumsPool.Put(x.sums)
	c.pool.release(t.originKey, cn, stop() && x.reuse && err == nil)
	if err != nil {
		x.cap.Close()
		return nil, reused, err
	}
	return x.cap, reused, nil
}

// connection takes one from the pool or makes one.
func (c *Client) connection(ctx context.Context, t *target, fresh bool) (*conn, error) {
	cn, err := c.pool.get(ctx, t.originKey, fresh)
	if cn != nil || err != nil {
		return cn, err
	}
	dctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	cn, err = c.dialer.connect(dctx, t)
	if err == nil {
		if err = c.pool.adopt(cn); err != nil {
			cn.Close()
		}
	}
	if err != nil {
		c.pool.release(t.originKey, nil, false)
		return nil, err
	}
	return cn, nil
}
