package trust

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"salvor"
	"salvor/api"
)

// Identity is what a node of a cluster is and knows: its key and certificate,
// the cluster's authority, and the cluster as the node last heard of it. It
// lives in a directory that one process at a time may hold, and is safe for
// concurrent use.
type Identity struct {
	dir  string
	o    Options
	key  *ecdsa.PrivateKey
	root *x509.Certificate
	pool *x509.CertPool
	ca   *CA // coordinators only

	cert atomic.Pointer[held]

	mu    sync.Mutex
	known clusterFile
}

// held is the certificate in force.
type held struct {
	tls  *tls.Certificate
	leaf *x509.Certificate
	peer Peer
}

// clusterFile is the JSON of cluster.json.
type clusterFile struct {
	Settings     api.ClusterSettings `json:"settings"`
	Address      string              `json:"address,omitempty"` // this node's own
	Names        []string            `json:"names,omitempty"`   // other names of it
	Coordinators []string            `json:"coordinators"`      // host:port, as last heard
}

// Load reads the identity in a directory. NotFound if no node was made there.
func Load(dir string, o Options) (*Identity, error) {
	i, err := open(dir, o)
	if err != nil {
		return nil, err
	}
	if err := i.Reload(); err != nil {
		return nil, err
	}
	if err := readJSON(filepath.Join(dir, fileCluster), &i.known); err != nil {
		return nil, err
	}
	if !i.Has(api.RoleCoordinator) {
		return i, nil
	}
	if i.ca, err = LoadCA(dir); err != nil {
		return nil, err
	}
	return i, nil
}

// Member reports whether Load would find a node in a directory.
func Member(dir string) (bool, error) { return exists(filepath.Join(dir, fileNodeCert)) }

// open reads what does not change while a node lives.
func open(dir string, o Options) (*Identity, error) {
	if ok, err := Member(dir); err != nil {
		return nil, err
	} else if !ok {
		return nil, salvor.Errorf(salvor.NotFound, "there is no node of a cluster in %s", dir).
			WithHint("`salvor cluster init` makes a cluster, `salvor join URL` brings this machine into one")
	}
	key, err := loadKey(filepath.Join(dir, fileNodeKey))
	if err != nil {
		return nil, err
	}
	root, err := loadCert(filepath.Join(dir, fileCACert))
	if err != nil {
		return nil, err
	}
	return newIdentity(dir, o, key, root)
}

func newIdentity(dir string, o Options, key *ecdsa.PrivateKey, root *x509.Certificate) (*Identity, error) {
	if _, err := clusterOf(root); err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "%s: %w", filepath.Join(dir, fileCACert), err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return &Identity{dir: dir, o: o.withDefaults(), key: key, root: root, pool: pool}, nil
}

// Reload takes the certificate from the directory, in case somebody else put a
// new one there. Connections made from now on use it.
func (i *Identity) Reload() error {
	path := filepath.Join(i.dir, fileNodeCert)
	cert, err := loadCert(path)
	if err != nil {
		return err
	}
	h, err := i.hold(cert)
	if err != nil {
		return salvor.Errorf(salvor.Invalid, "%s: %w", path, err).
			WithHint("put back the files of one node of one cluster, or join again with a new token")
	}
	i.cert.Store(h)
	return nil
}

// hold checks that a certificate is this node's, signed by this cluster. One
// that has expired is held too: only its renewal fails.
func (i *Identity) hold(cert *x509.Certificate) (*held, error) {
	if err := cert.CheckSignatureFrom(i.root); err != nil {
		return nil, salvor.Errorf(salvor.Forbidden, "the certificate was not signed by the cluster's authority: %w", err)
	}
	if !i.key.PublicKey.Equal(cert.PublicKey) {
		return nil, salvor.Errorf(salvor.Forbidden, "the certificate is not for this node's key")
	}
	p, err := peerOf(cert)
	if err != nil {
		return nil, err
	}
	if cluster, _ := clusterOf(i.root); p.Cluster != cluster {
		return nil, salvor.Errorf(salvor.Forbidden, "the certificate is of the cluster %s, not of %s", p.Cluster, cluster)
	}
	// The authority goes along, so that who knows only its fingerprint can check it.
	chain := [][]byte{cert.Raw, i.root.Raw}
	return &held{&tls.Certificate{Certificate: chain, PrivateKey: i.key, Leaf: cert}, cert, p}, nil
}

