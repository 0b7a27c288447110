package fetch

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"salvor"
)

// testProxy speaks SOCKS5 or HTTP, asks for a password, and writes down what
// it was asked for.
type testProxy struct {
	addr string
	mu   sync.Mutex
	log  []string
}

func newTestProxy(t *testing.T, serve func(*testProxy, net.Conn)) *testProxy {
	l, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &testProxy{addr: l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); serve(p, c) })
		}
	})
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { l.Close() })
	return p
}

func (p *testProxy) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = append(p.log, fmt.Sprintf(format, args...))
}

func (p *testProxy) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "; ")
}

// pipe joins two connections until one ends.
func pipe(a net.Conn, in io.Reader, to string) {
	to = strings.Replace(to, "proxy.test:", "127.0.0.1:", 1) // the one name that a test proxy knows
	b, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer b.Close()
	go func() { io.Copy(b, in); b.Close() }()
	io.Copy(a, b)
}

func socks(p *testProxy, c net.Conn) {
	read := func(n int) []byte {
		b := make([]byte, n)
		io.ReadFull(c, b)
		return b
	}
	read(int(read(2)[1]))
	c.Write([]byte{5, 2})
	user := read(int(read(2)[1]))
	pass := read(int(read(1)[0]))
	if string(pass) != "secret" {
		c.Write([]byte{1, 1})
		return
	}
	c.Write([]byte{1, 0})
	var host string
	if kind := read(4)[3]; kind == 3 {
		host = string(read(int(read(1)[0])))
	} else {
		addr, _ := netip.AddrFromSlice(read(map[byte]int{1: 4, 4: 16}[kind]))
		host = addr.String()
	}
	to := net.JoinHostPort(host, fmt.Sprint(binary.BigEndian.Uint16(read(2))))
	p.note("%s to %s", user, to)
	c.Write([]byte{5, 0, 0, 3, 2, 'a', 'b', 0, 1})
	pipe(c, c, to)
}

func httpProxy(p *testProxy, c net.Conn) {
	in := bufio.NewReader(c)
	r, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	p.note("%s %s %s", r.Method, r.RequestURI, r.Header.Get("Proxy-Authorization"))
	if r.Header.Get("Proxy-Authorization") == "" {
		io.WriteString(c, "HTTP/1.1 407 Password\r\nContent-Length: 0\r\n\r\n")
		return
	}
	if r.Method == "CONNECT" {
		io.WriteString(c, "HTTP/1.1 200 Fine\r\nX: y\r\n\r\n")
		pipe(c, in, r.RequestURI)
		return
	}
	io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nby proxy!")
}

