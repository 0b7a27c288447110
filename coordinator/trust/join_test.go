package trust

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

var worker, coordinator = []api.Role{api.RoleWorker}, []api.Role{api.RoleCoordinator}

func TestWorkerJoins(t *testing.T) {
	c := newCluster(t)
	dir := filepath.Join(t.TempDir(), "new", "dir")
	i, err := c.join(t, dir, c.mint(t, TokenSpec{Roles: worker}), JoinOptions{Host: "beta", Address: "10.0.0.9:7420"})
	must(t, err)
	p := i.Peer()
	if !slices.Equal(p.Roles, worker) || p.Cluster != c.id.Peer().Cluster || !nameForm.MatchString(p.Name) {
		t.Errorf("joined as %+v", p)
	}
	want := api.Node{ID: p.ID, Name: p.Name, Roles: worker, Host: "beta", Level: 1, Version: "v1", Joined: c.clock.Now().UnixMilli(), State: api.NodeActive}
	if got := c.node(t, p.ID); !sameJSON(t, got, want) {
		t.Errorf("the row is %+v, want %+v", got, want)
	}
	if i.Settings() != c.id.Settings() || !slices.Equal(i.Coordinators(), []string{c.addr}) || i.Address() != "" {
		t.Errorf("it learned %+v, %v, %q", i.Settings(), i.Coordinators(), i.Address())
	}
	if len(i.cert.Load().leaf.DNSNames)+len(i.cert.Load().leaf.IPAddresses) > 0 {
		t.Error("a worker's certificate is good for a host")
	}
	checkFiles(t, dir, []string{"ca.crt", "cluster.json", "node.crt", "node.key"}, "node.key")
	again, err := Load(dir, c.options())
	must(t, err)
	if !sameJSON(t, again.Peer(), p) || again.Settings() != i.Settings() {
		t.Errorf("loaded %+v", again.Peer())
	}
}

func TestCoordinatorJoins(t *testing.T) {
	c := newCluster(t)
	dir := t.TempDir()
	i, err := c.join(t, dir, c.mint(t, TokenSpec{Roles: coordinator}), JoinOptions{Address: "Node2.example.org:7420", Names: []string{"10.1.2.3", "2001:db8::1"}})
	must(t, err)
	if i.ca == nil || !i.ca.key.Equal(c.id.ca.key) {
		t.Fatal("it does not hold the authority's key")
	}
	checkFiles(t, dir, []string{"ca.crt", "ca.key", "cluster.json", "node.crt", "node.key"}, "ca.key", "node.key")
	leaf := i.cert.Load().leaf
	for _, h := range []string{ServerName(c.id.Peer().Cluster), "node2.example.org", "10.1.2.3", "2001:db8::1"} {
		if err := leaf.VerifyHostname(h); err != nil {
			t.Error(err)
		}
	}
	if want := slices.Sorted(slices.Values([]string{c.addr, "Node2.example.org:7420"})); !slices.Equal(i.Coordinators(), want) {
		t.Errorf("coordinators %v, want %v", i.Coordinators(), want)
	}
	_, err = Load(dir, c.options())
	must(t, err)
}

// What a machine asks for beyond its token, or cannot be, costs no use.
func TestJoinRefused(t *testing.T) {
	c := newCluster(t)
	one := TokenSpec{Roles: worker, Uses: 1}
	for name, x := range map[string]struct {
		spec  TokenSpec
		o     JoinOptions
		class salvor.ErrorClass
		words string
	}{
		"role":         {one, JoinOptions{Roles: coordinator, Address: "h:1"}, salvor.Forbidden, "is for the role worker, not for coordinator"},
		"person":       {one, JoinOptions{Roles: []api.Role{api.RoleAdmin}}, salvor.Invalid, "not a role"},
		"no address":   {TokenSpec{Roles: coordinator}, JoinOptions{Roles: coordinator}, salvor.Invalid, "host:port"},
		"any address":  {TokenSpec{Roles: coordinator}, JoinOptions{Roles: coordinator, Address: "0.0.0.0:7420"}, salvor.Invalid, "no address of a machine"},
		"another name": {TokenSpec{Roles: coordinator}, JoinOptions{Roles: coordinator, Address: "h:7420", Names: []string{"coordinator.other.salvor"}}, salvor.Invalid, "belong to the cluster"},
		"host":         {one, JoinOptions{Host: "a\x1b[2Jb"}, salvor.Invalid, "cannot be printed"},
	} {
		t.Run(name, func(t *testing.T) {
			tok := c.mint(t, x.spec)
			dir := t.TempDir()
			_, err := c.join(t, dir, tok, x.o)
			if salvor.ClassOf(err) != x.class || err == nil || !strings.Contains(err.Error(), x.words) {
				t.Fatalf("got %v, want %v with %q", err, x.class, x.words)
			}
			if ok, _ := Member(dir); ok {
				t.Error("it is a node all the same")
			}
			if row, _ := get[Token](t.Context(), c.reg, api.TableTokens, tok.ID); row.value.Used != 0 {
				t.Errorf("the token was used %d times", row.value.Used)
			}
		})
	}
	if nodes, _ := c.reg.Records(t.Context(), api.TableNodes); len(nodes) != 1 {
		t.Errorf("%d nodes", len(nodes))
	}
}

func TestJoinTooOld(t *testing.T) {
	c := newCluster(t)
	csr, err := newCSR(c.id.key)
	must(t, err)
	q := JoinRequest{Token: c.mint(t, TokenSpec{Roles: worker}).Text(), CSR: csr}
	_, err = c.auth.Join(t.Context(), q)
	wantError(t, err, salvor.TooNew, "feature level 1")
}

