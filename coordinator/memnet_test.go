package coordinator

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// memnet is a network in memory whose links can be cut, one direction at a
// time. What is sent over a cut link is held back, as TCP's retransmission
// would have it, and arrives when the link is mended.
type memnet struct {
	mu    sync.Mutex
	moved *sync.Cond // something arrived, closed, was mended or timed out
	ports map[string]*memListener
	cut   map[[2]int]bool // from, to
	conns map[*memConn]bool
	left  map[[2]int]int // bytes until a link is cut by itself
}

func newMemnet() *memnet {
	m := &memnet{ports: map[string]*memListener{}, cut: map[[2]int]bool{}, conns: map[*memConn]bool{}, left: map[[2]int]int{}}
	m.moved = sync.NewCond(&m.mu)
	return m
}

const memWindow = 256 << 10 // bytes that a link takes without bringing them

// set cuts or mends what goes from one node to another.
func (m *memnet) set(from, to int, cut bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cut[[2]int{from, to}] = cut
	for c := range m.conns {
		c.pump()
	}
	m.moved.Broadcast()
}

// cutAfter cuts a link after so many bytes.
func (m *memnet) cutAfter(from, to, bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left[[2]int{from, to}] = bytes
}

func (m *memnet) isCut(from, to int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cut[[2]int{from, to}]
}

// isolate cuts a node off from n others, or mends that.
func (m *memnet) isolate(node, n int, cut bool) {
	for i := range n {
		if i != node {
			m.set(node, i, cut)
			m.set(i, node, cut)
		}
	}
}

func memAddr(node int) string { return fmt.Sprintf("10.0.0.%d:1", node+1) }

func (m *memnet) listen(node int) (net.Listener, string) {
	l := &memListener{m: m, node: node}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ports[memAddr(node)] = l
	return l, memAddr(node)
}

func (m *memnet) dialer(node int) func(ctx context.Context, address string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		stop := context.AfterFunc(ctx, func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.moved.Broadcast()
		})
		defer stop()
		m.mu.Lock()
		defer m.mu.Unlock()
		for {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			l := m.ports[address]
			if l == nil {
				return nil, fmt.Errorf("dial %s: connection refused", address)
			}
			if m.cut[[2]int{node, l.node}] || m.cut[[2]int{l.node, node}] {
				m.moved.Wait()
				continue
			}
			a, b := m.connect(node, l.node)
			l.queue = append(l.queue, b)
			m.moved.Broadcast()
			return a, nil
		}
	}
}

// connect makes the two ends of a connection. m.mu is held.
func (m *memnet) connect(from, to int) (a, b *memConn) {
	a = &memConn{m: m, from: from, to: to}
	b = &memConn{m: m, from: to, to: from}
	a.peer, b.peer = b, a
	m.conns[a], m.conns[b] = true, true
	return a, b
}

type memListener struct {
	m      *memnet
	node   int
	queue  []*memConn
	closed bool
}

func (l *memListener) Accept() (net.Conn, error) {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	for len(l.queue) == 0 {
		if l.closed {
			return nil, net.ErrClosed
		}
		l.m.moved.Wait()
	}
	c := l.queue[0]
	l.queue = l.queue[1:]
	return c, nil
}

func (l *memListener) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	l.closed = true
	if l.m.ports[memAddr(l.node)] == l {
		delete(l.m.ports, memAddr(l.node))
	}
	l.m.moved.Broadcast()
	return nil
}

func (l *memListener) Addr() net.Addr { return address(memAddr(l.node)) }

// memConn is one end.
type memConn struct {
	m        *memnet
	from, to int
	peer     *memConn
	in       []byte // arrived
	held     []byte // sent and not arrived at peer
	fin      bool   // closed here
	eof      bool   // the peer's end arrived
	timers   [2]*time.Timer
	until    [2]time.Time // read, write
}

// pump lets arrive what may. m.mu is held.
func (c *memConn) pump() {
	if c.m.cut[[2]int{c.from, c.to}] {
		return
	}
	link := [2]int{c.from, c.to}
	if left, ok := c.m.left[link]; ok {
		if left <= len(c.held) {
			c.peer.in, c.held = append(c.peer.in, c.held[:left]...), c.held[left:]
			delete(c.m.left, link)
			c.m.cut[link] = true
			return
		}
		c.m.left[link] -= len(c.held)
	}
	c.peer.in = append(c.peer.in, c.held...)
	c.held = nil
	c.peer.eof = c.peer.eof || c.fin
	if c.fin && c.peer.fin {
		delete(c.m.conns, c)
	}
}

func (c *memConn) late(i int) bool {
	return !c.until[i].IsZero() && !time.Now().Before(c.until[i])
}

func (c *memConn) Read(p []byte) (int, error) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	for {
		switch {
		case c.fin:
			return 0, net.ErrClosed
		case len(c.in) > 0:
			n := copy(p, c.in)
			c.in = c.in[n:]
			c.m.moved.Broadcast()
			return n, nil
		case c.eof:
			return 0, io.EOF
		case c.late(0):
			return 0, os.ErrDeadlineExceeded
		}
		c.m.moved.Wait()
	}
}

func (c *memConn) Write(p []byte) (int, error) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	for n := 0; ; {
		switch {
		case c.fin:
			return n, net.ErrClosed
		case c.eof:
			return n, io.ErrClosedPipe
		case c.late(1):
			return n, os.ErrDeadlineExceeded
		}
		if room := memWindow - len(c.held) - len(c.peer.in); room > 0 {
			k := min(room, len(p)-n)
			c.held = append(c.held, p[n:n+k]...)
			n += k
			c.pump()
			c.m.moved.Broadcast()
		}
		if n == len(p) {
			return n, nil
		}
		c.m.moved.Wait()
	}
}

func (c *memConn) Close() error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	c.fin = true
	for _, t := range c.timers {
		if t != nil {
			t.Stop()
		}
	}
	c.pump()
	c.m.moved.Broadcast()
	return nil
}

func (c *memConn) deadline(i int, t time.Time) {
	if c.timers[i] != nil {
		c.timers[i].Stop()
		c.timers[i] = nil
	}
	c.until[i] = t
	if !t.IsZero() && !c.fin {
		c.timers[i] = time.AfterFunc(time.Until(t), func() {
			c.m.mu.Lock()
			defer c.m.mu.Unlock()
			c.m.moved.Broadcast()
		})
	}
	c.m.moved.Broadcast()
}

func (c *memConn) SetDeadline(t time.Time) error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	c.deadline(0, t)
	c.deadline(1, t)
	return nil
}

func (c *memConn) SetReadDeadline(t time.Time) error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	c.deadline(0, t)
	return nil
}

func (c *memConn) SetWriteDeadline(t time.Time) error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	c.deadline(1, t)
	return nil
}

func (c *memConn) LocalAddr() net.Addr  { return address(memAddr(c.from)) }
func (c *memConn) RemoteAddr() net.Addr { return address(memAddr(c.to)) }
