package fetch

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func tlsServer(t *testing.T, change func(*tls.Config)) *httptest.Server {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Resumed", map[bool]string{true: "yes", false: "no"}[r.TLS.DidResume])
		io.WriteString(w, "secret")
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{}
	if change != nil {
		change(s.TLS)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func get(t *testing.T, c *Client, url string) *Capture {
	t.Helper()
	got, err := c.Fetch(t.Context(), Request{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(got.Close)
	return got
}

func classOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return ""
}

// TestTLSInvalidCertificate: it never prevents a capture, and is noted with
// the reason on every capture.
func TestTLSInvalidCertificate(t *testing.T) {
	s := tlsServer(t, nil)
	c := newClient(t, Config{AllowNet: loopback})
	for range 2 {
		got := get(t, c, s.URL)
		if len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "invalid certificate: x509: certificate signed by unknown authority") {
			t.Errorf("notes %q", got.Notes)
		}
		if strings.Join(got.Protocol, " ") != "http/1.1 tls/1.3" || !strings.HasPrefix(got.Cipher, "TLS_") {
			t.Errorf("protocol %q, cipher %q", got.Protocol, got.Cipher)
		}
	}
	if c.pool.idle.Len() != 1 {
		t.Error("connection was not kept: a certificate is no reason")
	}
}

func TestTLSVerify(t *testing.T) {
	s := tlsServer(t, nil)
	_, err := newClient(t, Config{AllowNet: loopback, TLSVerify: true}).Fetch(t.Context(), Request{URL: s.URL})
	if classOf(err) != ClassTLS {
		t.Errorf("unknown authority: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	good := newClient(t, Config{AllowNet: loopback, TLSVerify: true, RootCAs: roots})
	if got := get(t, good, s.URL); len(got.Notes) > 0 {
		t.Errorf("valid certificate noted: %q", got.Notes)
	}
	wrong := strings.Replace(s.URL, "127.0.0.1", "127.0.0.2", 1)
	if _, err := good.Fetch(t.Context(), Request{URL: wrong}); classOf(err) == "" {
		t.Error("certificate for another address accepted")
	}
}

// TestTLSResumption: the second connection does not shake hands anew.
func TestTLSResumption(t *testing.T) {
	s := tlsServer(t, nil)
	c := newClient(t, Config{AllowNet: loopback})
	for i, want := range []string{"no", "yes"} {
		got := get(t, c, s.URL)
		if r := got.Header.Get("X-Resumed"); r != want {
			t.Errorf("connection %d resumed: %s", i, r)
		}
		c.pool.drain()
	}
}

// TestTLSOldServers: who is going under runs old software.
func TestTLSOldServers(t *testing.T) {
	for name, change := range map[string]func(*tls.Config){
		"tls/1.0": func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10 },
		"tls/1.1": func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 },
		"tls/1.2": func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
		},
	} {
		s := tlsServer(t, change)
		got := get(t, newClient(t, Config{AllowNet: loopback}), s.URL)
		if got.Protocol[1] != name {
			t.Errorf("%s: got %q", name, got.Protocol)
		}
		if name == "tls/1.2" && got.Cipher != "TLS_RSA_WITH_AES_128_CBC_SHA" {
			t.Errorf("cipher %s", got.Cipher)
		}
	}
}

// TestTLSNoHTTP2: the record must be the bytes of HTTP/1.1.
func TestTLSNoHTTP2(t *testing.T) {
	s := tlsServer(t, func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} })
	if got := get(t, newClient(t, Config{AllowNet: loopback}), s.URL); got.Protocol[0] != "http/1.1" {
		t.Errorf("protocol %q", got.Protocol)
	}
}

func TestTLSNotSpoken(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	_, err := newClient(t, Config{AllowNet: loopback}).Fetch(t.Context(), Request{URL: strings.Replace(s.URL, "http:", "https:", 1)})
	if classOf(err) != ClassTLS {
		t.Errorf("TLS to a plain server: %v", err)
	}
}
