// Package trust says who is who in a cluster, and who may do what: the
// cluster's certificate authority, the certificates of its nodes, the tokens
// with which machines join, and the API keys of people and scripts.
//
// It is for the server, which puts it in front of everything it offers, for
// machines that join, and for the command line. It guarantees that
//   - no secret is sent before the other side has shown a certificate of the
//     authority that the token or key pins, and that of a coordinator;
//   - secrets are kept hashed in the registry, with mode 0600 in files, and
//     never show in a message, a log or a report;
//   - a join or renewal that is repeated because its answer was lost gives the
//     same node, and costs no second use of the token;
//   - what was revoked or removed is refused within seconds, although keys are
//     checked without a consensus read a request.
//
// It opens no connection but those of Join and Renew.
package trust

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"time"

	"salvor"
	"salvor/api"
)

// Options are what tests change; the zero value is right for a node.
type Options struct {
	// Now is the clock; nil is the machine's.
	Now func() time.Time
	// Validity of the certificates this node signs; 0 is DefaultValidity.
	Validity time.Duration
	// Removed reports whether a node was removed from the cluster; its
	// certificate is refused then. It must be quick and safe for concurrent
	// use: Members.Removed is. Nil knows of none.
	Removed func(node string) bool
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Validity == 0 {
		o.Validity = DefaultValidity
	}
	if o.Removed == nil {
		o.Removed = func(string) bool { return false }
	}
	return o
}

// lower is base32 that may stand in names of files, hosts and URLs.
var lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

var clusterForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

// NewClusterID draws the id of a new cluster: 12 letters and digits.
func NewClusterID() string { return draw(12) }

func draw(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return lower.EncodeToString(b)[:n]
}

func checkCluster(id string) error {
	if !clusterForm.MatchString(id) {
		return salvor.Errorf(salvor.Invalid, "%q is no cluster id", id).WithHint("use 1 to 40 small letters, digits and hyphens")
	}
	return nil
}

// Fingerprint names a certificate authority: the SHA-256 of its public key
// (SubjectPublicKeyInfo), so that it outlives a certificate made anew.
type Fingerprint [sha256.Size]byte

func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// nodeRoles are the roles that a certificate can carry.
var nodeRoles = []api.Role{api.RoleAccess, api.RoleCoordinator, api.RoleWorker}

// personRoles are the roles that a key can carry.
var personRoles = []api.Role{api.RoleAdmin, api.RoleOperator, api.RoleResearcher}

// checkRoles sorts roles and refuses none, and any that is not among known.
func checkRoles(roles, known []api.Role) ([]api.Role, error) {
	out := slices.Clone(roles)
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) == 0 {
		return nil, salvor.Errorf(salvor.Invalid, "no role is named").WithHint("choose of %s", joinRoles(known, ", "))
	}
	for _, r := range out {
		if !slices.Contains(known, r) {
			return nil, salvor.Errorf(salvor.Invalid, "%q is not a role to choose here", r).WithHint("choose of %s", joinRoles(known, ", "))
		}
	}
	return out, nil
}

func joinRoles(roles []api.Role, sep string) string {
	parts := make([]string, len(roles))
	for i, r := range roles {
		parts[i] = string(r)
	}
	return strings.Join(parts, sep)
}