// keep makes a certificate this node's, durably, from now on.
func (i *Identity) keep(cert *x509.Certificate) error {
	h, err := i.hold(cert)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(i.dir, fileNodeCert), false, encodeCert(cert.Raw)); err != nil {
		return err
	}
	i.cert.Store(h)
	return nil
}

// Peer is this node as others see it.
func (i *Identity) Peer() Peer {
	p := i.cert.Load().peer
	p.Roles = slices.Clone(p.Roles)
	return p
}

// ID is the node's id, which is its Raft server id too.
func (i *Identity) ID() string { return i.cert.Load().peer.ID }

// Has reports whether the node has a role.
func (i *Identity) Has(r api.Role) bool { return i.cert.Load().peer.Has(r) }

// NotAfter is when the certificate in force ends.
func (i *Identity) NotAfter() time.Time { return i.cert.Load().leaf.NotAfter }

// Fingerprint is that of the cluster's authority.
func (i *Identity) Fingerprint() Fingerprint { return fingerprint(i.root) }

// Settings are the cluster's, as this node last heard of them.
func (i *Identity) Settings() api.ClusterSettings {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.known.Settings
}

// Address is what this node advertises; "" for one that is only a worker.
func (i *Identity) Address() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.known.Address
}

// Coordinators are the addresses (host:port) of the coordinators, as this node
// last heard of them.
func (i *Identity) Coordinators() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.known.Coordinators)
}

// Note keeps newer settings and coordinators durably, for the next start. What
// has not changed costs no write, and an empty list of coordinators is kept out.
func (i *Identity) Note(s api.ClusterSettings, coordinators []string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	next := i.known
	next.Settings = s
	if len(coordinators) > 0 {
		next.Coordinators = slices.Sorted(slices.Values(coordinators))
	}
	return i.know(next)
}

// know writes what the node knows. The caller holds mu.
func (i *Identity) know(next clusterFile) error {
	if next.Settings == i.known.Settings && next.Address == i.known.Address &&
		slices.Equal(next.Names, i.known.Names) && slices.Equal(next.Coordinators, i.known.Coordinators) {
		return nil
	}
	if next.Settings.ID != i.cert.Load().peer.Cluster {
		return salvor.Errorf(salvor.Conflict, "settings of the cluster %q for a node of %q", next.Settings.ID, i.cert.Load().peer.Cluster)
	}
	if err := writeJSON(filepath.Join(i.dir, fileCluster), false, next); err != nil {
		return err
	}
	i.known = next
	return nil
}

// Advertise changes a coordinator's own address (host:port) and further names,
// and signs a certificate for them if the one in force does not have them. The
// node's row in the registry is the caller's to change.
func (i *Identity) Advertise(address string, names []string) error {
	if i.ca == nil {
		return salvor.Errorf(salvor.Invalid, "only a coordinator advertises an address")
	}
	hosts, err := hostsOf(address, names)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	next := i.known
	next.Address, next.Names = address, slices.Clone(names)
	if err := i.know(next); err != nil {
		return err
	}
	if slices.Equal(hosts, hostsIn(i.cert.Load().leaf)) {
		return nil
	}
	return i.signOwn()
}

// hostsIn are the hosts a certificate was signed for.
func hostsIn(c *x509.Certificate) []string {
	var out []string
	for _, n := range c.DNSNames {
		if checkHost(n) == nil {
			out = append(out, n)
		}
	}
	for _, ip := range c.IPAddresses {
		out = append(out, net.IP(ip).String())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// signOwn renews a coordinator's certificate with its own authority. The
// caller holds mu.
func (i *Identity) signOwn() error {
	hosts, err := hostsOf(i.known.Address, i.known.Names)
	if err != nil {
		return err
	}
	cert, err := i.ca.sign(leaf{i.cert.Load().peer, hosts, i.key.Public(), i.o.Now(), i.o.Validity})
	if err != nil {
		return err
	}
	return i.keep(cert)
}