func TestTokenEnds(t *testing.T) {
	c := newCluster(t)
	used := c.mint(t, TokenSpec{Roles: worker, Uses: 1})
	_, err := c.join(t, t.TempDir(), used, JoinOptions{})
	must(t, err)
	revoked := c.mint(t, TokenSpec{Roles: worker})
	must(t, c.tokens.Revoke(t.Context(), revoked.ID))
	expired := c.mint(t, TokenSpec{Roles: worker, TTL: time.Minute})
	c.clock.step(time.Minute)
	wrong := c.mint(t, TokenSpec{Roles: worker})
	wrong.Secret = newSecret()
	for words, tok := range map[string]Credential{
		"used up": used, "was revoked": revoked, "expired at": expired, "does not know": wrong,
		"not know this": newCredential(JoinToken, c.id.Fingerprint()),
	} {
		_, err := c.join(t, t.TempDir(), tok, JoinOptions{})
		wantError(t, err, salvor.Forbidden, words)
	}
	list, err := c.tokens.List(t.Context())
	must(t, err)
	var uses, revokedOnes int
	for _, k := range list {
		if uses += k.Used; k.Revoked != 0 {
			revokedOnes++
		}
		if k.Hash != "" {
			t.Errorf("a hash is listed: %+v", k)
		}
	}
	if len(list) != 4 || uses != 1 || revokedOnes != 1 || list[3].ID != wrong.ID {
		t.Errorf("%+v", list)
	}
}

// The answer of a join is lost after each of its writes, and in the end; the
// same machine asks again, and is one node with one use.
func TestJoinAnswerLost(t *testing.T) {
	for lose := range 5 {
		c := newCluster(t)
		tok, dir := c.mint(t, TokenSpec{Roles: worker, Uses: 1}), t.TempDir()
		writes := 0
		c.reg.set(func(g *registry) {
			g.after = func(api.Record) error {
				if writes++; writes-1 == lose {
					return salvor.Errorf(salvor.Unavailable, "leadership was lost")
				}
				return nil
			}
		})
		if lose == 4 {
			c.posts = func(w http.ResponseWriter, r *http.Request) bool {
				c.posts = nil
				c.auth.Handler().ServeHTTP(discard{http.Header{}}, r)
				panic(http.ErrAbortHandler)
			}
		}
		_, err := c.join(t, dir, tok, JoinOptions{})
		if err != nil && lose != 4 && !strings.Contains(err.Error(), "leadership was lost") {
			t.Fatal(err)
		}
		if lost := err != nil && salvor.ClassOf(err) == salvor.Unavailable; lost != (lose != 3) {
			t.Fatalf("lost after write %d: %v", lose, err)
		}
		i, err := c.join(t, dir, tok, JoinOptions{})
		must(t, err)
		nodes, _ := c.reg.Records(t.Context(), api.TableNodes)
		names, _ := c.reg.Records(t.Context(), tableNames)
		row, _ := get[Token](t.Context(), c.reg, api.TableTokens, tok.ID)
		if len(nodes) != 2 || len(names) != 2 || row.value.Used != 1 || c.node(t, i.ID()).Name != i.Peer().Name {
			t.Errorf("lost after write %d: %d nodes, %d names, %d uses", lose, len(nodes), len(names), row.value.Used)
		}
		_, err = c.join(t, t.TempDir(), tok, JoinOptions{})
		wantError(t, err, salvor.Forbidden, "used up")
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// A cluster without a leader is asked again while patience lasts.
func TestJoinWaitsForLeader(t *testing.T) {
	c := newCluster(t)
	tok := c.mint(t, TokenSpec{Roles: worker})
	c.reg.set(func(g *registry) { g.down = true })
	var asked atomic.Int32
	c.posts = func(http.ResponseWriter, *http.Request) bool {
		if asked.Add(1) == 2 {
			c.reg.set(func(g *registry) { g.down = false })
		}
		return false
	}
	_, err := c.join(t, t.TempDir(), tok, JoinOptions{Patience: time.Minute})
	must(t, err)
	if asked.Load() != 2 {
		t.Errorf("asked %d times", asked.Load())
	}
}

// Many machines join at once with one token: each is a node of its own.
func TestManyJoinAtOnce(t *testing.T) {
	c := newCluster(t)
	tok := c.mint(t, TokenSpec{Roles: worker, Uses: 15})
	var joined, refused atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			key, err := newKey()
			if err != nil {
				t.Error(err)
				return
			}
			csr, _ := newCSR(key)
			_, err = c.auth.Join(t.Context(), JoinRequest{Token: tok.Text(), CSR: csr, Level: 1})
			switch {
			case err == nil:
				joined.Add(1)
			case salvor.ClassOf(err) == salvor.Forbidden && strings.Contains(err.Error(), "used up"):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	names, _ := c.reg.Records(t.Context(), tableNames)
	if joined.Load() != 15 || refused.Load() != 5 || len(names) != 16 {
		t.Errorf("%d joined, %d refused, %d names", joined.Load(), refused.Load(), len(names))
	}
}

func checkFiles(t *testing.T, dir string, want []string, private ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
		if st, _ := e.Info(); slices.Contains(private, e.Name()) && st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), st.Mode())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s holds %v, want %v", dir, got, want)
	}
}

func sameJSON(t *testing.T, a, b any) bool {
	t.Helper()
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	must(t, errors.Join(err1, err2))
	return string(x) == string(y)
}
