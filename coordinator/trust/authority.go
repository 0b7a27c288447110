package trust

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"salvor"
	"salvor/api"
)

// Authority lets machines into the cluster and renews the certificates of its
// nodes. Every coordinator is one; it keeps nothing but rows of the registry.
type Authority struct {
	id     *Identity
	reg    api.Registry
	tokens *Tokens
	limit  *limiter
}

// NewAuthority needs the identity of a coordinator, and a registry that
// reaches the leader of group 0.
func NewAuthority(id *Identity, reg api.Registry) (*Authority, error) {
	if id.ca == nil {
		return nil, salvor.Errorf(salvor.Invalid, "node %s is no coordinator, so it cannot sign certificates", id.Peer().Name)
	}
	return &Authority{id, reg, NewTokens(reg, id.Fingerprint(), id.o), newLimiter(id.o.Now)}, nil
}

// JoinRequest is what a machine says of itself. With the token it is the JSON
// of POST /v1/join.
type JoinRequest struct {
	Token   Secret     `json:"-"`   // text of the join token
	CSR     string     `json:"csr"` // PEM, ECDSA P-256; only its key counts
	Roles   []api.Role `json:"roles,omitempty"`
	Address string     `json:"address,omitempty"` // host:port; of coordinators and access nodes
	Names   []string   `json:"names,omitempty"`   // other names of a coordinator
	Host    string     `json:"host"`              // the machine's name
	Level   uint16     `json:"level"`             // the newest feature level it can run at
	Version string     `json:"version"`           // of its program
}

// JoinAnswer is what a machine needs to be a node.
type JoinAnswer struct {
	Certificate  string              `json:"certificate"` // PEM; has the node's id, roles and pseudonym
	CA           string              `json:"ca"`          // PEM
	CAKey        Secret              `json:"-"`           // PEM; of coordinators only
	Settings     api.ClusterSettings `json:"settings"`
	Coordinators []string            `json:"coordinators"` // host:port
}

// joinWire and answerWire are what travels: there, and nowhere else, the
// secrets show.
type joinWire struct {
	JoinRequest
	Token string `json:"token"`
}

type answerWire struct {
	JoinAnswer
	CAKey string `json:"ca_key,omitempty"`
}

func (a JoinAnswer) wire() answerWire { return answerWire{a, a.CAKey.Reveal()} }

// Join makes a machine a node, or a node what its new token allows. The same
// request gets the same answer, but for the certificate's dates.
func (a *Authority) Join(ctx context.Context, q JoinRequest) (JoinAnswer, error) {
	tok, err := ParseToken(q.Token.Reveal())
	if err != nil {
		return JoinAnswer{}, err
	}
	if tok.CA != a.id.Fingerprint() {
		return JoinAnswer{}, noToken("the join token is of another cluster")
	}
	csr, err := parseCSR(q.CSR)
	if err != nil {
		return JoinAnswer{}, err
	}
	settings, nodes, err := a.cluster(ctx)
	if err != nil {
		return JoinAnswer{}, err
	}
	node := api.Node{ID: nodeID(csr), Host: q.Host, Level: q.Level, Version: q.Version}
	if err := a.fit(q, node.ID, settings, nodes); err != nil {
		return JoinAnswer{}, err
	}
	if node.Roles, err = a.tokens.Redeem(ctx, tok, node.ID, q.Roles); err != nil {
		return JoinAnswer{}, err
	}
	hosts, err := place(&node, q)
	if err != nil {
		return JoinAnswer{}, err
	}
	if node, err = a.enter(ctx, node); err != nil {
		return JoinAnswer{}, err
	}
	return a.answer(ctx, node, hosts, csr)
}

// cluster reads what the registry knows of the cluster and its nodes.
func (a *Authority) cluster(ctx context.Context) (api.ClusterSettings, []row[api.Node], error) {
	settings, err := get[api.ClusterSettings](ctx, a.reg, api.TableCluster, api.SettingsKey)
	if err != nil {
		return settings.value, nil, err
	}
	if settings.version == 0 {
		return settings.value, nil, salvor.Errorf(salvor.Unavailable, "the cluster is being made").WithHint("try again in a few seconds")
	}
	nodes, err := rows[api.Node](ctx, a.reg, api.TableNodes)
	return settings.value, nodes, err
}

const maxLabel = 255 // bytes of a host name or version

// fit refuses what no token helps against, before one is used.
func (a *Authority) fit(q JoinRequest, node string, settings api.ClusterSettings, nodes []row[api.Node]) error {
	for _, s := range []string{q.Host, q.Version} {
		if len(s) > maxLabel || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return salvor.Errorf(salvor.Invalid, "the machine's name or version is longer than %d bytes or cannot be printed", maxLabel)
		}
	}
	if q.Level < settings.Level {
		return salvor.Errorf(salvor.TooNew, "the cluster runs at feature level %d, and salvor %s on this machine knows %d at most", settings.Level, q.Version, q.Level).
			WithHint("install the version of salvor that the cluster runs")
	}
	if slices.Contains(q.Roles, api.RoleCoordinator) {
		if _, err := hostsOf(q.Address, q.Names); err != nil {
			return err
		}
	}
	if err := stillMember(nodes, node); err != nil {
		return err
	}
	return free(nodes, node, q.Address)
}

// free refuses an address that another node has.
func free(nodes []row[api.Node], id, address string) error {
	for _, n := range nodes {
		if address != "" && n.value.Address == address && n.key != id && n.value.State != api.NodeRemoved {
			return salvor.Errorf(salvor.Conflict, "%s is the address of node %s", address, n.value.Name).
				WithHint("choose another with --advertise; if that node is gone for good: salvor node remove %s", n.value.Name)
		}
	}
	return nil
}

