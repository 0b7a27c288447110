package trust

import (
	"cmp"
	"context"
	"slices"
	"time"

	"salvor"
	"salvor/api"
)

// Tokens are the cluster's join tokens, rows of api.TableTokens.
type Tokens struct {
	reg api.Registry
	ca  Fingerprint
	now func() time.Time
}

// NewTokens are those of a cluster whose authority has the fingerprint. reg
// must reach the leader of group 0.
func NewTokens(reg api.Registry, ca Fingerprint, o Options) *Tokens {
	return &Tokens{reg, ca, o.withDefaults().Now}
}

// Token is a join token as the registry has it.
type Token struct {
	ID      string     `json:"id"`
	Roles   []api.Role `json:"roles"` // what a machine may become
	Hash    string     `json:"hash,omitempty"`
	By      string     `json:"by,omitempty"` // who made it
	Created int64      `json:"created"`      // Unix ms
	Expires int64      `json:"expires"`      // Unix ms
	Uses    int        `json:"uses"`         // how many machines; 0 any number
	Used    int        `json:"used"`
	Nodes   []string   `json:"nodes,omitempty"`   // node ids, the first maxUses
	Revoked int64      `json:"revoked,omitempty"` // Unix ms; 0 not
}

// TokenSpec says what a token is good for.
type TokenSpec struct {
	Roles []api.Role
	TTL   time.Duration // 0 is DefaultTTL
	// Uses is how many machines may join with it. 0 is 1 if the token makes
	// coordinators, since it hands out the authority's key, else any number
	// within TTL; Unlimited is any number.
	Uses int
	By   string
}

const (
	DefaultTTL = time.Hour
	Unlimited  = -1

	maxTTL            = 365 * 24 * time.Hour
	maxCoordinatorTTL = 24 * time.Hour
	maxUses           = 1000 // so that a row stays far below api.MaxRecord

	// tokenKept is how long the row of a token that ended is listed.
	tokenKept = 30 * 24 * time.Hour
)

func (s TokenSpec) withDefaults() (TokenSpec, error) {
	roles, err := checkRoles(s.Roles, nodeRoles)
	if err != nil {
		return s, err
	}
	s.Roles = roles
	coordinator := slices.Contains(roles, api.RoleCoordinator)
	s.TTL = cmp.Or(s.TTL, DefaultTTL)
	longest := maxTTL
	if coordinator {
		longest = maxCoordinatorTTL
	}
	switch {
	case s.TTL < 0 || s.TTL > longest:
		return s, salvor.Errorf(salvor.Invalid, "a join token for %v", s.TTL).
			WithHint("choose a time up to %v for the role %s", longest, joinRoles(roles, " and "))
	case s.Uses < Unlimited || s.Uses > maxUses:
		return s, salvor.Errorf(salvor.Invalid, "a join token for %d machines", s.Uses).WithHint("choose 1 to %d, or no limit", maxUses)
	case s.Uses == 0 && coordinator:
		s.Uses = 1
	case s.Uses == Unlimited:
		s.Uses = 0
	}
	return s, nil
}

// Mint makes a token. Only its hash is kept: the credential is shown once.
func (t *Tokens) Mint(ctx context.Context, spec TokenSpec) (Credential, Token, error) {
	spec, err := spec.withDefaults()
	if err != nil {
		return Credential{}, Token{}, err
	}
	if err := t.prune(ctx); err != nil {
		return Credential{}, Token{}, err
	}
	now := t.now()
	c := newCredential(JoinToken, t.ca)
	tok := Token{
		ID: c.ID, Roles: spec.Roles, Hash: c.Secret.hash(), By: spec.By, Uses: spec.Uses,
		Created: now.UnixMilli(), Expires: now.Add(spec.TTL).UnixMilli(),
	}
	if err := put(ctx, t.reg, api.TableTokens, row[Token]{key: c.ID, value: tok}); err != nil {
		return Credential{}, Token{}, err
	}
	tok.Hash = ""
	return c, tok, nil
}

