package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// eyeballs is how long an address may take before the next is tried beside it
// (RFC 8305 5 allows 100 ms to 2 s).
const eyeballs = 300 * time.Millisecond

// dialer makes connections: resolution, guard, happy eyeballs, proxy, TLS.
type dialer struct {
	cfg   *Config
	guard guard
	dns   *dnsCache
	proxy *proxy
	tls   *tls.Config
	dial  func(ctx context.Context, guarded bool, addr netip.AddrPort) (net.Conn, error)
}

func newDialer(cfg *Config, d *dnsCache) (*dialer, error) {
	p, err := parseProxy(cfg.Proxy)
	if err != nil {
		return nil, err
	}
	x := &dialer{cfg: cfg, guard: guard{cfg.AllowNet}, dns: d, proxy: p, tls: tlsConfig(cfg)}
	x.dial = x.dialTCP
	return x, nil
}

// tlsConfig speaks to everybody, old servers included: a platform that is
// going under no longer renews its certificates. crypto/tls prefers the strong
// suites whatever the order here, and a weak one is named in the record.
func tlsConfig(cfg *Config) *tls.Config {
	c := &tls.Config{
		InsecureSkipVerify: true, // verified by verify, after the handshake
		MinVersion:         tls.VersionTLS10,
		NextProtos:         []string{"http/1.1"},
		RootCAs:            cfg.RootCAs,
		ClientSessionCache: tls.NewLRUClientSessionCache(1024),
		Renegotiation:      tls.RenegotiateOnceAsClient,
	}
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		c.CipherSuites = append(c.CipherSuites, s.ID)
	}
	return c
}

// connect makes a connection to the target's origin.
func (x *dialer) connect(ctx context.Context, t *target) (*conn, error) {
	addrs, ans, err := x.addresses(ctx, t.originKey)
	byName := x.proxy != nil && unresolved(err)
	if byName {
		err = x.guard.checkName(t.host)
	}
	if err != nil {
		return nil, err
	}
	cctx, cancel := context.WithTimeout(ctx, x.cfg.Timeouts.Connect)
	defer cancel()
	var raw net.Conn
	var ip netip.Addr
	switch {
	case x.proxy == nil:
		raw, err = x.race(cctx, addrs, t.port)
		if err == nil {
			ip = remoteAddr(raw)
		}
	case x.absoluteForm(t):
		raw, err = x.toProxy(cctx)
	case byName:
		raw, err = x.throughTo(cctx, t.host, t.port)
	default:
		raw, ip, err = x.throughProxy(cctx, addrs, t.port)
	}
	if err != nil {
		return nil, x.explain(ctx, err)
	}
	c := newConn(t.originKey, raw)
	c.ip, c.dns = ip, ans
	if byName {
		c.notes = append(c.notes, noteByName)
	}
	if t.tls {
		if err := x.handshake(ctx, c); err != nil {
			raw.Close()
			return nil, err
		}
	}
	if ans != nil && ans.LastKnown != nil {
		note, err := checkLastKnown(ans.LastKnown, t.host, c.nc)
		if err != nil {
			raw.Close()
			return nil, err
		}
		c.notes = append(c.notes, note)
	}
	return c, nil
}

// noteByName stands in the record where its WARC-IP-Address is missing.
const noteByName = "address unknown: the proxy resolved the name"

// unresolved reports whether an error says that our resolver knows no address.
// Behind a proxy that is no answer: it may be the only one who can resolve.
func unresolved(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Class == ClassNoSuchHost || e.Class == ClassDNS)
}

// explain says cancelled where the caller's context ended, else connect.
func (x *dialer) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &Error{Class: ClassCancelled, Err: context.Cause(ctx)}
	}
	return fail(ClassConnect, err)
}

// absoluteForm reports whether the proxy gets the request itself.
func (x *dialer) absoluteForm(t *target) bool {
	return x.proxy != nil && !x.proxy.socks && !t.tls
}

// addresses are the origin's that the guard lets pass, IPv6 and IPv4 in turn
// (RFC 8305 4). A name with some private addresses is reached by its others.
func (x *dialer) addresses(ctx context.Context, key originKey) ([]netip.Addr, *answer, error) {
	if a := key.addr(); a.IsValid() {
		return []netip.Addr{a}, nil, x.guard.check(a)
	}
	ans, err := x.dns.lookup(ctx, key.host)
	if err != nil {
		return nil, nil, err
	}
	var six, four []netip.Addr
	for _, a := range ans.Addresses {
		if e := x.guard.check(a); e != nil {
			err = e
		} else if a.Unmap().Is4() {
			four = append(four, a.Unmap())
		} else {
			six = append(six, a)
		}
	}
	if b := x.cfg.BindAddress; b.IsValid() && x.proxy == nil {
		if b.Unmap().Is4() {
			six = nil
		} else {
			four = nil
		}
	}
	addrs := interleave(six, four)
	if len(addrs) == 0 && err == nil {
		err = failf(ClassConnect, "%s has no address of the family of the local address", key.host)
	}
	if len(addrs) == 0 {
		return nil, nil, err
	}
	return addrs, ans, nil
}

