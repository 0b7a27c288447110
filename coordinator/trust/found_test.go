package trust

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
)

func TestFound(t *testing.T) {
	dir, reg := filepath.Join(t.TempDir(), "node"), newRegistry()
	f := Founding{
		Settings: api.ClusterSettings{Groups: 4, Level: 1, Store: "s3://b"}, Roles: worker,
		Address: "10.0.0.1:7420", Host: "alpha", Level: 2, Version: "v1", KeyFile: filepath.Join(t.TempDir(), "keys", "root.key"), KeyName: "Root",
	}
	i, err := Found(dir, f)
	must(t, err)
	checkFiles(t, dir, []string{"ca.crt", "ca.key", "cluster.json", "founding.json", "node.crt", "node.key"}, "ca.key", "node.key", "founding.json")
	if b, _ := os.ReadFile(filepath.Join(dir, fileFounding)); strings.Contains(string(b), "PRIVATE") {
		t.Error("founding.json holds a key")
	}
	if s := i.Settings(); s.Groups != 4 || s.Store != "s3://b" || s.Created == 0 || len(s.ID) != 12 || s.ID != i.Peer().Cluster {
		t.Errorf("settings %+v", s)
	}
	_, err = Found(dir, f)
	wantError(t, err, salvor.Conflict, "holds a node of a cluster already")

	i, err = Load(dir, Options{}) // by the process that serves
	must(t, err)
	must(t, i.Enroll(t.Context(), reg))
	must(t, i.Enroll(t.Context(), reg))
	n, err := get[api.Node](t.Context(), reg, api.TableNodes, i.ID())
	must(t, err)
	if n.value.Name != i.Peer().Name || n.value.Address != f.Address || n.value.Host != "alpha" || n.value.Level != 2 || len(n.value.Roles) != 2 {
		t.Errorf("node %+v", n.value)
	}
	s, err := get[api.ClusterSettings](t.Context(), reg, api.TableCluster, api.SettingsKey)
	must(t, err)
	if s.value != i.Settings() {
		t.Errorf("settings %+v", s.value)
	}
	text, err := readFile(f.KeyFile, true)
	must(t, err)
	k, err := NewKeyring(reg, i.Fingerprint(), Options{}).Verify(t.Context(), NewSecret(string(text)))
	must(t, err)
	if k.Name != "Root" || !k.Has(api.RoleAdmin) {
		t.Errorf("key %+v", k)
	}
}

// A Found that was killed after any of its writes goes on with what it had.
func TestFoundKilled(t *testing.T) {
	whole := t.TempDir()
	_, err := Found(whole, Founding{Address: "10.0.0.1:7420"})
	must(t, err)
	order := []string{fileCAKey, fileCACert, fileNodeKey, "admin.key", fileFounding, fileCluster}
	for n := range len(order) + 1 {
		dir := t.TempDir()
		for _, f := range order[:n] {
			copyFile(t, whole, dir, f)
		}
		i, err := Found(dir, Founding{Address: "10.0.0.1:7420"})
		must(t, err)
		reg := newRegistry()
		must(t, i.Enroll(t.Context(), reg))
		text, err := readFile(filepath.Join(dir, "admin.key"), true)
		must(t, err)
		_, err = NewKeyring(reg, i.Fingerprint(), Options{}).Verify(t.Context(), NewSecret(string(text)))
		must(t, err)
		_, err = Load(dir, Options{})
		must(t, err)
	}
}

// Enroll is cut short after each of its rows, and goes on.
func TestEnrollKilled(t *testing.T) {
	for lose := range 4 {
		c, reg := t.TempDir(), newRegistry()
		i, err := Found(c, Founding{Address: "10.0.0.1:7420"})
		must(t, err)
		n := 0
		reg.after = func(api.Record) error {
			if n++; n-1 == lose {
				return salvor.Errorf(salvor.Unavailable, "leadership was lost")
			}
			return nil
		}
		if err := i.Enroll(t.Context(), reg); salvor.ClassOf(err) != salvor.Unavailable {
			t.Fatal(err)
		}
		must(t, i.Enroll(t.Context(), reg))
		for _, table := range []string{tableNames, api.TableNodes, api.TableKeys, api.TableCluster} {
			if rows, _ := reg.Records(t.Context(), table); len(rows) != 1 {
				t.Errorf("%s has %d rows", table, len(rows))
			}
		}
		if _, err := os.Stat(filepath.Join(c, fileFounding)); !errors.Is(err, fs.ErrNotExist) {
			t.Error("founding.json is left")
		}
	}
}

