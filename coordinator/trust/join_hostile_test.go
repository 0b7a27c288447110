package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// impostor answers on TLS with a given chain and counts what it is sent.
func impostor(t *testing.T, i *Identity) (addr string, bytes *atomic.Int64) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	bytes = new(atomic.Int64)
	s := &http.Server{TLSConfig: i.ServerTLS("http/1.1"), ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		bytes.Add(n + 1)
	})}
	go s.ServeTLS(l, "", "")
	t.Cleanup(func() { s.Close() })
	return l.Addr().String(), bytes
}

// Whoever stands in between, with an authority of its own, with a copy of the
// cluster's public certificate, or as a worker of the cluster, is sent nothing:
// neither a token nor a key.
func TestManInTheMiddle(t *testing.T) {
	c := newCluster(t)
	other := newCluster(t)
	w, err := c.join(t, t.TempDir(), c.mint(t, TokenSpec{Roles: worker}), JoinOptions{})
	must(t, err)
	copied := &Identity{dir: other.dir, o: c.options().withDefaults(), key: other.id.key, root: other.id.root, pool: other.id.pool}
	h := *other.id.cert.Load()
	cert := *h.tls
	cert.Certificate = [][]byte{cert.Certificate[0], c.id.root.Raw}
	h.tls = &cert
	copied.cert.Store(&h)
	for name, x := range map[string]struct {
		id    *Identity
		words string
	}{"another authority": {other.id, "not of the cluster"}, "copied certificate": {copied, "not accepted"}, "worker": {w, "no coordinator"}} {
		addr, bytes := impostor(t, x.id)
		tok := c.mint(t, TokenSpec{Roles: worker})
		o := JoinOptions{Options: c.options(), Dir: t.TempDir(), Level: 1, Patience: time.Minute}
		_, _, _, err := Join(t.Context(), "https://"+addr, tok, o)
		if salvor.ClassOf(err) != salvor.Forbidden || !strings.Contains(err.Error(), x.words) {
			t.Errorf("%s: got %v", name, err)
		}
		key := c.admin(t)
		client := &http.Client{Transport: Bearer(key, &http.Transport{TLSClientConfig: clientConfig(key.CA, c.options().withDefaults())})}
		if res, err := client.Get("https://" + addr + "/who"); salvor.ClassOf(err) != salvor.Forbidden {
			t.Errorf("%s: a key was sent: %v, %v", name, res, err)
		}
		if n := bytes.Load(); n != 0 {
			t.Errorf("%s was sent %d bytes", name, n)
		}
	}
}

// A redirect is not followed: the token is for one server.
func TestJoinFollowsNoRedirect(t *testing.T) {
	c := newCluster(t)
	w, bytes := impostor(t, newCluster(t).id)
	c.posts = func(rw http.ResponseWriter, r *http.Request) bool {
		http.Redirect(rw, r, "https://"+w+PathJoin, http.StatusTemporaryRedirect)
		return true
	}
	_, err := c.join(t, t.TempDir(), c.mint(t, TokenSpec{Roles: worker}), JoinOptions{})
	wantError(t, err, salvor.Invalid, "HTTP status 307")
	if bytes.Load() != 0 {
		t.Error("the redirect was followed")
	}
}

