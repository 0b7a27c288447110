package trust

import (
	"crypto/tls"
	"crypto/x509"
	"errors"

	"salvor"
	"salvor/api"
)

// ServerTLS is for the node's one port: TLS 1.3 with the given protocols. Who
// shows a certificate must be a node of this cluster that was not removed; who
// shows none is let in and proves itself otherwise, or stays without rights.
// A renewed certificate is used from the next handshake on.
func (i *Identity) ServerTLS(alpn ...string) *tls.Config {
	return &tls.Config{
		MinVersion:       tls.VersionTLS13,
		NextProtos:       alpn,
		Time:             i.o.Now,
		ClientAuth:       tls.VerifyClientCertIfGiven,
		ClientCAs:        i.pool,
		GetCertificate:   func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return i.cert.Load().tls, nil },
		VerifyConnection: i.admit,
		// A resumed session would go on with what an old handshake proved.
		SessionTicketsDisabled: true,
	}
}

// ClientTLS is for connections to coordinators: TLS 1.3 with the given
// protocols and the node's certificate. Whatever address was dialled, the
// other side must be a coordinator of this cluster that was not removed.
func (i *Identity) ClientTLS(alpn ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: alpn,
		Time:       i.o.Now,
		RootCAs:    i.pool,
		ServerName: ServerName(i.Peer().Cluster),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return i.cert.Load().tls, nil
		},
		VerifyConnection: i.AllowRaft,
	}
}

// admit refuses other clusters' nodes and removed ones.
func (i *Identity) admit(cs tls.ConnectionState) error {
	_, err := i.PeerOf(cs)
	return err
}

// PeerOf is the node of this cluster at the other end of a connection, nil if
// it showed no certificate. Forbidden if it was removed, since the handshake
// too. Long connections are to be asked again.
func (i *Identity) PeerOf(cs tls.ConnectionState) (*Peer, error) {
	p, err := PeerOf(cs)
	if err != nil || p == nil {
		return nil, err
	}
	if mine := i.cert.Load().peer.Cluster; p.Cluster != mine {
		return nil, salvor.Errorf(salvor.Forbidden, "node %s is of the cluster %s, not of %s", p.Name, p.Cluster, mine)
	}
	if i.o.Removed(p.ID) {
		return nil, removed(p.Name)
	}
	return p, nil
}

func removed(name string) error {
	return salvor.Errorf(salvor.Forbidden, "node %s was removed from the cluster", name).
		WithHint("to bring the machine back, join with a new token and a new directory")
}

// AllowRaft demands that the other end of a connection is a coordinator of
// this cluster that was not removed.
func (i *Identity) AllowRaft(cs tls.ConnectionState) error {
	p, err := i.PeerOf(cs)
	switch {
	case err != nil:
		return err
	case p == nil:
		return salvor.Errorf(salvor.Forbidden, "the other side showed no certificate of a coordinator")
	case !p.Has(api.RoleCoordinator):
		return salvor.Errorf(salvor.Forbidden, "node %s is no coordinator", p.Name)
	}
	return nil
}

// ClientConfig is for people and scripts: TLS 1.3 with the given protocols, to
// a coordinator of the cluster whose authority the credential pins. No byte of
// a request is sent to anybody else.
func ClientConfig(c Credential, alpn ...string) *tls.Config {
	return clientConfig(c.CA, Options{}.withDefaults(), alpn...)
}

func clientConfig(ca Fingerprint, o Options, alpn ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: alpn,
		Time:       o.Now,
		// Only the authority's fingerprint is known, so VerifyConnection does
		// all that is left out here. It is called for every handshake.
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			return verifyPinned(cs.PeerCertificates, ca, o)
		},
	}
}

// verifyPinned checks that a chain is that of a coordinator and ends in the
// authority with the fingerprint.
func verifyPinned(chain []*x509.Certificate, ca Fingerprint, o Options) error {
	root, cluster := findRoot(chain, ca)
	if root == nil {
		return salvor.Errorf(salvor.Forbidden, "the server is not of the cluster that the token or key is for").
			WithHint("check the URL and take a token or key of that cluster; if both are right, somebody stands in between: send nothing")
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: pool, CurrentTime: o.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err == nil {
		err = chain[0].VerifyHostname(ServerName(cluster))
	}
	if err != nil {
		return refused(err)
	}
	return nil
}

func findRoot(chain []*x509.Certificate, ca Fingerprint) (*x509.Certificate, string) {
	for _, c := range chain {
		if fingerprint(c) != ca {
			continue
		}
		if cluster, err := clusterOf(c); err == nil {
			return c, cluster
		}
	}
	return nil, ""
}

// refused gives the reason why a server's certificate is not accepted.
func refused(err error) error {
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return salvor.Errorf(salvor.Forbidden, "the server's certificate is not valid at this time: %w", err).
			WithHint("set this machine's clock, and the server's")
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return salvor.Errorf(salvor.Forbidden, "the server is a node of the cluster, but no coordinator").
			WithHint("name a coordinator's address")
	}
	return salvor.Errorf(salvor.Forbidden, "the server's certificate is not accepted: %w", err)
}
