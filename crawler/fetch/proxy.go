package fetch

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"salvor"
)

// proxy is the operator's proxy.
type proxy struct {
	socks bool
	addr  string // host:port
	user  string
	pass  string
	auth  string // Proxy-Authorization, "" for none
}

// parseProxy reads Config.Proxy.
func parseProxy(s string) (*proxy, error) {
	if s == "" {
		return nil, nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return nil, proxyError(s)
	}
	p := &proxy{}
	port := u.Port()
	switch u.Scheme {
	case "http":
		def(&port, "80")
	case "socks5":
		p.socks = true
		def(&port, "1080")
	default:
		return nil, proxyError(s)
	}
	p.addr = net.JoinHostPort(u.Hostname(), port)
	if u.User != nil {
		p.user = u.User.Username()
		p.pass, _ = u.User.Password()
		p.auth = basic(p.user, p.pass)
		if len(p.user) > 255 || len(p.pass) > 255 {
			return nil, proxyError(s)
		}
	}
	return p, nil
}

func proxyError(s string) error {
	return salvor.Errorf(salvor.Invalid, "proxy %q is not one this client can use", redact(s)).
		WithHint("write http://HOST:PORT or socks5://HOST:PORT, with user:password@ before the host if it asks for them")
}

// redact takes the credentials out of a proxy's URL.
func redact(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return "..." + s[i:]
	}
	return s
}

// tunnel asks the proxy for a way to a host that the guard has let pass: its
// address and not its name wherever we know one, so that the proxy cannot
// resolve it otherwise.
func (p *proxy) tunnel(ctx context.Context, c net.Conn, host string, port uint16) error {
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var err error
	if p.socks {
		err = p.socks5(c, host, port)
	} else {
		err = p.connect(c, net.JoinHostPort(host, strconv.Itoa(int(port))))
	}
	if err != nil {
		return fail(ClassProxy, err)
	}
	if !stop() {
		return fail(ClassProxy, context.Cause(ctx))
	}
	return nil
}

// connect is HTTP's CONNECT (RFC 9110 9.3.6).
func (p *proxy) connect(c net.Conn, to string) error {
	b := append([]byte(nil), "CONNECT "+to+" HTTP/1.1\r\n"...)
	b = line(b, "Host", to)
	b = line(b, "Proxy-Authorization", p.auth)
	if _, err := c.Write(append(b, "\r\n"...)); err != nil {
		return err
	}
	answer, err := readProxyHead(c)
	if err != nil {
		return err
	}
	if h := parseHead(answer, 0); h.status/100 != 2 {
		return failf(ClassProxy, "proxy answered CONNECT %s with status %d", to, h.status)
	}
	return nil
}

// readProxyHead reads a head and not a byte more: what follows is the
// tunnel's.
func readProxyHead(r io.Reader) ([]byte, error) {
	var b []byte
	one := make([]byte, 1)
	for len(b) < 16<<10 {
		if _, err := io.ReadFull(r, one); err != nil {
			return nil, failf(ClassProxy, "read proxy's answer: %w", err)
		}
		b = append(b, one[0])
		if headEnd(b, len(b)-4) > 0 {
			return b, nil
		}
	}
	return nil, failf(ClassProxy, "proxy's answer to CONNECT is too long")
}

// socks5 is RFC 1928 with the user names of RFC 1929.
func (p *proxy) socks5(c net.Conn, host string, port uint16) error {
	to, err := socksAddress(host)
	if err != nil {
		return err
	}
	if err := p.socksGreet(c); err != nil {
		return err
	}
	req := binary.BigEndian.AppendUint16(append([]byte{5, 1, 0}, to...), port)
	if _, err := c.Write(req); err != nil {
		return err
	}
	var reply [4]byte
	if _, err := io.ReadFull(c, reply[:]); err != nil {
		return failf(ClassProxy, "read proxy's reply: %w", err)
	}
	if reply[0] != 5 || reply[1] != 0 {
		return failf(ClassProxy, "proxy refused %s with SOCKS reply %d", host, reply[1])
	}
	return skipBound(c, reply[3])
}

// socksAddress is a host as a request has it: kind 1 and 4 are addresses, 3 is
// a name with its length before it.
func socksAddress(host string) ([]byte, error) {
	a, err := netip.ParseAddr(host)
	switch a = a.Unmap(); {
	case err == nil && a.Is6():
		return append([]byte{4}, a.AsSlice()...), nil
	case err == nil:
		return append([]byte{1}, a.AsSlice()...), nil
	case len(host) > 255:
		return nil, failf(ClassNoSuchHost, "name of %d bytes is too long", len(host))
	}
	return append([]byte{3, byte(len(host))}, host...), nil
}

// socksGreet agrees on a method: none, or a user's name and password.
func (p *proxy) socksGreet(c net.Conn) error {
	hello := []byte{5, 1, 0}
	if p.auth != "" {
		hello = []byte{5, 2, 0, 2}
	}
	if _, err := c.Write(hello); err != nil {
		return err
	}
	var reply [2]byte
	if _, err := io.ReadFull(c, reply[:]); err != nil {
		return failf(ClassProxy, "read proxy's greeting: %w", err)
	}
	switch {
	case reply == [2]byte{5, 0}:
		return nil
	case reply != [2]byte{5, 2} || p.auth == "":
		return failf(ClassProxy, "proxy asks for SOCKS method %d", reply[1])
	}
	b := append([]byte{1, byte(len(p.user))}, p.user...)
	b = append(append(b, byte(len(p.pass))), p.pass...)
	if _, err := c.Write(b); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, reply[:]); err != nil {
		return failf(ClassProxy, "read proxy's answer to the password: %w", err)
	}
	if reply[1] != 0 {
		return failf(ClassProxy, "proxy refused user and password")
	}
	return nil
}

// skipBound reads over the bound address of a SOCKS reply.
func skipBound(r io.Reader, kind byte) error {
	n := map[byte]int{1: 4, 4: 16}[kind]
	if kind == 3 {
		var l [1]byte
		if _, err := io.ReadFull(r, l[:]); err != nil {
			return err
		}
		n = int(l[0])
	}
	_, err := io.CopyN(io.Discard, r, int64(n+2))
	return err
}