// An answer that does not fit the token or the key is not taken for an identity.
func TestJoinAnswerUnusable(t *testing.T) {
	c, other := newCluster(t), newCluster(t)
	tok := c.mint(t, TokenSpec{Roles: worker})
	for name, spoil := range map[string]func(*JoinAnswer){
		"authority":   func(a *JoinAnswer) { a.CA = string(encodeCert(other.id.root.Raw)) },
		"certificate": func(a *JoinAnswer) { a.Certificate = string(encodeCert(c.id.cert.Load().leaf.Raw)) },
		"another cluster's": func(a *JoinAnswer) {
			mine, _ := decodeCert([]byte(a.Certificate))
			p, _ := peerOf(mine)
			p.Cluster = other.id.ca.cluster
			cert, err := other.id.ca.sign(leaf{p, nil, mine.PublicKey, c.clock.Now(), time.Hour})
			must(t, err)
			*a = JoinAnswer{Certificate: string(encodeCert(cert.Raw)), CA: string(encodeCert(other.id.root.Raw)), Settings: other.id.Settings()}
		},
		"none":     func(a *JoinAnswer) { *a = JoinAnswer{} },
		"settings": func(a *JoinAnswer) { a.Settings.ID = "other" },
	} {
		c.posts = func(w http.ResponseWriter, r *http.Request) bool {
			var q joinWire
			json.NewDecoder(r.Body).Decode(&q)
			q.JoinRequest.Token = NewSecret(q.Token)
			a, err := c.auth.Join(r.Context(), q.JoinRequest)
			if err != nil {
				t.Error(err)
			}
			spoil(&a)
			json.NewEncoder(w).Encode(a.wire())
			return true
		}
		dir := t.TempDir()
		_, err := c.join(t, dir, tok, JoinOptions{})
		if err == nil || !strings.Contains(err.Error(), "cannot be used") {
			t.Errorf("%s: %v", name, err)
		}
		checkFiles(t, dir, []string{"node.key"}, "node.key")
	}
}

// A directory that belongs to another cluster keeps its files.
func TestJoinOtherCluster(t *testing.T) {
	c, other := newCluster(t), newCluster(t)
	dir := t.TempDir()
	i, err := c.join(t, dir, c.mint(t, TokenSpec{Roles: worker}), JoinOptions{})
	must(t, err)
	_, err = other.join(t, dir, other.mint(t, TokenSpec{Roles: worker}), JoinOptions{})
	wantError(t, err, salvor.Conflict, "another cluster")
	again, err := Load(dir, c.options())
	must(t, err)
	if again.ID() != i.ID() {
		t.Error("it is another node now")
	}
}

// A node that was away for too long comes back as the same node, with a token.
func TestJoinAgain(t *testing.T) {
	c := newCluster(t)
	dir := t.TempDir()
	first, err := c.join(t, dir, c.mint(t, TokenSpec{Roles: worker}), JoinOptions{})
	must(t, err)
	c.clock.step(29 * 24 * time.Hour)
	must(t, c.id.Renew(t.Context()))
	c.clock.step(2 * 24 * time.Hour)
	err = first.Renew(t.Context())
	wantError(t, err, salvor.Forbidden, "certificate ended at")
	both := append(slices.Clone(worker), api.RoleAccess)
	i, err := c.join(t, dir, c.mint(t, TokenSpec{Roles: both}), JoinOptions{})
	must(t, err)
	if i.ID() != first.ID() || i.Peer().Name != first.Peer().Name || !i.Has(api.RoleAccess) || !i.NotAfter().After(c.clock.Now()) {
		t.Errorf("was %+v, is %+v", first.Peer(), i.Peer())
	}
	c.remove(t, i.ID())
	_, err = c.join(t, dir, c.mint(t, TokenSpec{Roles: worker}), JoinOptions{})
	wantError(t, err, salvor.Forbidden, "was removed")
}

// The authority's key is in no answer to a node that is no coordinator, and in
// none to a renewal.
func TestWorkersNeverGetTheKey(t *testing.T) {
	c := newCluster(t)
	for _, roles := range [][]api.Role{worker, {api.RoleAccess}, {api.RoleAccess, api.RoleWorker}} {
		key, err := newKey()
		must(t, err)
		csr, err := newCSR(key)
		must(t, err)
		both := append(slices.Clone(roles), api.RoleCoordinator)
		tok := c.mint(t, TokenSpec{Roles: both}) // which would allow it
		a, err := c.auth.Join(t.Context(), JoinRequest{Token: tok.Text(), CSR: csr, Level: 1, Roles: roles})
		must(t, err)
		if a.CAKey.Reveal() != "" {
			t.Errorf("%v got the key", roles)
		}
	}
	a, err := c.auth.Renew(t.Context(), c.id.Peer(), csrOf(t, c.id))
	must(t, err)
	if a.CAKey.Reveal() != "" {
		t.Error("a renewal brings the key")
	}
}

