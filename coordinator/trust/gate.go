package trust

import (
	"context"
	"net/http"
	"strings"

	"salvor"
	"salvor/api"
)

// Gate finds out who calls. Allow decides what they may.
type Gate struct {
	id    *Identity
	keys  *Keyring
	limit *limiter
}

// NewGate stands before the handlers of a node.
func NewGate(id *Identity, keys *Keyring) *Gate {
	return &Gate{id, keys, newLimiter(id.o.Now)}
}

// Authenticate puts the Caller of each request into its context: by the
// certificate of the connection, by the key in "Authorization: Bearer", or a
// stranger where there is neither. A certificate or key that is not accepted
// is answered here, with 401, or 429 after many failures of one address; a key
// that is right is never made to wait for them.
func (g *Gate) Authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := g.caller(r)
		if err != nil {
			g.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(WithCaller(r.Context(), c)))
	})
}

func (g *Gate) caller(r *http.Request) (c Caller, err error) {
	c.Address = r.RemoteAddr
	if r.TLS != nil {
		if c.Node, err = g.id.PeerOf(*r.TLS); err != nil {
			return c, err
		}
	}
	if c.Node != nil {
		c.Roles = c.Node.Roles
	}
	text, err := bearer(r)
	if err != nil || text == (Secret{}) {
		return c, err
	}
	key, err := g.keys.verify(r.Context(), text, g.limit.spent(r.RemoteAddr) == 0)
	if err != nil {
		return Caller{}, err
	}
	c.Key, c.Roles = &key, key.Roles
	return c, nil
}

// bearer is the key that a request shows; the zero Secret if it shows none.
func bearer(r *http.Request) (Secret, error) {
	all := r.Header.Values("Authorization")
	if len(all) == 0 {
		return Secret{}, nil
	}
	scheme, text, _ := strings.Cut(all[0], " ")
	if len(all) > 1 || !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(text) == "" {
		return Secret{}, noKey("the request has an Authorization that is not of the form: Bearer KEY")
	}
	return NewSecret(strings.TrimSpace(text)), nil
}

func (g *Gate) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if salvor.ClassOf(err) != salvor.Forbidden {
		writeError(w, err)
		return
	}
	if wait := g.limit.spent(r.RemoteAddr); wait > 0 {
		writeError(w, tooMany(w, wait))
		return
	}
	g.limit.fail(r.RemoteAddr)
	w.Header().Set("WWW-Authenticate", `Bearer realm="salvor"`)
	writeError(w, err)
}

// Require lets only callers with one of some roles pass, coordinators and
// admins besides; without any, everybody who is not a stranger. Authenticate
// must have been passed before.
func Require(next http.Handler, roles ...api.Role) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := CallerOf(r.Context())
		switch {
		case len(c.Roles) == 0:
			w.Header().Set("WWW-Authenticate", `Bearer realm="salvor"`)
			writeError(w, stranger())
		case len(roles) > 0 && !c.Has(roles...) && !c.Has(api.RoleAdmin, api.RoleCoordinator):
			writeError(w, denied(c, "see "+r.URL.Path, roles))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// Bearer shows a key with every request. The transport below it must be of
// ClientConfig for the same key, so that nobody else sees it.
func Bearer(key Credential, next http.RoundTripper) http.RoundTripper {
	return bearerTransport{NewSecret("Bearer " + key.Text().Reveal()), next}
}

type bearerTransport struct {
	header Secret
	next   http.RoundTripper
}

func (b bearerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, salvor.Errorf(salvor.Invalid, "a key is sent over https only, not to %s", r.URL.Redacted())
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", b.header.Reveal())
	return b.next.RoundTrip(r)
}

// AllowTable decides who reads or writes a table of the registry: admins and
// coordinators all of them; workers and access nodes read the cluster's
// settings; everybody reads which hosts are merged, and operators say so.
func AllowTable(ctx context.Context, table string, write bool) error {
	c := CallerOf(ctx)
	switch {
	case c.Has(api.RoleAdmin, api.RoleCoordinator):
		return nil
	case !write && table == api.TableCluster && c.Has(api.RoleWorker, api.RoleAccess):
		return nil
	case len(c.Roles) == 0:
		return stranger()
	case table == api.TableBudgets && (!write || c.Has(steers...)):
		return nil
	case write && table == api.TableBudgets:
		return denied(c, "merge hosts", steers)
	case write:
		return denied(c, "write the table "+table, nil)
	}
	return denied(c, "read the table "+table, nil)
}