// prune drops the rows of tokens that ended long ago.
func (t *Tokens) prune(ctx context.Context) error {
	all, err := rows[Token](ctx, t.reg, api.TableTokens)
	if err != nil {
		return err
	}
	old := t.now().Add(-tokenKept).UnixMilli()
	for _, r := range all {
		if r.value.Expires > old {
			continue
		}
		_, err := t.reg.SetRecord(ctx, api.Record{Table: api.TableTokens, Key: r.key, Version: r.version})
		if err != nil && salvor.ClassOf(err) != salvor.Conflict {
			return err
		}
	}
	return nil
}

// List is all tokens, those that ended lately included, without their hashes.
func (t *Tokens) List(ctx context.Context) ([]Token, error) {
	all, err := rows[Token](ctx, t.reg, api.TableTokens)
	if err != nil {
		return nil, err
	}
	out := make([]Token, len(all))
	for i, r := range all {
		out[i] = r.value
		out[i].Hash = ""
	}
	slices.SortStableFunc(out, func(a, b Token) int { return cmp.Compare(a.Created, b.Created) })
	return out, nil
}

// Revoke ends a token at once. Nodes that joined with it stay.
func (t *Tokens) Revoke(ctx context.Context, id string) error {
	_, err := change(ctx, t.reg, api.TableTokens, id, func(r *row[Token]) (bool, error) {
		if r.version == 0 {
			return false, salvor.Errorf(salvor.NotFound, "there is no join token %q", id).WithHint("the id is what stands between the first two dots of the token; the rows of tokens that ended are dropped after 30 days")
		}
		if r.value.Revoked != 0 {
			return false, nil
		}
		r.value.Revoked = t.now().UnixMilli()
		return true, nil
	})
	return err
}

// Redeem counts a use of a token by a node that wants roles (none: all of the
// token's), and returns the roles it gets. The same node may redeem it again,
// at no further use and after its end: an answer may have been lost. All that
// is wrong with the token is Forbidden.
func (t *Tokens) Redeem(ctx context.Context, c Credential, node string, want []api.Role) ([]api.Role, error) {
	var roles []api.Role
	_, err := change(ctx, t.reg, api.TableTokens, c.ID, func(r *row[Token]) (write bool, err error) {
		if c.Kind != JoinToken || !c.Secret.is(r.value.Hash) {
			return false, noToken("the cluster does not know this join token")
		}
		if roles, err = r.value.grant(want); err != nil {
			return false, err
		}
		return r.value.use(node, t.now())
	})
	if err != nil {
		return nil, err
	}
	return roles, nil
}

func noToken(format string, args ...any) error {
	return salvor.Errorf(salvor.Forbidden, format, args...).
		WithHint("make a new one on a machine of the cluster: salvor cluster token --role worker --ttl 1h")
}

// over is noToken, of one whose roles are known.
func (t *Token) over(format string, args ...any) error {
	return salvor.Errorf(salvor.Forbidden, format, args...).
		WithHint("make a new one on a machine of the cluster: salvor cluster token --role %s --ttl 1h", joinRoles(t.Roles, ","))
}

// grant is the roles that a machine gets of those it wants.
func (t Token) grant(want []api.Role) ([]api.Role, error) {
	if len(want) == 0 {
		return t.Roles, nil
	}
	want, err := checkRoles(want, nodeRoles)
	if err != nil {
		return nil, err
	}
	for _, r := range want {
		if !slices.Contains(t.Roles, r) {
			return nil, salvor.Errorf(salvor.Forbidden, "join token %s is for the role %s, not for %s", t.ID, joinRoles(t.Roles, " and "), r).
				WithHint("make one with --role %s, or join without that role", r)
		}
	}
	return want, nil
}

// use counts a node, and reports whether that changed the token.
func (t *Token) use(node string, now time.Time) (bool, error) {
	at := func(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05 UTC") }
	switch {
	case t.Revoked != 0:
		return false, t.over("join token %s was revoked at %s", t.ID, at(t.Revoked))
	case slices.Contains(t.Nodes, node):
		return false, nil
	case now.UnixMilli() >= t.Expires:
		return false, t.over("join token %s expired at %s", t.ID, at(t.Expires))
	case t.Uses > 0 && t.Used >= t.Uses:
		return false, t.over("join token %s was used up: it was good for %d", t.ID, t.Uses)
	}
	t.Used++
	if len(t.Nodes) < maxUses {
		t.Nodes = append(t.Nodes, node)
	}
	return true, nil
}