// A node that is removed while it joins again stays removed.
func TestRemovedWhileJoining(t *testing.T) {
	c := newCluster(t)
	i, err := c.join(t, t.TempDir(), c.mint(t, TokenSpec{Roles: worker}), JoinOptions{})
	must(t, err)
	c.remove(t, i.ID())
	_, err = c.auth.enter(t.Context(), api.Node{ID: i.ID(), Roles: worker})
	wantError(t, err, salvor.Forbidden, "was removed")
	if c.node(t, i.ID()).State != api.NodeRemoved {
		t.Error("it is back")
	}
}

func TestBaseURL(t *testing.T) {
	for in, want := range map[string]string{
		"h:1": "https://h:1", "https://h:1/": "https://h:1", "https://[::1]:7420": "https://[::1]:7420", "h": "https://h",
		"http://h:1": "", "https://u:p@h:1": "", "https://h/x": "", "https://h?t=1": "", "": "", "https://": "", "salvor-join-1.a b": "", "https://h/#x": "",
	} {
		got, err := baseURL(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func TestCSRRefused(t *testing.T) {
	key, err := newKey()
	must(t, err)
	good, err := newCSR(key)
	must(t, err)
	if _, err := parseCSR(good); err != nil {
		t.Fatal(err)
	}
	of := func(k any) string {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k)
		must(t, err)
		return string(pem.EncodeToMemory(&pem.Block{Type: pemCSR, Bytes: der}))
	}
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	block, _ := pem.Decode([]byte(good))
	block.Bytes[len(block.Bytes)-1] ^= 1
	for words, text := range map[string]string{
		"PEM": "", "too long": strings.Repeat("x", maxCSR+1), "one PEM": good + good, "P-256": of(p384), "ECDSA": of(big),
		"signature": string(pem.EncodeToMemory(block)), "read": string(pem.EncodeToMemory(&pem.Block{Type: pemCSR, Bytes: []byte("x")})),
		"not one": string(encodeCert([]byte("x"))),
	} {
		_, err := parseCSR(text)
		wantError(t, err, salvor.Invalid, words)
	}
}

func FuzzParseCSR(f *testing.F) {
	key, _ := newKey()
	good, _ := newCSR(key)
	f.Add([]byte(good), true)
	block, _ := pem.Decode([]byte(good))
	f.Add(block.Bytes, false)
	f.Fuzz(func(t *testing.T, b []byte, whole bool) {
		text := string(b)
		if !whole {
			text = string(pem.EncodeToMemory(&pem.Block{Type: pemCSR, Bytes: b}))
		}
		csr, err := parseCSR(text)
		if err != nil {
			if salvor.ClassOf(err) != salvor.Invalid {
				t.Fatal(err)
			}
			return
		}
		if !nodeForm.MatchString(nodeID(csr)) || csr.CheckSignature() != nil {
			t.Fatalf("accepted %q", text)
		}
	})
}

func FuzzJoinBody(f *testing.F) {
	f.Add([]byte(`{"token":"salvor-join-1.0.0.0.0","csr":"x","roles":["worker"]}`))
	f.Add([]byte(`[]`))
	ca, _ := NewCA("fuzz")
	key, _ := newKey()
	i, _ := newIdentity(f.TempDir(), Options{}, key, ca.cert)
	i.ca = ca
	a, err := NewAuthority(i, newRegistry())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, _ := http.NewRequest("POST", PathJoin, strings.NewReader(string(body)))
		w := &status{discard: discard{http.Header{}}}
		a.Handler().ServeHTTP(w, r)
		if w.code < 400 || w.code == 500 {
			t.Fatalf("%q was answered with %d", body, w.code)
		}
	})
}

type status struct {
	discard
	code int
}

func (s *status) WriteHeader(c int) { s.code = c }
