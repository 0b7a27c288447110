package coordinator

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"salvor"
)

// RaftProtocol is the ALPN name of Raft traffic on a node's one port.
const RaftProtocol = "salvor-raft/1"

const (
	// handshakes is how many may be under way at once, handshakeTime how long
	// one may take, with the time until somebody accepts the connection.
	handshakes    = 256
	handshakeTime = 10 * time.Second
)

// Split shares one TLS port: connections that speak RaftProtocol come out of
// raft, all others out of api, as *tls.Conn after their handshake, so that
// net/http finds HTTP/2 by itself. Nobody gets to Raft without a certificate
// that conf verified and to which allowRaft does not object. close ends both
// listeners and l.
func Split(l net.Listener, conf *tls.Config, allowRaft func(tls.ConnectionState) error) (api, raft net.Listener, close func() error) {
	m := &mux{
		l: l, conf: speaking(conf), allow: allowRaft, slots: make(chan struct{}, handshakes),
		api: newBranch(l.Addr()), raft: newBranch(l.Addr()),
	}
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.loops.Go(m.run)
	return m.api, m.raft, sync.OnceValue(m.close)
}

// speaking adds the protocols to a configuration, also where it is chosen anew
// for each client.
func speaking(conf *tls.Config) *tls.Config {
	c := conf.Clone()
	c.NextProtos = []string{RaftProtocol, "h2", "http/1.1"}
	if choose := c.GetConfigForClient; choose != nil {
		c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(h)
			if chosen != nil && !slices.Contains(chosen.NextProtos, RaftProtocol) {
				chosen = chosen.Clone()
				chosen.NextProtos = c.NextProtos
			}
			return chosen, err
		}
	}
	return c
}

type mux struct {
	l         net.Listener
	conf      *tls.Config
	allow     func(tls.ConnectionState) error
	slots     chan struct{}
	api, raft *branch
	ctx       context.Context
	stop      context.CancelFunc
	loops     sync.WaitGroup
}

// run accepts until the listener fails for good.
func (m *mux) run() {
	defer m.api.Close()
	defer m.raft.Close()
	for {
		select {
		case m.slots <- struct{}{}:
		case <-m.ctx.Done():
			return
		}
		conn, err := m.l.Accept()
		if err != nil {
			<-m.slots
			if errors.Is(err, net.ErrClosed) || m.ctx.Err() != nil {
				return
			}
			// Too many open files, say: it passes.
			select {
			case <-time.After(50 * time.Millisecond):
			case <-m.ctx.Done():
			}
			continue
		}
		m.loops.Go(func() {
			defer func() { <-m.slots }()
			m.sort(conn)
		})
	}
}

// sort makes the handshake and hands the connection on. Whoever fails at it is
// told by TLS, and nobody else: strangers knock on every port.
func (m *mux) sort(raw net.Conn) {
	ctx, cancel := context.WithTimeout(m.ctx, handshakeTime)
	defer cancel()
	conn := tls.Server(raw, m.conf)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return
	}
	to := m.api
	if s := conn.ConnectionState(); s.NegotiatedProtocol == RaftProtocol {
		if err := m.mayRaft(s); err != nil {
			conn.Close()
			return
		}
		to = m.raft
	}
	if err := to.deliver(ctx, conn); err != nil {
		conn.Close()
	}
}

func (m *mux) mayRaft(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return salvor.Errorf(salvor.Forbidden, "coordinator: no certificate")
	}
	return m.allow(s)
}

func (m *mux) close() error {
	m.stop()
	err := errors.Join(m.l.Close(), m.api.Close(), m.raft.Close())
	m.loops.Wait()
	return err
}

// branch is one of the listeners a port was split into.
type branch struct {
	addr  net.Addr
	in    chan net.Conn
	ended chan struct{}
	once  sync.Once
}

func newBranch(a net.Addr) *branch {
	return &branch{addr: a, in: make(chan net.Conn), ended: make(chan struct{})}
}

func (b *branch) deliver(ctx context.Context, c net.Conn) error {
	select {
	case b.in <- c:
		return nil
	case <-b.ended:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Accept implements net.Listener.
func (b *branch) Accept() (net.Conn, error) {
	select {
	case c := <-b.in:
		return c, nil
	case <-b.ended:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. The port stays open for the other branch.
func (b *branch) Close() error {
	b.once.Do(func() { close(b.ended) })
	return nil
}

// Addr implements net.Listener: the port's.
func (b *branch) Addr() net.Addr { return b.addr }
