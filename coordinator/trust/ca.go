package trust

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"salvor"
	"salvor/api"
	"salvor/storage/durable"
)

const (
	// DefaultValidity of a node's certificate. It is renewed when a third is
	// left, so a node may be away for ten days at least.
	DefaultValidity = 30 * 24 * time.Hour

	// Skew is how far the clock of a machine may be behind the signer's.
	Skew = time.Hour

	caValidity = 20 * 365 * 24 * time.Hour
)

// CA is a cluster's certificate authority with its key. Coordinators hold it.
type CA struct {
	cluster string
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
}

// NewCA makes the authority of a new cluster.
func NewCA(cluster string) (*CA, error) { return newCA(cluster, time.Now()) }

func newCA(cluster string, now time.Time) (*CA, error) {
	if err := checkCluster(cluster); err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, caTemplate(cluster, now), caTemplate(cluster, now), key.Public(), key)
	if err != nil {
		return nil, salvor.Errorf(salvor.Internal, "make the cluster's certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, salvor.Errorf(salvor.Internal, "read the cluster's certificate: %w", err)
	}
	return &CA{cluster, cert, key}, nil
}

func caTemplate(cluster string, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Salvor cluster " + cluster},
		URIs:                  []*url.URL{{Scheme: scheme, Host: cluster}},
		NotBefore:             now.Add(-24 * time.Hour),
		NotAfter:              now.Add(caValidity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
	}
}

// Cluster is the id of the cluster.
func (c *CA) Cluster() string { return c.cluster }

// Fingerprint is what tokens and keys pin.
func (c *CA) Fingerprint() Fingerprint { return fingerprint(c.cert) }

func fingerprint(c *x509.Certificate) Fingerprint { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// clusterOf checks that a certificate is that of an authority, signed by
// itself, and reads its cluster.
func clusterOf(c *x509.Certificate) (string, error) {
	if !c.IsCA || c.CheckSignatureFrom(c) != nil || len(c.URIs) != 1 ||
		c.URIs[0].Scheme != scheme || !clusterForm.MatchString(c.URIs[0].Host) {
		return "", salvor.Errorf(salvor.Forbidden, "the certificate is not that of a cluster's authority")
	}
	return c.URIs[0].Host, nil
}

// Save writes ca.crt and ca.key (mode 0600) into a directory. It never
// replaces another authority.
func (c *CA) Save(dir string) error {
	if err := durable.MkdirAll(dir); err != nil {
		return err
	}
	if err := notAnother(dir, c.Fingerprint()); err != nil {
		return err
	}
	key, err := encodeKey(c.key)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, fileCAKey), true, key); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, fileCACert), false, encodeCert(c.cert.Raw))
}

// notAnother refuses a directory that holds another cluster's authority.
func notAnother(dir string, want Fingerprint) error {
	refuse := func(path string) error {
		return salvor.Errorf(salvor.Conflict, "%s is that of another cluster", path).
			WithHint("use a new directory for this cluster's node, or move that of the other away")
	}
	path := filepath.Join(dir, fileCAKey)
	if ok, err := exists(path); err != nil {
		return err
	} else if ok {
		key, err := loadKey(path)
		if err != nil {
			return err
		}
		if spki, err := x509.MarshalPKIXPublicKey(key.Public()); err != nil || sha256.Sum256(spki) != want {
			return refuse(path)
		}
	}
	path = filepath.Join(dir, fileCACert)
	if ok, err := exists(path); err != nil || !ok {
		return err
	}
	cert, err := loadCert(path)
	if err != nil {
		return err
	}
	if fingerprint(cert) != want {
		return refuse(path)
	}
	return nil
}

// LoadCA reads what Save wrote. A key that others can read is refused.
func LoadCA(dir string) (*CA, error) {
	cert, err := loadCert(filepath.Join(dir, fileCACert))
	if err != nil {
		return nil, err
	}
	key, err := loadKey(filepath.Join(dir, fileCAKey))
	if salvor.ClassOf(err) == salvor.NotFound {
		return nil, salvor.Errorf(salvor.NotFound, "%w", err).
			WithHint("copy %s from the directory of another coordinator or from a backup, and keep its mode 0600", fileCAKey)
	}
	if err != nil {
		return nil, err
	}
	return pairCA(cert, key)
}

// pairCA makes an authority of its parts, which must belong together.
func pairCA(cert *x509.Certificate, key *ecdsa.PrivateKey) (*CA, error) {
	cluster, err := clusterOf(cert)
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, salvor.Errorf(salvor.Invalid, "%s and %s do not belong together", fileCACert, fileCAKey).
			WithHint("take both from the same coordinator or backup")
	}
	return &CA{cluster, cert, key}, nil
}

// leaf is what a node's certificate says.
type leaf struct {
	peer  Peer
	hosts []string // host names and IP addresses, of coordinators only
	key   any      // public
	now   time.Time
	life  time.Duration
}

// sign makes a node's certificate.
func (c *CA) sign(l leaf) (*x509.Certificate, error) {
	t := &x509.Certificate{
		Subject:               pkix.Name{CommonName: l.peer.Name},
		URIs:                  []*url.URL{l.peer.uri()},
		NotBefore:             l.now.Add(-Skew),
		NotAfter:              l.now.Add(l.life),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if l.peer.Has(api.RoleCoordinator) {
		t.DNSNames = []string{ServerName(c.cluster)}
		for _, h := range l.hosts {
			if ip := net.ParseIP(h); ip != nil {
				t.IPAddresses = append(t.IPAddresses, ip)
			} else {
				t.DNSNames = append(t.DNSNames, h)
			}
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, c.cert, l.key, c.key)
	if err != nil {
		return nil, salvor.Errorf(salvor.Internal, "sign the certificate of node %s: %w", l.peer.Name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, salvor.Errorf(salvor.Internal, "read the certificate of node %s: %w", l.peer.Name, err)
	}
	if _, err := peerOf(cert); err != nil { // never sign what nobody would accept
		return nil, salvor.Errorf(salvor.Internal, "sign the certificate of node %s: %w", l.peer.Name, err)
	}
	return cert, nil
}
