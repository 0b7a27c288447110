package coordinator

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// conn is a connection of which both ends bound how long it may stand still.
// Raft's transport sets one deadline for a message and its answer, of hours for
// a large snapshot, and none at all where messages arrive; a peer that vanished
// without a word would hold up replication, or the loop that votes.
type conn struct {
	net.Conn
	of   *stream
	idle time.Duration // of an accepted connection

	mu    sync.Mutex
	until time.Time // the transport's deadline for the answer
}

func (c *conn) Read(p []byte) (int, error) {
	if c.idle > 0 {
		if err := c.Conn.SetReadDeadline(time.Now().Add(c.idle)); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(p)
	if c.idle > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		// Closed at once: Raft tries to read the rest of a snapshot that failed.
		c.Close()
		err = io.EOF // an unused connection ends; no reason to complain
	}
	return n, err
}

// Write counts the time for the answer from the last byte that went out.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if err == nil && c.idle == 0 {
		err = c.extend()
	}
	return n, err
}

func (c *conn) extend() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.until.IsZero() {
		return nil
	}
	if t := time.Now().Add(messageTime); t.After(c.until) {
		c.until = t
	}
	return c.Conn.SetReadDeadline(c.until)
}

// SetDeadline implements net.Conn: Write sets its own.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = t
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn: Write sets its own.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

func (c *conn) Close() error {
	c.of.forget(c)
	return c.Conn.Close()
}

// keepAlive ends a connection whose other end vanished while nothing is sent.
func keepAlive(c net.Conn) {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		// An error leaves the system's slower settings.
		_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3})
	}
}
