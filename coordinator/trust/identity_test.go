package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
)

// dial makes one handshake and says how it ended on the client's side. In TLS
// 1.3 a client hears of a refusal with the first byte it reads.
func dial(t *testing.T, addr string, c *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, c)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	io.WriteString(conn, "GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	_, err = conn.Read(make([]byte, 1))
	return conn.ConnectionState(), err
}

func TestNodeToCoordinator(t *testing.T) {
	c := newCluster(t)
	w, err := c.join(t, t.TempDir(), c.mint(t, TokenSpec{Roles: worker}), JoinOptions{})
	must(t, err)
	cs, err := dial(t, c.addr, w.ClientTLS("http/1.1", "other"))
	must(t, err)
	p, err := w.PeerOf(cs)
	must(t, err)
	if p.ID != c.id.ID() || cs.Version != tls.VersionTLS13 || cs.NegotiatedProtocol != "http/1.1" {
		t.Errorf("connected to %+v with %x, %q", p, cs.Version, cs.NegotiatedProtocol)
	}
	old := w.ClientTLS()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, err := dial(t, c.addr, old); err == nil {
		t.Error("TLS 1.2 was spoken")
	}
	if got := whoAmI(t, c, w.ClientTLS()); got != "node "+w.Peer().Name {
		t.Errorf("the worker is %q", got)
	}
}

func whoAmI(t *testing.T, c *cluster, config *tls.Config) string {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: config}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr}).Get("https://" + c.addr + "/who")
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	return string(b)
}

// A node is not taken in by the coordinators of another cluster, by a worker of
// its own, or the other way round.
func TestStrangersRefused(t *testing.T) {
	c, other := newCluster(t), newCluster(t)
	w, err := c.join(t, t.TempDir(), c.mint(t, TokenSpec{Roles: worker}), JoinOptions{})
	must(t, err)
	if _, err := dial(t, other.addr, w.ClientTLS()); err == nil {
		t.Error("a node talks to another cluster")
	}
	forged := w.ClientTLS() // which trusts anybody
	forged.InsecureSkipVerify, forged.VerifyConnection = true, nil
	if _, err := dial(t, other.addr, forged); err == nil {
		t.Error("a coordinator lets in a node of another cluster")
	}
	addr, bytes := impostor(t, w)
	if _, err := dial(t, addr, c.id.ClientTLS()); err == nil || bytes.Load() != 0 {
		t.Errorf("a worker passes for a coordinator (%d bytes)", bytes.Load())
	}
	if got := whoAmI(t, c, clientConfig(c.id.Fingerprint(), c.options().withDefaults(), "http/1.1")); got != "nobody" {
		t.Errorf("without a certificate one is %q", got)
	}
}

func TestAllowRaft(t *testing.T) {
	c := newCluster(t)
	w, err := c.join(t, t.TempDir(), c.mint(t, TokenSpec{Roles: worker}), JoinOptions{})
	must(t, err)
	second, err := c.join(t, t.TempDir(), c.mint(t, TokenSpec{Roles: coordinator}), JoinOptions{Address: "127.0.0.1:1"})
	must(t, err)
	foreign := newCluster(t).id
	chain := func(i *Identity) tls.ConnectionState {
		leaf := i.cert.Load().leaf
		return tls.ConnectionState{PeerCertificates: chainOf(i), VerifiedChains: [][]*x509.Certificate{{leaf, i.root}}}
	}
	must(t, c.id.AllowRaft(chain(second)))
	for words, cs := range map[string]tls.ConnectionState{
		"is no coordinator":          chain(w),
		"showed no certificate":      {},
		"was not verified":           {PeerCertificates: chainOf(second)},
		"is of the cluster":          chain(foreign),
		"is not one of a node":       {PeerCertificates: chainOf(second), VerifiedChains: [][]*x509.Certificate{{second.root}}},
		"its id does not follow fro": {VerifiedChains: [][]*x509.Certificate{{mixed(t, c, second), second.root}}},
	} {
		if err := c.id.AllowRaft(cs); salvor.ClassOf(err) != salvor.Forbidden || err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("want %q, got %v", words, err)
		}
	}
	c.remove(t, second.ID())
	must(t, c.members.Refresh(t.Context(), c.reg))
	wantError(t, c.id.AllowRaft(chain(second)), salvor.Forbidden, "was removed")
}

