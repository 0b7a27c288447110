package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"salvor/coordinator/risk"
)

const (
	certsEvery  = 6 * time.Hour
	certsWithin = 15 * time.Second
	// expiredFor is how long a certificate must have been of no use: renewals fail
	// for a day or two in the best of houses.
	expiredFor = 72 * time.Hour
	// lateShare is the part of a certificate's life below which it should have been
	// renewed long ago: usual is at a third. Days say nothing, lives differ.
	lateShare = 0.1
	// freshShare is the same for one that was issued lately.
	freshShare = 0.9
)

// certs looks at the certificate of a host.
type certs struct {
	w    witness
	dial Dialer

	mu   sync.Mutex
	last map[string]time.Time // by host: since when the certificate of the last look is good
}

func newCerts(w witness, dial Dialer) *certs {
	return &certs{w: w, dial: dial, last: map[string]time.Time{}}
}

// renewed says that a host has another certificate than at this node's last look.
func (l *certs) renewed(host string, c *x509.Certificate) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was, known := l.last[host]
	if len(l.last) > 2*MostTargets { // hosts that are no target any more
		clear(l.last)
	}
	l.last[host] = c.NotBefore
	return known && c.NotBefore.After(was)
}

func (*certs) Name() string         { return "certificates" }
func (*certs) Every() time.Duration { return certsEvery }

// Look implements Looker. A host without TLS says nothing.
func (l *certs) Look(ctx context.Context, t Target) ([]risk.Observation, error) {
	if !t.TLS {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, certsWithin)
	defer cancel()
	addr := t.Host
	if _, _, err := net.SplitHostPort(addr); err != nil {
		addr = net.JoinHostPort(strings.Trim(addr, "[]"), "443")
	}
	c, err := l.dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err // that it is down is said by who looks at its pages
	}
	defer c.Close()
	name, _, _ := net.SplitHostPort(addr)
	tc := tls.Client(c, &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS10})
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", t.Host, err)
	}
	return l.judge(t, tc.ConnectionState().PeerCertificates[0]), nil
}

// judge says what a certificate tells.
func (l *certs) judge(t Target, c *x509.Certificate) []risk.Observation {
	now, life := l.w.now(), c.NotAfter.Sub(c.NotBefore)
	left := c.NotAfter.Sub(now)
	text := fmt.Sprintf("valid from %s to %s, of %s", c.NotBefore.UTC().Format(time.DateOnly), c.NotAfter.UTC().Format(time.DateOnly), c.Issuer.CommonName)
	say := func(signal string, is bool) risk.Observation {
		if is {
			return l.w.saw(t, signal, text)
		}
		return l.w.missed(t, signal)
	}
	share := 0.0
	if life > 0 {
		share = float64(left) / float64(life)
	}
	out := []risk.Observation{say(risk.SigCertExpired, left < -expiredFor), say(risk.SigCertLate, left > 0 && share < lateShare)}
	if l.renewed(t.Host, c) && share > freshShare {
		out = append(out, l.w.saw(t, risk.SigCertFresh, text))
	}
	return out
}
