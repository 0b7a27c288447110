package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/client/clienttest"
	"salvor/coordinator/trust"
)

func start(t *testing.T, groups int) *clienttest.Cluster {
	t.Helper()
	c, err := clienttest.Start(t.TempDir(), groups)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func key(t *testing.T, c *clienttest.Cluster) string {
	t.Helper()
	b, err := os.ReadFile(c.KeyFile())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func open(t *testing.T, c *clienttest.Cluster, servers ...string) *client.Cluster {
	t.Helper()
	if len(servers) == 0 {
		servers = []string{c.URL()}
	}
	out, err := client.Open(context.Background(), client.Config{Server: servers, Key: key(t, c), Agent: "salvor/test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(out.Close)
	return out
}

func TestOpen(t *testing.T) {
	c := start(t, 2)
	o := open(t, c, dead(t), c.URL())
	if o.Settings.ID != clienttest.ID || o.Settings.Groups != 2 {
		t.Errorf("settings %+v", o.Settings)
	}
	made, err := o.CreateCrawl(context.Background(), api.Crawl{Name: "a"})
	if err != nil || made.ID != 1 {
		t.Fatalf("crawl %+v, %v", made, err)
	}
	if err := o.Everywhere(context.Background(), made); err != nil {
		t.Error(err)
	}
	rows, err := o.Registry.Records(context.Background(), api.TableNodes)
	if err != nil || len(rows) != 1 {
		t.Errorf("nodes %v, %v", rows, err)
	}
	st, err := o.Status(context.Background())
	if err != nil || st.Cluster.ID != clienttest.ID {
		t.Errorf("status %+v, %v", st, err)
	}
}

// dead is an address where nothing listens.
func dead(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestOpenErrors has each way of not getting in say its own words.
func TestOpenErrors(t *testing.T) {
	c, other := start(t, 1), start(t, 1)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	unknown := flipped(t, key(t, c), key(t, other))
	for _, x := range []struct {
		name   string
		server string
		key    string
		fail   int
		body   string
		class  salvor.ErrorClass
		want   string
		hint   string
	}{
		{"nothing there", dead(t), key(t, c), 0, "", salvor.Unavailable, "ADDR refuses the connection: nothing listens there", "start the node"},
		{"no host", "salvor.invalid:7420", key(t, c), 0, "", salvor.Unavailable, "there is no host salvor.invalid", "check the spelling"},
		{"no TLS", plain.Listener.Addr().String(), key(t, c), 0, "", salvor.Invalid, "ADDR is no coordinator: it does not speak TLS", "--metrics-listen"},
		{"another cluster", other.Address, key(t, c), 0, "", salvor.Forbidden, "ADDR: the server is not of the cluster that the token or key is for", "check the URL"},
		{"no key", c.Address, "hello", 0, "", salvor.Invalid, "the API key is damaged: it does not begin with salvor-key", "copy it again"},
		{"key never made", c.Address, unknown, 0, "", salvor.Forbidden, "ADDR does not accept the key: the cluster does not know this API key", "salvor key create"},
		{"not ready", c.Address, key(t, c), 503, `{"class":"unavailable","error":"the node starts"}`, salvor.Unavailable, "ADDR is not ready: the node starts", "try again"},
		{"not allowed", c.Address, key(t, c), 403, `{"class":"forbidden","error":"no","hint":"use a key with the role admin"}`, salvor.Forbidden, "the key may not do this at ADDR: no", "role admin"},
		{"no such page", c.Address, key(t, c), 404, "404", salvor.NotFound, "ADDR does not know the question: HTTP status 404", "of this version"},
		{"broken", c.Address, key(t, c), 500, `{"class":"exhausted","error":"no room","hint":"make some"}`, salvor.Exhausted, "ADDR: no room", "make some"},
		{"something else", c.Address, key(t, c), 200, "<html>", salvor.Internal, "ADDR answers something else than a coordinator would: invalid character '<' looking for beginning of value", "of this version"},
		{"no groups", c.Address, key(t, c), 200, "{}", salvor.Internal, "ADDR tells of a cluster of 0 groups", "of this version"},
		{"redirected", c.Address, key(t, c), 302, "", salvor.Internal, "ADDR: HTTP status 302", ""},
	} {
		c.Fail("/v1/cluster", x.fail, x.body)
		_, err := client.Open(context.Background(), client.Config{Server: []string{x.server}, Key: x.key})
		if err == nil {
			t.Errorf("%s: it opened", x.name)
			continue
		}
		if got := strings.ReplaceAll(err.Error(), x.server, "ADDR"); got != x.want || salvor.ClassOf(err) != x.class || !strings.Contains(salvor.HintOf(err), x.hint) {
			t.Errorf("%s: %v: %q, hint %q\nwant %v: %q, hint %q", x.name, salvor.ClassOf(err), got, salvor.HintOf(err), x.class, x.want, x.hint)
		}
		if strings.Contains(err.Error()+salvor.HintOf(err), x.key) {
			t.Errorf("%s: the key is shown", x.name)
		}
	}
	c.Fail("/v1/cluster", 0, "")
}

// flipped is a key of a cluster that it never made: the secret of another one.
func flipped(t *testing.T, mine, other string) string {
	t.Helper()
	a, err := trust.ParseKey(mine)
	if err != nil {
		t.Fatal(err)
	}
	b, err := trust.ParseKey(other)
	if err != nil {
		t.Fatal(err)
	}
	a.Secret = b.Secret
	return a.Text().Reveal()
}

// TestSilence is a server that takes the connection and says nothing.
func TestSilence(t *testing.T) {
	c := start(t, 1)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err = client.Open(ctx, client.Config{Server: []string{silent.Addr().String()}, Key: key(t, c)})
	if want := silent.Addr().String() + " does not answer"; err == nil || err.Error() != want || salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("%v: %v, want %s", salvor.ClassOf(err), err, want)
	}
}

// TestNoneAnswers names every server that was asked.
func TestNoneAnswers(t *testing.T) {
	c := start(t, 1)
	a, b := dead(t), dead(t)
	_, err := client.Open(context.Background(), client.Config{Server: []string{a, b}, Key: key(t, c)})
	want := "none of 2 coordinators can be asked:\n  " + a + " refuses the connection: nothing listens there\n  " + b + " refuses the connection: nothing listens there"
	if err == nil || err.Error() != want || salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("%v: %v\nwant %s", salvor.ClassOf(err), err, want)
	}
}

// TestKeyStaysHome sees that no byte of a request reaches a server of another
// authority.
func TestKeyStaysHome(t *testing.T) {
	c := start(t, 1)
	asked := false
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	_, err := client.Open(context.Background(), client.Config{Server: []string{s.URL}, Key: key(t, c)})
	if salvor.ClassOf(err) != salvor.Forbidden || asked {
		t.Errorf("%v, asked %v", err, asked)
	}
}

// TestEverywhere waits for all groups, and names those that do not have it.
func TestEverywhere(t *testing.T) {
	c := start(t, 3)
	o := open(t, c)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	c.Groups[1].Stale(true)
	crawl, err := o.CreateCrawl(ctx, api.Crawl{Name: "a", State: salvor.CrawlPaused})
	if err != nil {
		t.Fatal(err)
	}
	c.Groups[2].Down(salvor.Errorf(salvor.Unavailable, "group 2 has no leader: %w", &api.NotLeader{Group: 2}))
	err = o.Everywhere(ctx, crawl)
	if salvor.ClassOf(err) != salvor.Unavailable || !strings.HasPrefix(err.Error(), "crawl a is paused, and not everywhere yet: group 1 (it does not have it yet), group 2 (group 2 has no leader") {
		t.Errorf("%v", err)
	}
	c.Groups[2].Down(nil)
	c.Groups[1].Stale(false)
	later := time.AfterFunc(150*time.Millisecond, func() {
		if err := c.Groups[1].AdoptCrawl(context.Background(), crawl); err != nil {
			t.Error(err)
		}
	})
	defer later.Stop()
	if err := o.Everywhere(context.Background(), crawl); err != nil {
		t.Error(err)
	}
	gone, stop := context.WithCancel(context.Background())
	stop()
	if err := o.Everywhere(gone, api.Crawl{ID: 9, Version: 2}); err == nil || !errors.Is(err, context.Canceled) && salvor.ClassOf(err) != salvor.Interrupted {
		t.Errorf("after the end: %v", err)
	}
}