// A removed node is refused in the handshake, on a connection it had, and when
// it renews.
func TestRemovedNode(t *testing.T) {
	c := newCluster(t)
	w, err := c.join(t, t.TempDir(), c.mint(t, TokenSpec{Roles: worker}), JoinOptions{})
	must(t, err)
	tr := &http.Transport{TLSClientConfig: w.ClientTLS()}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	ask := func() int {
		res, err := client.Get("https://" + c.addr + "/who")
		must(t, err)
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		return res.StatusCode
	}
	if got := ask(); got != 200 {
		t.Fatal(got)
	}
	c.remove(t, w.ID())
	_, err = c.auth.Renew(t.Context(), w.Peer(), csrOf(t, w)) // from the row, not the copy
	wantError(t, err, salvor.Forbidden, "was removed")
	if got := ask(); got != 200 {
		t.Fatalf("%d before anybody knows", got)
	}
	must(t, c.members.Refresh(t.Context(), c.reg))
	if got := ask(); got != 401 {
		t.Errorf("its old connection is answered with %d", got)
	}
	if _, err := dial(t, c.addr, w.ClientTLS()); err == nil {
		t.Error("a removed node is let in")
	}
	if err := w.Renew(t.Context()); err == nil {
		t.Error("its certificate was renewed")
	}
}

func csrOf(t *testing.T, i *Identity) string {
	csr, err := newCSR(i.key)
	must(t, err)
	return csr
}

func TestRenewBelongsToTheNode(t *testing.T) {
	c := newCluster(t)
	both := []api.Role{api.RoleAccess, api.RoleWorker}
	w, err := c.join(t, t.TempDir(), c.mint(t, TokenSpec{Roles: both}), JoinOptions{})
	must(t, err)
	_, err = c.auth.Renew(t.Context(), w.Peer(), csrOf(t, c.id))
	wantError(t, err, salvor.Forbidden, "another key")
	_, err = change(t.Context(), c.reg, api.TableNodes, w.ID(), func(r *row[api.Node]) (bool, error) {
		r.value.Roles = []api.Role{api.RoleWorker, api.RoleCoordinator} // access is taken, the other was never proved
		return true, nil
	})
	must(t, err)
	must(t, w.Renew(t.Context()))
	if got := w.Peer().Roles; !slices.Equal(got, worker) || w.ca != nil {
		t.Errorf("its roles are now %v", got)
	}
	client := httpClient(clientConfig(c.id.Fingerprint(), c.options().withDefaults()))
	defer client.CloseIdleConnections()
	err = post(t.Context(), client, "https://"+c.addr, PathRenew, renewRequest{csrOf(t, w)}, new(JoinAnswer))
	if salvor.ClassOf(err) != salvor.Forbidden || !strings.Contains(err.Error(), "only a node") {
		t.Errorf("without a certificate: %v", err)
	}
}

