package fetch

import (
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// connPair is two ends of one connection: in memory, or over loopback.
func connPair(wire bool) (near, far net.Conn, err error) {
	if !wire {
		near, far = net.Pipe()
		broken := new(atomic.Bool)
		return &resettable{near, broken}, &resettable{far, broken}, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if near, err = net.Dial("tcp", l.Addr().String()); err != nil {
		return nil, nil, err
	}
	far, err = l.Accept()
	return near, far, err
}

// resettable is an in-memory connection whose end can be a reset.
type resettable struct {
	net.Conn
	broken *atomic.Bool
}

func (r *resettable) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	if err == io.EOF && r.broken.Load() {
		err = &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	}
	return n, err
}

func newClient(t testing.TB, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