func TestProxySOCKS5(t *testing.T) {
	url := pageServer(t)
	p := newTestProxy(t, socks)
	c := newClient(t, Config{Proxy: "socks5://me:secret@" + p.addr, AllowNet: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	for range 2 {
		if got := get(t, c, url); got.Status != 200 || got.IP.String() != "127.0.0.1" {
			t.Errorf("status %d from %s", got.Status, got.IP)
		}
	}
	if want := "me to " + strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/page"); p.logged() != want {
		t.Errorf("proxy saw %q, want %q", p.logged(), want)
	}
	wrong := newClient(t, Config{Proxy: "socks5://me:guess@" + p.addr, AllowNet: loopback})
	if _, err := wrong.Fetch(t.Context(), Request{URL: url}); classOf(err) != ClassProxy {
		t.Errorf("wrong password: %v", err)
	}
}

func TestProxyHTTP(t *testing.T) {
	s := tlsServer(t, nil)
	p := newTestProxy(t, httpProxy)
	c := newClient(t, Config{Proxy: "http://me:secret@" + p.addr, AllowNet: loopback, Resolver: hostNumbers{}})
	if got := get(t, c, s.URL); string(mustEntity(t, got)) != "secret" {
		t.Errorf("through CONNECT: %q", mustEntity(t, got))
	}
	got := get(t, c, "http://h1.test/x?y")
	if string(mustEntity(t, got)) != "by proxy!" || got.IP.IsValid() {
		t.Errorf("absolute form: %q from %s", mustEntity(t, got), got.IP)
	}
	if !strings.HasPrefix(string(got.Request), "GET http://h1.test/x?y HTTP/1.1\r\nHost: h1.test\r\n") || strings.Contains(string(got.Request), "Proxy-Auth") {
		t.Errorf("recorded %q", got.Request)
	}
	auth := basic("me", "secret")
	want := fmt.Sprintf("CONNECT %s %s; GET http://h1.test/x?y %s", strings.TrimPrefix(s.URL, "https://"), auth, auth)
	if p.logged() != want {
		t.Errorf("proxy saw %q, want %q", p.logged(), want)
	}
	if _, err := newClient(t, Config{Proxy: "http://" + p.addr, AllowNet: loopback}).Fetch(t.Context(), Request{URL: s.URL}); classOf(err) != ClassProxy {
		t.Errorf("without password: %v", err)
	}
}

func mustEntity(t *testing.T, c *Capture) []byte {
	b, err := io.ReadAll(c.Entity())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestProxyGuard: what the guard forbids is not asked of a proxy either.
func TestProxyGuard(t *testing.T) {
	for _, scheme := range []string{"http://me:secret@", "socks5://me:secret@"} {
		p := newTestProxy(t, httpProxy)
		c := newClient(t, Config{Proxy: scheme + p.addr, Resolver: zooNames{}})
		for _, url := range []string{"http://127.0.0.1/", "https://0x7f.1/", "http://inside.test/", "https://metadata.test/", "http://[::1]/"} {
			if _, err := c.Fetch(t.Context(), Request{URL: url}); classOf(err) != ClassRefused {
				t.Errorf("%s %s: %v", scheme, url, err)
			}
		}
		if p.logged() != "" {
			t.Errorf("%s: proxy was asked: %s", scheme, p.logged())
		}
	}
}

func TestProxyAway(t *testing.T) {
	c := newClient(t, Config{Proxy: "http://127.0.0.4:1", Resolver: hostNumbers{}})
	for _, url := range []string{"http://h1.test/", "https://h1.test/"} {
		_, err := c.Fetch(t.Context(), Request{URL: url})
		if classOf(err) != ClassProxy || !err.(*Error).Local() {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// unknowing is the resolver of a network whose names only its proxy knows.
type unknowing struct{ err error }

func (u unknowing) Resolve(context.Context, string) (*Resolution, error) { return nil, u.err }

// TestProxyByName: what our resolver cannot resolve is asked of the proxy by
// name, and the record says why it has no address.
func TestProxyByName(t *testing.T) {
	plain, secure := pageServer(t), tlsServer(t, nil).URL
	port := func(url string) string {
		u, _ := strings.CutPrefix(url[strings.Index(url, "//")+2:], "127.0.0.1")
		p, _, _ := strings.Cut(u, "/")
		return "proxy.test" + p
	}
	for _, c := range []struct{ scheme, url, asked string }{
		{"http", "https://" + port(secure), "CONNECT " + port(secure) + " " + basic("me", "secret")},
		{"http", "http://proxy.test/x", "GET http://proxy.test/x " + basic("me", "secret")},
		{"socks5", "http://" + port(plain) + "/page", "me to " + port(plain)},
		{"socks5", "https://" + port(secure), "me to " + port(secure)},
	} {
		for _, trouble := range []error{ErrNoSuchHost, errors.New("SERVFAIL")} {
			serve := map[string]func(*testProxy, net.Conn){"http": httpProxy, "socks5": socks}[c.scheme]
			p := newTestProxy(t, serve)
			client := newClient(t, Config{Proxy: c.scheme + "://me:secret@" + p.addr, Resolver: unknowing{trouble}})
			got := get(t, client, c.url)
			if got.Status != 200 || got.IP.IsValid() || got.DNS != nil || !slices.Contains(got.Notes, noteByName) {
				t.Errorf("%s through %s: status %d from %v, notes %q", c.url, c.scheme, got.Status, got.IP, got.Notes)
			}
			if p.logged() != c.asked {
				t.Errorf("%s through %s: proxy saw %q, want %q", c.url, c.scheme, p.logged(), c.asked)
			}
		}
	}
	if _, err := newClient(t, Config{Resolver: unknowing{ErrNoSuchHost}}).Fetch(t.Context(), Request{URL: "http://proxy.test/"}); classOf(err) != ClassNoSuchHost {
		t.Errorf("without a proxy: %v", err)
	}
}

// TestProxyNamesOfItsNetwork: a name that can only lead into the proxy's own
// network is not asked of it.
func TestProxyNamesOfItsNetwork(t *testing.T) {
	for _, scheme := range []string{"http", "socks5"} {
		p := newTestProxy(t, httpProxy)
		c := newClient(t, Config{Proxy: scheme + "://" + p.addr, Resolver: unknowing{ErrNoSuchHost}})
		for _, host := range []string{"localhost", "a.localhost", "metadata.google.internal", "printer.local.", "intranet", "nas.home.arpa", "127.1", "10.0.0.1", "[::1]"} {
			_, err := c.Fetch(t.Context(), Request{URL: "http://" + host + "/"})
			if classOf(err) != ClassRefused || salvor.HintOf(err) == "" {
				t.Errorf("%s %s: %v, hint %q", scheme, host, err, salvor.HintOf(err))
			}
		}
		if p.logged() != "" {
			t.Errorf("%s: proxy was asked: %s", scheme, p.logged())
		}
	}
}