// Running servers and clients use a renewed certificate at their next handshake.
func TestRenewalWithoutRestart(t *testing.T) {
	c := newCluster(t)
	w, err := c.join(t, t.TempDir(), c.mint(t, TokenSpec{Roles: worker}), JoinOptions{})
	must(t, err)
	config := w.ClientTLS()
	serial := func() string {
		cs, err := dial(t, c.addr, config)
		must(t, err)
		return cs.PeerCertificates[0].SerialNumber.String()
	}
	before, own := serial(), w.cert.Load().leaf.SerialNumber
	c.clock.step(21 * 24 * time.Hour)
	if w.Due().After(c.clock.Now()) || c.id.Due().After(c.clock.Now()) || !w.Due().After(c.clock.Now().Add(-25*time.Hour)) {
		t.Errorf("due at %v and %v", w.Due(), c.id.Due())
	}
	must(t, w.Renew(t.Context()))
	must(t, c.id.Renew(t.Context()))
	if serial() == before {
		t.Error("the server shows its old certificate")
	}
	c.clock.step(15 * 24 * time.Hour) // the old ones have ended
	if got := whoAmI(t, c, config); got != "node "+w.Peer().Name || w.cert.Load().leaf.SerialNumber.Cmp(own) == 0 {
		t.Errorf("the client is %q", got)
	}
	again, err := Load(w.dir, c.options())
	must(t, err)
	if again.NotAfter() != w.NotAfter() {
		t.Error("the renewed certificate is not in the directory")
	}
	must(t, os.WriteFile(filepath.Join(w.dir, fileNodeCert), encodeCert(c.id.cert.Load().leaf.Raw), 0o644))
	wantError(t, w.Reload(), salvor.Invalid, "not for this node's key")
}

// Machines whose clocks differ by less than Skew understand each other.
func TestClockSkew(t *testing.T) {
	c := newCluster(t)
	for behind, ok := range map[time.Duration]bool{
		50 * time.Minute: true, 70 * time.Minute: false, -29 * 24 * time.Hour: true, -31 * 24 * time.Hour: false,
	} {
		o := Options{Now: func() time.Time { return c.clock.Now().Add(-behind) }}
		tok := c.mint(t, TokenSpec{Roles: worker})
		_, _, _, err := Join(t.Context(), c.addr, tok, JoinOptions{Options: o, Dir: t.TempDir(), Level: 1, Patience: time.Nanosecond})
		if ok {
			must(t, err)
			continue
		}
		wantError(t, err, salvor.Forbidden, "not valid at this time")
		if !strings.Contains(salvor.HintOf(err), "clock") {
			t.Errorf("hint %q", salvor.HintOf(err))
		}
	}
}

// A coordinator renews its own certificate for ever, also after its clock was
// set far ahead, and ends with its context.
func TestRenewer(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		i, err := Found(dir, Founding{Address: "127.0.0.1:1", Options: Options{Validity: 3 * time.Hour}})
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			Renewer{Identity: i}.Run(ctx)
		}()
		first := i.NotAfter()
		for range 12 {
			time.Sleep(time.Hour)
			if left := time.Until(i.NotAfter()); left < 40*time.Minute {
				t.Fatalf("%v are left", left)
			}
		}
		if i.NotAfter().Sub(first) < 9*time.Hour {
			t.Errorf("from %v to %v", first, i.NotAfter())
		}
		cancel()
		<-done
	})
}

