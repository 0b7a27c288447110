package fetch

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// conn is one connection to an origin.
type conn struct {
	key  originKey
	nc   net.Conn // what is spoken over: TLS where the scheme says so
	raw  net.Conn // the socket below
	peek syscall.RawConn
	ip   netip.Addr // of the origin; invalid where a proxy chose
	dns  *answer    // the resolution that gave the address

	tls    string // "tls/1.3", or ""
	cipher string
	notes  []string // of the certificate

	served    int       // answers read so far
	deadline  time.Time // set on nc
	idleSince time.Time
	place     *list.Element // among the pool's idle ones
}

func newConn(key originKey, raw net.Conn) *conn {
	c := &conn{key: key, nc: raw, raw: raw}
	if sc, ok := raw.(syscall.Conn); ok {
		c.peek, _ = sc.SyscallConn() // without it, a dead connection shows at the first read
	}
	return c
}

// Close closes the socket without a TLS goodbye, which could block.
func (c *conn) Close() { c.raw.Close() }

// alive looks, without waiting, whether the server closed an idle connection
// or sent what nobody asked for (a late rest, a 408). After either it is not
// used again.
func (c *conn) alive() bool {
	if c.peek == nil {
		return true
	}
	quiet := true
	err := c.peek.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = n < 0 && (err == syscall.EAGAIN || err == syscall.EINTR) || n > 0 && c.tls != "" // TLS: maybe a ticket
		return true
	})
	return err == nil && quiet
}

// extend moves the deadline of reads to d from now, if that is worth a system
// call.
func (c *conn) extend(now time.Time, d time.Duration) {
	want := now.Add(d)
	if ahead := want.Sub(c.deadline); ahead >= 0 && ahead < min(200*time.Millisecond, d/8) {
		return
	}
	c.deadline = want
	c.nc.SetReadDeadline(want) // fails only on a closed connection, which the read tells
}

// write sends b in at most d.
func (c *conn) write(b []byte, now time.Time, d time.Duration) error {
	c.deadline = now.Add(d)
	c.nc.SetDeadline(c.deadline)
	_, err := c.nc.Write(b)
	return err
}

// setTLS notes what the handshake agreed on.
func (c *conn) setTLS(tc *tls.Conn, state *tls.ConnectionState) {
	c.nc = tc
	c.cipher = tls.CipherSuiteName(state.CipherSuite)
	switch state.Version {
	case tls.VersionTLS13:
		c.tls = "tls/1.3"
	case tls.VersionTLS12:
		c.tls = "tls/1.2"
	case tls.VersionTLS11:
		c.tls = "tls/1.1"
	default:
		c.tls = "tls/1.0"
	}
}

// protocols are the shared values of Capture.Protocol.
var protocols = func() map[[2]string][]string {
	m := map[[2]string][]string{}
	for _, h := range []string{"http/0.9", "http/1.0", "http/1.1"} {
		m[[2]string{h, ""}] = []string{h}
		for _, t := range []string{"tls/1.0", "tls/1.1", "tls/1.2", "tls/1.3"} {
			m[[2]string{h, t}] = []string{h, t}
		}
	}
	return m
}()
