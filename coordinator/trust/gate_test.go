package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

func TestGate(t *testing.T) {
	c := newCluster(t)
	key := c.admin(t)
	w, err := c.join(t, t.TempDir(), c.mint(t, TokenSpec{Roles: worker}), JoinOptions{})
	must(t, err)
	stranger := clientConfig(key.CA, c.options().withDefaults(), "h2", "http/1.1")
	wrong := key
	wrong.Secret = newSecret()
	for _, x := range []struct {
		node   bool
		header []string
		status int
		body   string
	}{
		{false, nil, 200, "nobody"},
		{true, nil, 200, "node " + w.Peer().Name},
		{false, []string{"Bearer " + key.Text().Reveal()}, 200, "key " + key.ID + " (first admin)"},
		{false, []string{"bearer  " + key.Text().Reveal()}, 200, "key " + key.ID},
		{true, []string{"Bearer " + key.Text().Reveal()}, 200, "key " + key.ID},
		{true, []string{"Bearer " + wrong.Text().Reveal()}, 401, "does not know"},
		{false, []string{"Bearer " + wrong.Text().Reveal()}, 401, "does not know"},
		{false, []string{"Bearer "}, 401, "form: Bearer KEY"},
		{false, []string{"Basic YTpi"}, 401, "form: Bearer KEY"},
		{false, []string{""}, 401, "form: Bearer KEY"},
		{false, []string{"Bearer " + key.Text().Reveal(), "Bearer x"}, 401, "form: Bearer KEY"},
	} {
		config := stranger
		if x.node {
			config = w.ClientTLS("h2")
		}
		tr := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
		r, _ := http.NewRequest("GET", "https://"+c.addr+"/who", nil)
		r.Header["Authorization"] = x.header
		res, err := tr.RoundTrip(r)
		must(t, err)
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		tr.CloseIdleConnections()
		if res.StatusCode != x.status || !strings.Contains(string(b), x.body) || (x.status == 401) != (res.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("node %v, %q: %d %s", x.node, x.header, res.StatusCode, b)
		}
		if strings.Contains(string(b), key.Secret.Reveal()) || strings.Contains(string(b), wrong.Secret.Reveal()) {
			t.Errorf("the secret is in the answer: %s", b)
		}
	}
}

// A node that passes on a person's key has that person's rights only.
func TestNodeLendsNothing(t *testing.T) {
	c := newCluster(t)
	key, _, err := c.keys.Create(t.Context(), "a", researcher, "")
	must(t, err)
	r := httptest.NewRequest("GET", "/", nil)
	r.TLS = &tls.ConnectionState{PeerCertificates: chainOf(c.id), VerifiedChains: [][]*x509.Certificate{chainOf(c.id)}}
	got := func() (out Caller) {
		h := NewGate(c.id, c.keys).Authenticate(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { out = CallerOf(r.Context()) }))
		h.ServeHTTP(httptest.NewRecorder(), r)
		return out
	}
	local := c.id.Local()
	local.Address = r.RemoteAddr
	if a := got(); !a.Has(api.RoleCoordinator) || a.Key != nil || !reflect.DeepEqual(a, local) {
		t.Errorf("the node is %+v", a)
	}
	r.Header.Set("Authorization", "Bearer "+key.Text().Reveal())
	if a := got(); a.Has(api.RoleCoordinator) || !a.Has(api.RoleResearcher) || a.Node == nil || a.Key == nil {
		t.Errorf("with a key it is %+v", a)
	}
}

func TestBearer(t *testing.T) {
	c := newCluster(t)
	key := c.admin(t)
	tr := &http.Transport{TLSClientConfig: clientConfig(key.CA, c.options().withDefaults())}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: Bearer(key, tr)}
	res, err := client.Get("https://" + c.addr + "/who")
	must(t, err)
	b, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if string(b) != "key "+key.ID+" (first admin)" {
		t.Errorf("%s", b)
	}
	if _, err := client.Get("http://" + c.addr + "/who"); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("sent over http: %v", err)
	}
}