func TestFoundRefused(t *testing.T) {
	dir := t.TempDir()
	for _, address := range []string{"", "h", ":7420", "0.0.0.0:7420", "[::]:1", "h:0", "h:70000", "a b:1", "x.salvor:1", "salvor:1", "224.0.0.1:1"} {
		if _, err := Found(dir, Founding{Address: address}); salvor.ClassOf(err) != salvor.Invalid {
			t.Errorf("%q: %v", address, err)
		}
	}
	checkFiles(t, dir, nil)
	must(t, os.WriteFile(filepath.Join(dir, "mine"), []byte("precious"), 0o600))
	_, err := Found(dir, Founding{Address: "h:1", KeyFile: filepath.Join(dir, "mine")})
	wantError(t, err, salvor.Conflict, "is no key of this cluster")
	if b, _ := os.ReadFile(filepath.Join(dir, "mine")); string(b) != "precious" {
		t.Errorf("it was overwritten: %s", b)
	}
	_, err = Found(t.TempDir(), Founding{Address: "h:1", Settings: api.ClusterSettings{ID: "A b"}})
	wantError(t, err, salvor.Invalid, "no cluster id")
	_, err = Found(dir, Founding{Address: "h:1", Settings: api.ClusterSettings{ID: "another"}})
	if salvor.ClassOf(err) != salvor.Conflict {
		t.Errorf("an authority of another cluster was taken: %v", err)
	}
}

// A node of another cluster's registry does not write into it.
func TestEnrollElsewhere(t *testing.T) {
	c := newCluster(t)
	i, err := Found(t.TempDir(), Founding{Address: "h:1"})
	must(t, err)
	if err := i.Enroll(t.Context(), c.reg); salvor.ClassOf(err) != salvor.Conflict {
		t.Error(err)
	}
}

func TestCASave(t *testing.T) {
	ca, err := NewCA("one")
	must(t, err)
	dir := t.TempDir()
	must(t, ca.Save(dir))
	must(t, ca.Save(dir))
	got, err := LoadCA(dir)
	must(t, err)
	if got.Fingerprint() != ca.Fingerprint() || got.Cluster() != "one" {
		t.Errorf("%+v", got)
	}
	other, err := NewCA("one")
	must(t, err)
	wantError(t, other.Save(dir), salvor.Conflict, "another cluster")
	for _, id := range []string{"", "-a", "a-", "A", "a.b", "a b", strings.Repeat("a", 41)} {
		if _, err := NewCA(id); salvor.ClassOf(err) != salvor.Invalid {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// What every coordinator derives is the same, and nobody else has it.
func TestDerive(t *testing.T) {
	c := newCluster(t)
	second, err := c.join(t, t.TempDir(), c.mint(t, TokenSpec{Roles: coordinator}), JoinOptions{Address: "127.0.0.1:1"})
	must(t, err)
	w, err := c.join(t, t.TempDir(), c.mint(t, TokenSpec{Roles: worker}), JoinOptions{})
	must(t, err)
	here, err := c.id.Derive("a")
	must(t, err)
	there, err := second.Derive("a")
	must(t, err)
	other, err := second.Derive("b")
	must(t, err)
	if !bytes.Equal(here, there) || bytes.Equal(here, other) || len(here) != 32 {
		t.Errorf("%x, %x, %x", here, there, other)
	}
	if _, err := w.Derive("a"); salvor.ClassOf(err) != salvor.Invalid {
		t.Error(err)
	}
}

func TestMembersRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, m := newRegistry(), NewMembers()
		failed := 0
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.Run(ctx, reg, 2*time.Second, func(error) { failed++ })
		}()
		must(t, put(t.Context(), reg, api.TableNodes, row[api.Node]{key: "n2", value: api.Node{ID: "n2", State: api.NodeRemoved}}))
		must(t, put(t.Context(), reg, api.TableNodes, row[api.Node]{key: "n1", value: api.Node{ID: "n1", State: api.NodeDraining}}))
		time.Sleep(3 * time.Second)
		if !m.Removed("n2") || m.Removed("n1") || m.Removed("n3") || len(m.All()) != 2 || m.All()[0].ID != "n1" {
			t.Errorf("%+v", m.All())
		}
		reg.set(func(g *registry) { g.down = true })
		time.Sleep(10 * time.Second)
		cancel()
		<-done
		if failed < 4 || failed > 6 || !m.Removed("n2") {
			t.Errorf("%d failures, then it knows %+v", failed, m.All())
		}
	})
}

// Whoever makes a certificate for the authority's public key, without having
// its key, is not believed what stands there.
func TestAuthorityIsSignedByItself(t *testing.T) {
	ca, err := NewCA("one")
	must(t, err)
	thief, err := NewCA("two")
	must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, caTemplate("two", time.Now()), thief.cert, ca.key.Public(), thief.key)
	must(t, err)
	forged, err := x509.ParseCertificate(der)
	must(t, err)
	if root, _ := findRoot([]*x509.Certificate{thief.cert, forged}, ca.Fingerprint()); root != nil {
		t.Error("a forged certificate was taken for the authority's")
	}
	if root, cluster := findRoot([]*x509.Certificate{forged, ca.cert}, ca.Fingerprint()); root != ca.cert || cluster != "one" {
		t.Errorf("the right one was not found: %v, %q", root, cluster)
	}
}