func interleave(a, b []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for i := range max(len(a), len(b)) {
		if i < len(a) {
			out = append(out, a[i])
		}
		if i < len(b) {
			out = append(out, b[i])
		}
	}
	return out
}

func remoteAddr(c net.Conn) netip.Addr {
	if ta, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return ta.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// dialTCP connects to one address. Guarded, the last check is made with the
// address the socket is about to get.
func (x *dialer) dialTCP(ctx context.Context, guarded bool, addr netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1, FallbackDelay: -1}
	if guarded {
		d.Control = x.guard.control
	}
	if b := x.cfg.BindAddress; b.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(b, 0))
	}
	return d.DialContext(ctx, "tcp", addr.String())
}

// race connects to the first address that answers (RFC 8305 5).
func (x *dialer) race(ctx context.Context, addrs []netip.Addr, port uint16) (net.Conn, error) {
	if len(addrs) == 1 {
		return x.dial(ctx, true, netip.AddrPortFrom(addrs[0], port))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		c   net.Conn
		err error
	}
	results := make(chan result)
	started, ended := 0, 0
	start := func() {
		addr := netip.AddrPortFrom(addrs[started], port)
		started++
		go func() {
			c, err := x.dial(ctx, true, addr)
			results <- result{c, err}
		}()
	}
	next := time.NewTimer(eyeballs)
	defer next.Stop()
	var won net.Conn
	var failed error
	start()
	for ended < started {
		select {
		case <-next.C:
			if won == nil && started < len(addrs) {
				start()
				next.Reset(eyeballs)
			}
		case r := <-results:
			ended++
			switch {
			case r.err == nil && won == nil:
				won = r.c
				cancel() // ends the others, which are waited for
			case r.err == nil:
				r.c.Close()
			default:
				failed = errors.Join(failed, r.err)
			}
			if won == nil && started < len(addrs) && ctx.Err() == nil {
				start()
				next.Reset(eyeballs)
			}
		}
	}
	if won != nil {
		return won, nil
	}
	return nil, failed
}

// toProxy connects to the operator's proxy, which no guard forbids.
func (x *dialer) toProxy(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1}
	if b := x.cfg.BindAddress; b.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(b, 0))
	}
	c, err := d.DialContext(ctx, "tcp", x.proxy.addr)
	if err != nil {
		return nil, failf(ClassProxy, "%w: %w", errProxyAway, err)
	}
	return c, nil
}

// errProxyAway is in the error when the proxy itself could not be reached.
var errProxyAway = errors.New("proxy cannot be reached")

// throughProxy tries the addresses one after the other.
func (x *dialer) throughProxy(ctx context.Context, addrs []netip.Addr, port uint16) (net.Conn, netip.Addr, error) {
	var failed error
	for _, a := range addrs[:min(len(addrs), 4)] {
		c, err := x.throughTo(ctx, a.String(), port)
		if err == nil {
			return c, a, nil
		}
		if errors.Is(err, errProxyAway) { // for the other addresses too
			return nil, a, err
		}
		failed = errors.Join(failed, err)
	}
	return nil, netip.Addr{}, failed
}

// throughTo has the proxy connect to an address, or to a name that only it can
// resolve.
func (x *dialer) throughTo(ctx context.Context, host string, port uint16) (net.Conn, error) {
	c, err := x.toProxy(ctx)
	if err != nil {
		return nil, err
	}
	if err := x.proxy.tunnel(ctx, c, host, port); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// handshake puts TLS on a connection.
func (x *dialer) handshake(ctx context.Context, c *conn) error {
	cfg := x.tls.Clone()
	cfg.ServerName = strings.TrimSuffix(c.key.host, ".")
	hctx, cancel := context.WithTimeout(ctx, x.cfg.Timeouts.TLS)
	defer cancel()
	tc := tls.Client(c.raw, cfg)
	if err := tc.HandshakeContext(hctx); err != nil {
		if ctx.Err() != nil {
			return &Error{Class: ClassCancelled, Err: context.Cause(ctx)}
		}
		return fail(ClassTLS, err)
	}
	state := tc.ConnectionState()
	c.setTLS(tc, &state)
	if err := verify(&state, x.cfg.RootCAs, cfg.ServerName); err != nil {
		if x.cfg.TLSVerify {
			return fail(ClassTLS, err)
		}
		c.notes = append(c.notes, "invalid certificate: "+err.Error())
	}
	return nil
}

// verify is what crypto/tls would have done.
func verify(state *tls.ConnectionState, roots *x509.CertPool, name string) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("no certificate")
	}
	o := x509.VerifyOptions{Roots: roots, DNSName: name, Intermediates: x509.NewCertPool()}
	for _, c := range state.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(o)
	return err
}
