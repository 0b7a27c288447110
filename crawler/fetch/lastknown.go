package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// LastKnown is where a host was before its name disappeared. When a name goes,
// the server behind it often still answers.
type LastKnown struct {
	Address netip.Addr
	// AnyName takes what answers there for the host although it cannot prove it:
	// without TLS, or with a certificate that does not name the host.
	AnyName bool
	Reason  string // stands in every record made so
}

// LastKnowns answers for names that are gone. Whoever puts an address there is
// sure that it is still the host's, and not that of the provider's next customer.
// It is safe for concurrent use.
type LastKnowns struct {
	Next  Resolver // asked first; only ErrNoSuchHost from it is answered otherwise
	hosts atomic.Pointer[map[string]LastKnown]
}

// NewLastKnowns answers as the system does until Set.
func NewLastKnowns() *LastKnowns { return &LastKnowns{Next: newSystemResolver()} }

// Set puts the addresses, by host name in lower case, in the place of those
// before. The Client asks for a name that was gone again within a minute.
func (l *LastKnowns) Set(hosts map[string]LastKnown) { l.hosts.Store(&hosts) }

// Resolve implements Resolver.
func (l *LastKnowns) Resolve(ctx context.Context, name string) (*Resolution, error) {
	r, err := l.Next.Resolve(ctx, name)
	if gone := err == nil && len(r.Addresses) == 0 || errors.Is(err, ErrNoSuchHost); !gone {
		return r, err
	}
	hosts := l.hosts.Load()
	if hosts == nil {
		return r, err
	}
	k, ok := (*hosts)[name]
	if !ok {
		return r, err
	}
	return &Resolution{Name: name, Time: time.Now(), Addresses: []netip.Addr{k.Address}, TTL: minTTL, LastKnown: &k}, nil
}

// checkLastKnown refuses an answer from a host's last known address that does not
// prove to be the host's, and else gives the note of it.
func checkLastKnown(k *LastKnown, host string, c net.Conn) (note string, err error) {
	note = "the name is gone, asked at its last known address: " + k.Reason
	if k.AnyName {
		return note, nil
	}
	tc, ok := c.(*tls.Conn)
	if !ok {
		return "", failf(ClassTLS, "%s is gone, and without TLS nothing proves that its last known address %s is still its own", host, k.Address)
	}
	certs := tc.ConnectionState().PeerCertificates // not empty: a server must show one
	if err := certs[0].VerifyHostname(host); err != nil {
		return "", failf(ClassTLS, "%s is gone, and what answers at its last known address %s is something else: %w", host, k.Address, err)
	}
	return note, nil
}
