package coordinator

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"
)

// authority signs certificates for a test.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t, pool: x509.NewCertPool()}
	c := a.issue("ca", true)
	a.cert, a.key = c.Leaf, c.PrivateKey.(*ecdsa.PrivateKey)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) issue(name string, ca bool) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	x := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"coordinator.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: ca, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	by, with := a.cert, a.key
	if by == nil {
		by, with = x, key
	}
	der, err := x509.CreateCertificate(rand.Reader, x, by, key.Public(), with)
	must(a.t, err)
	leaf, err := x509.ParseCertificate(der)
	must(a.t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) server() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.issue("server", false)}, ClientCAs: a.pool, ClientAuth: tls.VerifyClientCertIfGiven}
}

func (a *authority) client(name string, protos ...string) *tls.Config {
	c := &tls.Config{RootCAs: a.pool, ServerName: "coordinator.test", NextProtos: protos}
	if name != "" {
		c.Certificates = []tls.Certificate{a.issue(name, false)}
	}
	return c
}

// onlyNodes lets those in whose certificate says so.
func onlyNodes(s tls.ConnectionState) error {
	if cn := s.PeerCertificates[0].Subject.CommonName; cn != "node" {
		return fmt.Errorf("%s is no coordinator", cn)
	}
	return nil
}

// port is a split port with an HTTP server on it, and an echo where Raft is.
func port(t *testing.T, a *authority, conf *tls.Config) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	api, raft, end := Split(l, conf, onlyNodes)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) })}
	served := make(chan error, 1)
	go func() { served <- s.Serve(api) }()
	go func() {
		for {
			c, err := raft.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	t.Cleanup(func() {
		must(t, end())
		must(t, end()) // again is harmless
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the HTTP server ended with %v", err)
		}
		s.Close()
	})
	return l.Addr().String()
}

func TestSplitSpeaksHTTP(t *testing.T) {
	a := newAuthority(t)
	chosen := a.server()
	for name, conf := range map[string]*tls.Config{
		"one configuration": a.server(),
		"one for each client": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return chosen, nil
		}},
	} {
		at := port(t, a, conf)
		for _, c := range []struct{ alpn, want string }{{"h2", "HTTP/2.0"}, {"http/1.1", "HTTP/1.1"}} {
			tr := &http.Transport{TLSClientConfig: a.client("", c.alpn), ForceAttemptHTTP2: c.alpn == "h2"}
			resp, err := (&http.Client{Transport: tr}).Get("https://" + at)
			must(t, err)
			b, err := io.ReadAll(resp.Body)
			must(t, errors.Join(err, resp.Body.Close()))
			if string(b) != c.want {
				t.Errorf("%s: %s came as %s", name, c.alpn, b)
			}
			tr.CloseIdleConnections()
		}
	}
}

func TestSplitGuardsRaft(t *testing.T) {
	a := newAuthority(t)
	at := port(t, a, a.server())
	for _, c := range []struct {
		name string
		in   bool
	}{{"node", true}, {"worker", false}, {"", false}} {
		conn, err := tls.Dial("tcp", at, a.client(c.name, RaftProtocol))
		if err == nil {
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			if _, err = conn.Write([]byte("x")); err == nil {
				_, err = io.ReadFull(conn, make([]byte, 1))
			}
			conn.Close()
		}
		if (err == nil) != c.in {
			t.Errorf("%q: %v", c.name, err)
		}
	}
}

// Clients that never finish their handshake keep nobody else out.
func TestSplitBoundsHandshakes(t *testing.T) {
	a := newAuthority(t)
	at := port(t, a, a.server())
	for range handshakes / 2 {
		c, err := net.Dial("tcp", at)
		must(t, err)
		defer c.Close()
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", at, a.client("node", RaftProtocol))
	must(t, err)
	conn.Close()
}

// sealed is TCP on the loopback with Raft behind TLS on a split port.
type sealed struct {
	wire
	a *authority
}

func (s *sealed) listen(node int) (net.Listener, string) {
	l, addr := s.wire.listen(node)
	api, raft, end := Split(l, s.a.server(), onlyNodes)
	api.Close()
	return endListener{raft, end}, addr
}

type endListener struct {
	net.Listener
	end func() error
}

func (e endListener) Close() error { return e.end() }

func (s *sealed) dialer(node int) func(ctx context.Context, address string) (net.Conn, error) {
	conf := s.a.client("node", RaftProtocol)
	return func(ctx context.Context, address string) (net.Conn, error) {
		return (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", address)
	}
}

func TestClusterOverOneTLSPort(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, &sealed{wire{map[int]string{}}, newAuthority(t)})
	f.conf = fast
	f.three()
	f.set("test", "a", []byte("1"))
	f.crash(f.nodes[f.leader(0)])
	f.set("test", "b", []byte("2"))
	if got := f.keys("test"); len(got) != 2 {
		t.Errorf("records %v", got)
	}
}

// fast shortens what a test on the real clock waits for.
func fast(c *NodeConfig) {
	c.timing = timing{election: 500 * time.Millisecond, members: 100 * time.Millisecond, steady: 300 * time.Millisecond, balance: 300 * time.Millisecond}
}