// After many failures an address is told to wait, also with invented keys,
// which make no more reads then; the right key is let in all the while.
func TestGateLimits(t *testing.T) {
	c := newCluster(t)
	g := NewGate(c.id, c.keys)
	key := c.admin(t)
	h := g.Authenticate(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	ask := func(from string, k Credential) int {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = from
		r.Header.Set("Authorization", "Bearer "+k.Text().Reveal())
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == 429 && w.Header().Get("Retry-After") == "" {
			t.Error("429 does not say how long")
		}
		return w.Code
	}
	wrong := key
	wrong.Secret = newSecret()
	for n := range limitBurst {
		if got := ask("10.0.0.1:1", wrong); got != 401 {
			t.Fatalf("failure %d: %d", n, got)
		}
	}
	if got := ask("10.0.0.1:2", wrong); got != 429 {
		t.Errorf("after %d failures: %d", limitBurst, got)
	}
	reads := c.reg.count()
	for range 100 {
		if got := ask("10.0.0.1:3", newCredential(APIKey, key.CA)); got != 429 {
			t.Fatal(got)
		}
	}
	if got := c.reg.count(); got != reads {
		t.Errorf("%d reads for invented keys", got-reads)
	}
	if got := ask("10.0.0.1:4", key); got != 200 {
		t.Errorf("the right key: %d", got)
	}
	if got := ask("10.0.0.2:1", wrong); got != 401 {
		t.Errorf("another address: %d", got)
	}
	c.clock.step(limitEvery)
	if got := ask("10.0.0.1:5", wrong); got != 401 {
		t.Errorf("after a while: %d", got)
	}
}

// Failed joins are limited by their address too.
func TestJoinLimits(t *testing.T) {
	c := newCluster(t)
	for range limitBurst {
		_, err := c.join(t, t.TempDir(), newCredential(JoinToken, c.id.Fingerprint()), JoinOptions{})
		wantError(t, err, salvor.Forbidden, "does not know")
	}
	reads := c.reg.count()
	_, err := c.join(t, t.TempDir(), newCredential(JoinToken, c.id.Fingerprint()), JoinOptions{})
	wantError(t, err, salvor.Unavailable, "too many failed attempts")
	if c.reg.count() != reads {
		t.Error("the registry was read")
	}
}

func TestLimiterIsBounded(t *testing.T) {
	c := newClock()
	l := newLimiter(c.Now)
	for range limitBurst {
		l.fail("[2001:db8::1]:1")
	}
	if l.spent("[2001:db8::ffff:1]:9") == 0 || l.spent("[2001:db8:0:1::1]:1") != 0 {
		t.Error("an IPv6 network is not one address")
	}
	for n := range 3 * limitSize {
		l.fail(fmt.Sprintf("10.%d.%d.%d:1", n>>16, n>>8&255, n&255))
	}
	if len(l.clear) > limitSize {
		t.Errorf("%d addresses are remembered", len(l.clear))
	}
	if l.spent("[2001:db8::1]:1") == 0 {
		t.Error("the worst was forgotten")
	}
	for range 10 * limitBurst {
		l.fail("[2001:db8::1]:1")
	}
	if got := l.spent("[2001:db8::1]:1"); got > 2*limitBurst*limitEvery {
		t.Errorf("it has to wait for %v", got)
	}
	c.step(time.Hour)
	l.fail("10.9.9.9:1")
	if n := len(l.clear); n > limitSize-10 {
		t.Errorf("%d addresses are remembered after an hour", n)
	}
	if l.spent("[2001:db8::1]:1") != 0 {
		t.Error("nothing is forgiven after an hour")
	}
}

func as(roles ...api.Role) context.Context {
	return WithCaller(context.Background(), Caller{Roles: roles})
}

// Every method of api.Group is in the table, so that a new one is decided on.
func TestEveryMethodIsInTheTable(t *testing.T) {
	g := reflect.TypeFor[interface {
		api.Group
		api.Budgets
	}]()
	for i := range g.NumMethod() {
		if _, ok := methods[g.Method(i).Name]; !ok {
			t.Errorf("%s is not in the table", g.Method(i).Name)
		}
	}
}

func TestAllow(t *testing.T) {
	all := []api.Role{api.RoleAdmin, api.RoleOperator, api.RoleResearcher, api.RoleWorker, api.RoleAccess, api.RoleCoordinator}
	for method, want := range map[string]string{ // in that order
		"Crawls": "yyyyyy", "Totals": "yyyyyy", "Walk": "yyyyyy", "Lookup": "yyyyyy", "Robots": "yyyyyy", "Segments": "yyyyyy",
		"CreateCrawl": "yynnny", "SetCrawl": "yynyny", "Reopen": "yynnny", "Exclude": "yynnny", "Rank": "yynnny", "SetCeiling": "yynnny",
		"Discover": "yynyny",
		"Register": "ynnyny", "RegisterAs": "ynnyny", "End": "ynnyny", "Lease": "ynnyny", "Extend": "ynnyny", "Settle": "ynnyny",
		"Feedback": "ynnyny", "OpenSegment": "ynnyny", "SetSegment": "ynnyny", "Presign": "ynnyny",
		"AdoptCrawl": "ynnnny", "CloseCrawl": "ynnnny", "SetRecord": "yynnny", "Records": "yyyyyy",
		"HostGroups": "yyyyyy", "MergeHosts": "ynnnny", "SetShare": "ynnnny", "SetLimits": "ynnnny",
		"MintToken": "ynnnny", "CreateKey": "ynnnny", "RevokeKey": "ynnnny", "SetNode": "ynnnny", "Status": "yyynyy",
		"Unheard": "ynnnny", "": "ynnnny",
	} {
		for i, r := range all {
			err := Allow(as(r), method, 2)
			if (err == nil) != (want[i] == 'y') {
				t.Errorf("%s may call %q: %v", r, method, err)
			}
			if err != nil {
				wantError(t, err, salvor.Forbidden, "may not call "+method+" of group 2")
			}
		}
		wantError(t, Allow(context.Background(), method, 0), salvor.Forbidden, "without an API key")
	}
	must(t, Allow(as(api.RoleResearcher, api.RoleOperator), "SetCrawl", 0))
}

func TestAllowTable(t *testing.T) {
	for _, x := range []struct {
		role        api.Role
		table       string
		read, write bool
	}{
		{api.RoleAdmin, api.TableKeys, true, true},
		{api.RoleCoordinator, api.TableNodes, true, true},
		{api.RoleWorker, api.TableCluster, true, false},
		{api.RoleAccess, api.TableCluster, true, false},
		{api.RoleWorker, api.TableNodes, false, false},
		{api.RoleWorker, api.TableKeys, false, false},
		{api.RoleWorker, api.TableTokens, false, false},
		{api.RoleWorker, tableNames, false, false},
		{api.RoleOperator, api.TableNodes, false, false},
		{api.RoleOperator, api.TableCluster, false, false},
		{api.RoleResearcher, api.TableNodes, false, false},
		{api.RoleOperator, api.TableBudgets, true, true},
		{api.RoleResearcher, api.TableBudgets, true, false},
		{api.RoleWorker, api.TableBudgets, true, false},
		{api.RoleAdmin, api.TableBudgets, true, true},
		{api.RoleOperator, api.TableKeys, false, false},
		{api.RoleOperator, api.TableTokens, false, false},
		{api.RoleResearcher, api.TableKeys, false, false},
	} {
		if r, w := AllowTable(as(x.role), x.table, false), AllowTable(as(x.role), x.table, true); (r == nil) != x.read || (w == nil) != x.write {
			t.Errorf("%s, %s: read %v, write %v", x.role, x.table, r, w)
		}
	}
	wantError(t, AllowTable(context.Background(), api.TableCluster, false), salvor.Forbidden, "without an API key")
}

func TestRequire(t *testing.T) {
	for _, x := range []struct {
		caller, need []api.Role
		status       int
	}{
		{nil, nil, 401}, {nil, researcher, 401}, {researcher, nil, 200}, {researcher, researcher, 200},
		{researcher, worker, 403}, {admin, worker, 200}, {coordinator, worker, 200},
	} {
		h := Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), x.need...)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil).WithContext(as(x.caller...)))
		if w.Code != x.status {
			t.Errorf("%v where %v is needed: %d %s", x.caller, x.need, w.Code, w.Body)
		}
	}
}