// A worker whose coordinators are away tries again, and does not spin.
func TestRenewerTriesAgain(t *testing.T) {
	c := newCluster(t)
	w, err := c.join(t, t.TempDir(), c.mint(t, TokenSpec{Roles: worker}), JoinOptions{})
	must(t, err)
	for left, want := range map[time.Duration]time.Duration{100 * time.Hour: 5 * time.Hour, time.Hour: 3 * time.Minute, 0: time.Minute, -time.Hour: time.Minute} {
		if got := again(left); got != want {
			t.Errorf("with %v left again after %v, want %v", left, got, want)
		}
	}
	for in, want := range map[time.Duration]time.Duration{-time.Hour: time.Second, time.Minute: time.Minute, 50 * time.Hour: longestNap} {
		if got := nap(in); got < want || got > want+want/10+1 {
			t.Errorf("a nap of %v for %v", got, in)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	dead := l.Addr().String()
	l.Close()
	must(t, w.Note(w.Settings(), []string{dead, c.addr}))
	must(t, w.Renew(t.Context()))
	must(t, w.Note(w.Settings(), []string{dead}))
	wantError(t, w.Renew(t.Context()), salvor.Unavailable, "cannot be reached")
}

func TestAdvertise(t *testing.T) {
	c := newCluster(t)
	serial := func() string { return c.id.cert.Load().leaf.SerialNumber.String() }
	before := serial()
	must(t, c.id.Advertise(c.addr, nil))
	if serial() != before {
		t.Error("a new certificate for nothing")
	}
	must(t, c.id.Advertise("new.example.org:7420", []string{"10.0.0.1"}))
	leaf := c.id.cert.Load().leaf
	for _, h := range []string{"new.example.org", "10.0.0.1"} {
		if err := leaf.VerifyHostname(h); err != nil {
			t.Error(err)
		}
	}
	again, err := Load(c.dir, c.options())
	must(t, err)
	must(t, again.Renew(t.Context()))
	if got := hostsIn(again.cert.Load().leaf); !slices.Equal(got, []string{"10.0.0.1", "new.example.org"}) || again.Address() != "new.example.org:7420" {
		t.Errorf("after a restart: %v, %q", got, again.Address())
	}
	wantError(t, c.id.Advertise("x", nil), salvor.Invalid, "host:port")
}

func TestPrivateFiles(t *testing.T) {
	c := newCluster(t)
	for _, name := range []string{fileCAKey, fileNodeKey} {
		path := filepath.Join(c.dir, name)
		must(t, os.Chmod(path, 0o640))
		_, err := Load(c.dir, c.options())
		wantError(t, err, salvor.Forbidden, "can be read by others (mode 0640)")
		if !strings.Contains(salvor.HintOf(err), "chmod 600 "+path) {
			t.Errorf("hint %q", salvor.HintOf(err))
		}
		must(t, os.Chmod(path, 0o600))
	}
}

func TestLoadRefused(t *testing.T) {
	_, err := Load(t.TempDir(), Options{})
	wantError(t, err, salvor.NotFound, "no node of a cluster")
	other := newCluster(t)
	for name, x := range map[string]struct {
		spoil func(dir string)
		class salvor.ErrorClass
		words string
	}{
		"no ca.key":    {func(d string) { os.Remove(filepath.Join(d, fileCAKey)) }, salvor.NotFound, fileCAKey},
		"other ca.key": {func(d string) { copyFile(t, other.dir, d, fileCAKey) }, salvor.Invalid, "do not belong together"},
		"other ca.crt": {func(d string) { copyFile(t, other.dir, d, fileCACert) }, salvor.Invalid, "not signed by the cluster's authority"},
		"other key":    {func(d string) { copyFile(t, other.dir, d, fileNodeKey) }, salvor.Invalid, "not for this node's key"},
		"cut key":      {func(d string) { os.Truncate(filepath.Join(d, fileNodeKey), 40) }, salvor.Invalid, fileNodeKey},
		"empty cert":   {func(d string) { os.Truncate(filepath.Join(d, fileNodeCert), 0) }, salvor.Invalid, fileNodeCert},
		"cluster.json": {func(d string) { os.Truncate(filepath.Join(d, fileCluster), 5) }, salvor.Invalid, fileCluster},
	} {
		dir := filepath.Join(t.TempDir(), "node")
		must(t, os.CopyFS(dir, os.DirFS(newCluster(t).dir)))
		for _, f := range []string{fileCAKey, fileNodeKey} {
			must(t, os.Chmod(filepath.Join(dir, f), 0o600))
		}
		_, err := Load(dir, other.options())
		must(t, err)
		x.spoil(dir)
		if _, err := Load(dir, other.options()); salvor.ClassOf(err) != x.class || err == nil || !strings.Contains(err.Error(), x.words) {
			t.Errorf("%s: got %v (%v), want %v with %q", name, err, salvor.ClassOf(err), x.class, x.words)
		}
	}
}

func copyFile(t *testing.T, from, to, name string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(from, name))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(to, name), b, 0o600))
}
