package trust

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// registry is api.Registry in memory, with its compare-and-set.
type registry struct {
	mu      sync.Mutex
	rows    map[[2]string]api.Record
	version uint64
	reads   int
	down    bool                   // Unavailable
	after   func(api.Record) error // of a write that was made; its error is the answer
}

func newRegistry() *registry { return &registry{rows: map[[2]string]api.Record{}} }

func (g *registry) Records(ctx context.Context, table string) ([]api.Record, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reads++
	if g.down {
		return nil, salvor.Errorf(salvor.Unavailable, "%w", &api.NotLeader{})
	}
	var out []api.Record
	for k, r := range g.rows {
		if k[0] == table {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b api.Record) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

func (g *registry) SetRecord(ctx context.Context, r api.Record) (uint64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down {
		return 0, salvor.Errorf(salvor.Unavailable, "%w", &api.NotLeader{})
	}
	k := [2]string{r.Table, r.Key}
	if g.rows[k].Version != r.Version {
		return 0, salvor.Errorf(salvor.Conflict, "%v has version %d", k, g.rows[k].Version)
	}
	g.version++
	r.Version = g.version
	if g.rows[k] = r; len(r.Value) == 0 {
		delete(g.rows, k)
	}
	if g.after != nil {
		return r.Version, g.after(r)
	}
	return r.Version, nil
}

func (g *registry) set(f func(*registry)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(g)
}

func (g *registry) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reads
}

// clock is a clock that only tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// cluster is a first coordinator that serves a fake registry.
type cluster struct {
	dir     string
	clock   *clock
	reg     *registry
	members *Members
	id      *Identity
	auth    *Authority
	tokens  *Tokens
	keys    *Keyring
	addr    string
	posts   func(http.ResponseWriter, *http.Request) bool // looks at requests first; true: answered
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{dir: t.TempDir(), clock: newClock(), reg: newRegistry(), members: NewMembers()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c.addr = l.Addr().String()
	c.id, err = Found(c.dir, Founding{
		Options: c.options(), Address: c.addr, Host: "alpha.example.org", Level: 1, Version: "v1", Settings: api.ClusterSettings{Groups: 1, Level: 1},
	})
	must(t, err)
	must(t, c.id.Enroll(t.Context(), c.reg))
	c.auth, err = NewAuthority(c.id, c.reg)
	must(t, err)
	c.tokens = NewTokens(c.reg, c.id.Fingerprint(), c.options())
	c.keys = NewKeyring(c.reg, c.id.Fingerprint(), c.options())
	c.serve(t, l)
	return c
}

func (c *cluster) options() Options {
	return Options{Now: c.clock.Now, Removed: c.members.Removed}
}

// serve offers what a node's port would.
func (c *cluster) serve(t *testing.T, l net.Listener) {
	mux := http.NewServeMux()
	mux.Handle("/v1/", c.auth.Handler())
	mux.Handle("/who", NewGate(c.id, c.keys).Authenticate(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(CallerOf(r.Context()).String()))
	})))
	s := &http.Server{
		TLSConfig: c.id.ServerTLS("h2", "http/1.1"), ErrorLog: quiet,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.posts == nil || !c.posts(w, r) {
				mux.ServeHTTP(w, r)
			}
		}),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ServeTLS(l, "", "")
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
}

// mint makes a token, which must work.
func (c *cluster) mint(t *testing.T, s TokenSpec) Credential {
	t.Helper()
	tok, _, err := c.tokens.Mint(t.Context(), s)
	must(t, err)
	return tok
}

// join makes a new machine a node.
func (c *cluster) join(t *testing.T, dir string, tok Credential, o JoinOptions) (*Identity, error) {
	t.Helper()
	o.Options, o.Dir, o.Level, o.Version = c.options(), dir, 1, "v1"
	if o.Host == "" {
		o.Host = "beta.example.org"
	}
	if o.Patience == 0 {
		o.Patience = time.Nanosecond
	}
	i, _, _, err := Join(t.Context(), c.addr, tok, o)
	return i, err
}

func (c *cluster) node(t *testing.T, id string) api.Node {
	t.Helper()
	r, err := get[api.Node](t.Context(), c.reg, api.TableNodes, id)
	must(t, err)
	return r.value
}

// remove takes a node out, as an admin does.
func (c *cluster) remove(t *testing.T, id string) {
	t.Helper()
	_, err := change(t.Context(), c.reg, api.TableNodes, id, func(r *row[api.Node]) (bool, error) {
		r.value.State = api.NodeRemoved
		return true, nil
	})
	must(t, err)
}

func (c *cluster) admin(t *testing.T) Credential {
	t.Helper()
	b, err := readFile(filepath.Join(c.dir, "admin.key"), true)
	must(t, err)
	k, err := ParseKey(string(b))
	must(t, err)
	return k
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v (hint: %s)", err, salvor.HintOf(err))
	}
}

// wantError checks class and words of an error, and that it has a remedy.
func wantError(t *testing.T, err error, class salvor.ErrorClass, words string) {
	t.Helper()
	if err == nil || salvor.ClassOf(err) != class || !strings.Contains(err.Error(), words) {
		t.Fatalf("got %v (%v), want %v and %q in it", err, salvor.ClassOf(err), class, words)
	}
	if salvor.HintOf(err) == "" {
		t.Errorf("%v: no hint", err)
	}
}

func chainOf(i *Identity) []*x509.Certificate {
	return []*x509.Certificate{i.cert.Load().leaf, i.root}
}

// mixed is a certificate with the name of one node and the key of another. No
// authority of ours signs it.
func mixed(t *testing.T, c *cluster, i *Identity) *x509.Certificate {
	t.Helper()
	leaf := *i.cert.Load().leaf
	leaf.RawSubjectPublicKeyInfo = c.id.cert.Load().leaf.RawSubjectPublicKeyInfo
	return &leaf
}
