package trust

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"salvor"
	"salvor/api"
)

// JoinOptions say who joins, and where its identity is to live.
type JoinOptions struct {
	Options
	Dir     string     // of the identity
	Roles   []api.Role // none: all that the token allows
	Address string     // host:port under which other nodes reach it; coordinators need one
	Names   []string   // other host names or IP addresses of a coordinator
	Host    string     // the machine's name; only admins see it
	Level   uint16     // the newest feature level it can run at
	Version string     // of its program
	// Patience is how long a cluster that cannot be reached, or has no leader,
	// is asked again; 0 is 30 seconds.
	Patience time.Duration
}

const (
	defaultPatience = 30 * time.Second
	askTimeout      = 20 * time.Second // one request
)

// Join makes this machine a node of the cluster at an address (https://HOST:PORT
// or HOST:PORT of any coordinator). The token is sent only to a coordinator of
// the cluster that it pins. A Join that failed or was killed may be repeated
// with the same directory: the cluster knows the machine by its key. A node that
// joins again with a new token stays the same node, with what that token allows.
//
// It returns the identity, the cluster's settings and the addresses of its
// coordinators; the identity keeps both.
func Join(ctx context.Context, address string, token Credential, o JoinOptions) (*Identity, api.ClusterSettings, []string, error) {
	i, err := join(ctx, address, token, o)
	if err != nil {
		return nil, api.ClusterSettings{}, nil, err
	}
	return i, i.Settings(), i.Coordinators(), nil
}

func join(ctx context.Context, address string, token Credential, o JoinOptions) (*Identity, error) {
	o.Options = o.Options.withDefaults()
	base, err := baseURL(address)
	if err != nil {
		return nil, err
	}
	if token.Kind != JoinToken {
		return nil, salvor.Errorf(salvor.Invalid, "a join token is needed to join").WithHint("%s", origin(JoinToken))
	}
	if err := notAnother(o.Dir, token.CA); err != nil {
		return nil, err
	}
	key, err := nodeKey(o.Dir)
	if err != nil {
		return nil, err
	}
	csr, err := newCSR(key)
	if err != nil {
		return nil, err
	}
	q := JoinRequest{
		Token: token.Text(), CSR: csr, Roles: o.Roles, Address: o.Address, Names: o.Names,
		Host: o.Host, Level: o.Level, Version: o.Version,
	}
	answer, err := ask(ctx, base, token, q, o)
	if err != nil {
		return nil, err
	}
	return settle(answer, token.CA, key, o)
}

// baseURL is https://HOST:PORT of what a person wrote.
func baseURL(address string) (string, error) {
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", salvor.Errorf(salvor.Invalid, "this is no address of a cluster").WithHint("write https://HOST:PORT of a coordinator; the token goes into a file")
	}
	return "https://" + u.Host, nil
}

func newCSR(key *ecdsa.PrivateKey) (string, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return "", salvor.Errorf(salvor.Internal, "make a certificate request: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: pemCSR, Bytes: der})), nil
}

// ask sends the request until it is answered or patience ends.
func ask(ctx context.Context, base string, token Credential, q JoinRequest, o JoinOptions) (JoinAnswer, error) {
	client := httpClient(clientConfig(token.CA, o.Options, "http/1.1"))
	defer client.CloseIdleConnections()
	patience := o.Patience
	if patience == 0 {
		patience = defaultPatience
	}
	end := time.Now().Add(patience)
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		var answer answerWire
		err := post(ctx, client, base, PathJoin, joinWire{q, q.Token.Reveal()}, &answer)
		if err == nil {
			answer.JoinAnswer.CAKey = NewSecret(answer.CAKey)
			return answer.JoinAnswer, nil
		}
		if salvor.ClassOf(err) != salvor.Unavailable || time.Now().Add(wait).After(end) {
			return JoinAnswer{}, err
		}
		if stopped := pause(ctx, wait); stopped != nil {
			return JoinAnswer{}, stopped
		}
	}
}

// httpClient follows no redirect: what it sends is for one server only.
func httpClient(c *tls.Config) *http.Client {
	return &http.Client{
		Timeout: askTimeout,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: askTimeout / 2}).DialContext,
			TLSClientConfig:     c,
			TLSHandshakeTimeout: askTimeout / 2,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// settle checks an answer and writes it down. The certificate is the last: with
// it the machine is a node.
func settle(a JoinAnswer, ca Fingerprint, key *ecdsa.PrivateKey, o JoinOptions) (*Identity, error) {
	root, err := decodeCert([]byte(a.CA))
	if err != nil {
		return nil, unusable(err)
	}
	if fingerprint(root) != ca {
		return nil, unusable(salvor.Errorf(salvor.Forbidden, "its authority is another than the token's"))
	}
	i, err := newIdentity(o.Dir, o.Options, key, root)
	if err != nil {
		return nil, unusable(err)
	}
	cert, err := decodeCert([]byte(a.Certificate))
	if err != nil {
		return nil, unusable(err)
	}
	h, err := i.hold(cert)
	if err != nil {
		return nil, unusable(err)
	}
	if h.peer.Cluster != a.Settings.ID {
		return nil, unusable(salvor.Errorf(salvor.Forbidden, "its settings are of another cluster"))
	}
	i.cert.Store(h)
	if err := i.saveAuthority(a.CAKey); err != nil {
		return nil, err
	}
	if err := i.learn(a, o); err != nil {
		return nil, err
	}
	return i, i.keep(cert)
}

func unusable(err error) error {
	return salvor.Errorf(salvor.ClassOf(err), "the cluster's answer cannot be used: %w", err)
}

// saveAuthority writes ca.crt and, of a coordinator, ca.key.
func (i *Identity) saveAuthority(keyText Secret) error {
	if !i.Has(api.RoleCoordinator) {
		return writeFile(filepath.Join(i.dir, fileCACert), false, encodeCert(i.root.Raw))
	}
	key, err := decodeKey([]byte(keyText.Reveal()))
	if err != nil {
		return unusable(err)
	}
	if i.ca, err = pairCA(i.root, key); err != nil {
		return unusable(err)
	}
	return i.ca.Save(i.dir)
}

// learn writes cluster.json anew.
func (i *Identity) learn(a JoinAnswer, o JoinOptions) error {
	known := clusterFile{Settings: a.Settings, Coordinators: slices.Sorted(slices.Values(a.Coordinators))}
	if i.Has(api.RoleCoordinator) || i.Has(api.RoleAccess) {
		known.Address = o.Address
	}
	if i.Has(api.RoleCoordinator) {
		known.Names = slices.Clone(o.Names)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.known = known
	return writeJSON(filepath.Join(i.dir, fileCluster), false, known)
}