func stillMember(nodes []row[api.Node], id string) error {
	for _, n := range nodes {
		if n.key == id && n.value.State == api.NodeRemoved {
			return removed(n.value.Name)
		}
	}
	return nil
}

// place fills in where a node is reached, and finds what its certificate is
// valid for. A node that is only a worker is not reached at all.
func place(n *api.Node, q JoinRequest) (hosts []string, err error) {
	if slices.Contains(n.Roles, api.RoleCoordinator) {
		hosts, err = hostsOf(q.Address, q.Names)
	} else if slices.Contains(n.Roles, api.RoleAccess) && q.Address != "" {
		_, err = splitAddress(q.Address)
	} else {
		return nil, nil
	}
	n.Address = q.Address
	return hosts, err
}

// enter writes the node's row. Name, state and date of an earlier join stay.
func (a *Authority) enter(ctx context.Context, n api.Node) (api.Node, error) {
	name, err := reserveName(ctx, a.reg, n.ID)
	if err != nil {
		return n, err
	}
	n.Name, n.State, n.Joined = name, api.NodeActive, a.id.o.Now().UnixMilli()
	return change(ctx, a.reg, api.TableNodes, n.ID, func(r *row[api.Node]) (bool, error) {
		if r.value.State == api.NodeRemoved {
			return false, removed(r.value.Name)
		}
		if r.version != 0 {
			n.Name, n.State, n.Joined = r.value.Name, r.value.State, r.value.Joined
		}
		same := r.version != 0 && reflect.DeepEqual(r.value, n)
		r.value = n
		return !same, nil
	})
}

// answer signs the node's certificate and puts together what it needs.
func (a *Authority) answer(ctx context.Context, n api.Node, hosts []string, csr *x509.CertificateRequest) (JoinAnswer, error) {
	settings, nodes, err := a.cluster(ctx) // with the new one
	if err != nil {
		return JoinAnswer{}, err
	}
	cert, err := a.id.ca.sign(leaf{
		Peer{settings.ID, n.ID, n.Name, n.Roles}, hosts, csr.PublicKey, a.id.o.Now(), a.id.o.Validity,
	})
	if err != nil {
		return JoinAnswer{}, err
	}
	out := JoinAnswer{
		Certificate: string(encodeCert(cert.Raw)), CA: string(encodeCert(a.id.root.Raw)),
		Settings: settings, Coordinators: coordinatorsOf(nodes),
	}
	if slices.Contains(n.Roles, api.RoleCoordinator) {
		key, err := encodeKey(a.id.ca.key)
		if err != nil {
			return JoinAnswer{}, err
		}
		out.CAKey = NewSecret(string(key))
	}
	return out, nil
}

// Renew signs a new certificate for a node that proved who it is: same key,
// same id, and those of its roles that its row still has. CAKey is empty.
func (a *Authority) Renew(ctx context.Context, p Peer, csrText string) (JoinAnswer, error) {
	csr, err := parseCSR(csrText)
	if err != nil {
		return JoinAnswer{}, err
	}
	if nodeID(csr) != p.ID {
		return JoinAnswer{}, salvor.Errorf(salvor.Forbidden, "node %s asks for a certificate for another key", p.Name).
			WithHint("to change a node's key, join with a new token and a new directory")
	}
	row, err := get[api.Node](ctx, a.reg, api.TableNodes, p.ID)
	switch {
	case err != nil:
		return JoinAnswer{}, err
	case row.version == 0:
		return JoinAnswer{}, salvor.Errorf(salvor.Forbidden, "the cluster knows no node %s", p.Name).WithHint("join with a new token")
	case row.value.State == api.NodeRemoved:
		return JoinAnswer{}, removed(p.Name)
	}
	n := row.value
	n.Roles = slices.DeleteFunc(slices.Clone(p.Roles), func(r api.Role) bool { return !slices.Contains(row.value.Roles, r) })
	if len(n.Roles) == 0 {
		return JoinAnswer{}, salvor.Errorf(salvor.Forbidden, "node %s has none of its roles any more", p.Name)
	}
	var hosts []string
	if slices.Contains(n.Roles, api.RoleCoordinator) {
		if hosts, err = hostsOf(n.Address, nil); err != nil {
			return JoinAnswer{}, err
		}
	}
	out, err := a.answer(ctx, n, hosts, csr)
	out.CAKey = Secret{}
	return out, err
}

// maxCSR is more than a request for one P-256 key needs, in bytes.
const maxCSR = 8 << 10

// parseCSR reads a certificate request and checks that its sender has the key.
// Nothing else in it is believed.
func parseCSR(text string) (*x509.CertificateRequest, error) {
	bad := func(why string) error {
		return salvor.Errorf(salvor.Invalid, "the certificate request is not accepted: %s", why).
			WithHint("use `salvor join`, of the version that the cluster runs")
	}
	if len(text) > maxCSR {
		return nil, bad("it is too long")
	}
	der, err := onePEM([]byte(strings.TrimSpace(text)), pemCSR)
	if err != nil {
		return nil, bad("it is not one PEM block")
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, bad("it cannot be read")
	}
	if k, ok := csr.PublicKey.(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P256() {
		return nil, bad("its key is not one of ECDSA P-256")
	}
	if csr.CheckSignature() != nil {
		return nil, bad("its signature is not that of its key")
	}
	return csr, nil
}
