package trust

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"salvor"
	"salvor/api"
)

// Peer is a node as its certificate describes it.
type Peer struct {
	Cluster string
	ID      string     // follows from the node's public key
	Name    string     // its pseudonym
	Roles   []api.Role // sorted; of coordinator, worker, access
}

// Has reports whether the node has a role.
func (p Peer) Has(r api.Role) bool { return slices.Contains(p.Roles, r) }

// ServerName is what the certificates of all coordinators of a cluster are
// valid for, whatever address was dialled.
func ServerName(cluster string) string { return "coordinator." + cluster + reserved }

// reserved ends the names that mean something to the cluster.
const reserved = ".salvor"

const (
	scheme   = "salvor"
	idLength = 24
)

var (
	nodeForm = regexp.MustCompile(`^[a-z2-7]{24}$`)
	nameForm = regexp.MustCompile(`^[a-z0-9]{1,12}$`)
)

// nodeID is the id of the node with a public key: 120 bits of its SHA-256.
// Nobody can ask for the id of another.
func nodeID(c *x509.CertificateRequest) string { return keyID(c.RawSubjectPublicKeyInfo) }

func keyID(spki []byte) string {
	h := sha256.Sum256(spki)
	return lower.EncodeToString(h[:])[:idLength]
}

// uri is the name of a node in its certificate: salvor://CLUSTER/ROLES/ID.
func (p Peer) uri() *url.URL {
	return &url.URL{Scheme: scheme, Host: p.Cluster, Path: "/" + joinRoles(p.Roles, "+") + "/" + p.ID}
}

// peerOf reads a certificate whose chain was verified.
func peerOf(c *x509.Certificate) (Peer, error) {
	bad := func(why string) (Peer, error) {
		return Peer{}, salvor.Errorf(salvor.Forbidden, "the certificate is not one of a node: %s", why)
	}
	if len(c.URIs) != 1 || c.URIs[0].Scheme != scheme {
		return bad("it has not exactly one name that begins with salvor://")
	}
	u := c.URIs[0]
	parts := strings.Split(u.Path, "/")
	if len(parts) != 3 || parts[0] != "" || !nodeForm.MatchString(parts[2]) || !clusterForm.MatchString(u.Host) {
		return bad("its name has another form than salvor://CLUSTER/ROLES/ID")
	}
	p := Peer{Cluster: u.Host, ID: parts[2], Name: c.Subject.CommonName}
	for r := range strings.SplitSeq(parts[1], "+") {
		p.Roles = append(p.Roles, api.Role(r))
	}
	roles, err := checkRoles(p.Roles, nodeRoles)
	switch {
	case err != nil:
		return bad("its roles are unknown")
	case !slices.Equal(roles, p.Roles) || p.uri().String() != u.String():
		return bad("its name is not in its plain form")
	case keyID(c.RawSubjectPublicKeyInfo) != p.ID:
		return bad("its id does not follow from its key")
	case !nameForm.MatchString(p.Name):
		return bad("it has no pseudonym")
	}
	return p, nil
}

// PeerOf is the node at the other end of a connection, nil if the other end
// showed no certificate. It reads only what the handshake verified.
func PeerOf(cs tls.ConnectionState) (*Peer, error) {
	if len(cs.VerifiedChains) == 0 {
		if len(cs.PeerCertificates) > 0 {
			return nil, salvor.Errorf(salvor.Forbidden, "the certificate of the other side was not verified")
		}
		return nil, nil
	}
	p, err := peerOf(cs.VerifiedChains[0][0])
	if err != nil {
		return nil, err
	}
	return &p, nil
}
