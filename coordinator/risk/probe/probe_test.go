package probe

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"salvor/coordinator/risk"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func kit(k Kit) Kit {
	var d net.Dialer
	k.Vantage, k.Dial, k.DNS = risk.Vantage{Node: "bola", Network: "AS64500"}, d.DialContext, d.DialContext
	k.Now = func() time.Time { return noon }
	return k
}

// signals are what was seen, those absent with a minus.
func signals(t *testing.T, seen []risk.Observation) string {
	t.Helper()
	var out []string
	for _, o := range seen {
		if err := o.Check(); err != nil {
			t.Errorf("%+v cannot be kept: %v", o, err)
		}
		name := o.Signal
		if o.Absent {
			continue
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// TestPages: what each kind of page is taken for.
func TestPages(t *testing.T) {
	news := "<title>Example</title><p>We are shutting down on 1 January.</p>"
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"healthy": {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<title>Forum</title>hello") }, "healthy"},
		"suspended": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.Redirect(w, r, "/cgi-sys/suspendedpage.cgi", http.StatusFound)
			}
		}, "suspended"},
		"parked": {func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<h1>This domain is for sale!</h1>") }, "parked"},
		"unclaimed": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(404)
			io.WriteString(w, "There isn't a GitHub Pages site here.")
		}, "unclaimed"},
		"broken": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			io.WriteString(w, "Error establishing a database connection")
		}, "broken-app"},
		"down":   {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(502) }, "down"},
		"origin": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(522) }, "origin-down"},
		"wall":   {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403) }, "bot-wall"},
		"challenge": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cf-Mitigated", "challenge")
			w.WriteHeader(503)
		}, "bot-wall"},
		"legal": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(451) }, "legal-block"},
		"sunset": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Sunset", "Sat, 31 Dec 2026 23:59:59 GMT")
			io.WriteString(w, "hi")
		}, "healthy sunset-header"},
		"login": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.Redirect(w, r, "/login?next=/", http.StatusFound)
			}
		}, "healthy login-wall"},
		"robots": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/robots.txt" {
				io.WriteString(w, "User-agent: *\nDisallow: /\n")
			}
		}, "healthy"}, // it may have been so for ever
		"banner": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, news+`<a href="/a">a</a><a href="/b">b</a>`)
		}, "banner healthy"},
		"article": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				io.WriteString(w, news+`<a href="/a">a</a><a href="/b">b</a>`)
			}
		}, "healthy"},
	} {
		s := httptest.NewServer(c.serve)
		l, err := newPages(witness{kit(Kit{}).Vantage, kit(Kit{}).Now}, kit(Kit{}).Dial)
		if err != nil {
			t.Fatal(err)
		}
		seen, err := l.Look(t.Context(), Target{Site: "site", Host: strings.TrimPrefix(s.URL, "http://")})
		if got := signals(t, seen); err != nil || got != c.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, c.want)
		}
		s.Close()
		seen, err = l.Look(t.Context(), Target{Site: "site", Host: strings.TrimPrefix(s.URL, "http://")})
		if got := signals(t, seen); err != nil || got != "down" {
			t.Errorf("%s, once closed: %s, %v", name, got, err)
		}
	}
}

// TestGuard: what must not be dialled is no observation of the host.
func TestGuard(t *testing.T) {
	no := func(context.Context, string, string) (net.Conn, error) { return nil, ErrRefused }
	l, err := newPages(witness{now: time.Now}, no)
	if err != nil {
		t.Fatal(err)
	}
	if seen, err := l.Look(t.Context(), Target{Site: "site", Host: "127.0.0.1"}); err == nil || len(seen) > 0 {
		t.Errorf("%v, %v", seen, err)
	}
}

// TestCerts: it is the share of a certificate's life that counts, not days.
func TestCerts(t *testing.T) {
	for name, c := range map[string]struct {
		from, to time.Duration
		want     string
	}{
		"in the midst of 90 days": {-45 * 24 * time.Hour, 45 * 24 * time.Hour, ""},
		"late of 90 days":         {-86 * 24 * time.Hour, 4 * 24 * time.Hour, "cert-late"},
		"half of six days":        {-3 * 24 * time.Hour, 3 * 24 * time.Hour, ""},
		"fresh":                   {-time.Hour, 90 * 24 * time.Hour, ""},
		"expired yesterday":       {-91 * 24 * time.Hour, -24 * time.Hour, ""},
		"expired last week":       {-97 * 24 * time.Hour, -7 * 24 * time.Hour, "cert-expired"},
	} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		x := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: noon.Add(c.from), NotAfter: noon.Add(c.to)}
		der, err := x509.CreateCertificate(rand.Reader, x, x, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = nil
		s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
		s.StartTLS()
		l := newCerts(witness{kit(Kit{}).Vantage, kit(Kit{}).Now}, kit(Kit{}).Dial)
		seen, err := l.Look(t.Context(), Target{Site: "site", Host: strings.TrimPrefix(s.URL, "https://"), TLS: true})
		if got := signals(t, seen); err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
		s.Close()
	}
}

// TestRegistry: what a registry tells, whose word it is, and what is never asked.
func TestRegistry(t *testing.T) {
	answer, asked := "", ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path
		io.WriteString(w, answer)
	}))
	defer s.Close()
	boot, err := json.Marshal(map[string]any{"services": [][][]string{{{"org"}, {s.URL + "/rdap/"}}}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := newRDAP(witness{kit(Kit{}).Vantage, kit(Kit{}).Now}, kit(Kit{}).Dial, boot, "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	date := func(action string, d time.Duration) string {
		return fmt.Sprintf(`{"eventAction":%q,"eventDate":%q}`, action, noon.Add(d).Format(time.RFC3339))
	}
	for name, c := range map[string]struct{ answer, want string }{
		"well":                {`{"status":["active"],"events":[` + date("expiration", 200*24*time.Hour) + `]}`, ""},
		"soon":                {`{"events":[` + date("expiration", 9*24*time.Hour) + `]}`, "expires-soon"},
		"registrar's is past": {`{"status":["auto renew period"],"events":[` + date("expiration", 370*24*time.Hour) + `,` + date("registrar expiration", -9*24*time.Hour) + `]}`, "expired"},
		"held":                {`{"status":["client hold","server hold"]}`, "client-hold server-hold"},
		"deleted":             {`{"status":["redemption period"],"events":[` + date("expiration", -40*24*time.Hour) + `]}`, "expired redemption"},
		"goes":                {`{"status":["Pending Delete"]}`, "pending-delete"},
	} {
		answer = c.answer
		seen, err := l.Look(t.Context(), Target{Site: "example.org", Host: "www.example.org:8443"})
		if got := signals(t, seen); err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
		if asked != "/rdap/domain/example.org" || seen[0].Vantage.Node != "127.0.0.1" {
			t.Errorf("asked %s, by %+v", asked, seen[0].Vantage)
		}
	}
	asked = ""
	for _, host := range []string{"127.0.0.1:80", "localhost"} {
		if seen, err := l.Look(t.Context(), Target{Site: host, Host: host}); err != nil || len(seen) > 0 || asked != "" {
			t.Errorf("%s: %v, %v, asked %q", host, seen, err, asked)
		}
	}
	answer = "no JSON"
	if seen, err := l.Look(t.Context(), Target{Site: "example.org", Host: "example.org"}); err == nil || len(seen) > 0 {
		t.Errorf("an answer that is none: %v, %v", seen, err)
	}
}

// TestLookers: third parties are asked only where that was allowed.
func TestLookers(t *testing.T) {
	for third, want := range map[bool]string{false: "pages content certificates names", true: "pages content certificates names registry"} {
		ls, err := kit(Kit{Third: third, Resolvers: []string{"127.0.0.1:1", "127.0.0.1:2"}}).Lookers()
		var got []string
		for _, l := range ls {
			got = append(got, l.Name())
			if n, ok := l.(*names); ok && len(n.servers) != map[bool]int{false: 1, true: 2}[third] {
				t.Errorf("third %v: %d servers", third, len(n.servers))
			}
		}
		if strings.Join(got, " ") != want || err != nil {
			t.Errorf("third %v: %v, %v", third, got, err)
		}
	}
}

type counter struct {
	mu sync.Mutex
	at map[string][]time.Duration
	t  time.Time
}

func (c *counter) Name() string         { return "counter" }
func (c *counter) Every() time.Duration { return time.Hour }
func (c *counter) Look(_ context.Context, t Target) ([]risk.Observation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at[t.Host] = append(c.at[t.Host], c.t.Sub(noon))
	return []risk.Observation{{Site: t.Site}}, nil
}
func (c *counter) Observe(context.Context, []risk.Observation) error { return nil }

// TestSchedule: each host is looked at once an hour, and not all in one minute.
func TestSchedule(t *testing.T) {
	c := &counter{at: map[string][]time.Duration{}, t: noon}
	s := &Schedule{Lookers: []Looker{c}, Recorder: c, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return c.t }}
	var targets []Target
	for i := range 60 {
		targets = append(targets, Target{Site: "s", Host: fmt.Sprintf("h%d.example", i)})
	}
	busiest := 0
	for range 300 {
		before := 0
		for _, a := range c.at {
			before += len(a)
		}
		s.Round(t.Context(), targets)
		after := 0
		for _, a := range c.at {
			after += len(a)
		}
		busiest = max(busiest, after-before)
		c.t = c.t.Add(time.Minute)
	}
	if busiest > 8 {
		t.Errorf("%d looks in one minute, of 60 an hour", busiest)
	}
	for h, at := range c.at {
		if len(at) < 4 || len(at) > 5 || at[0] > time.Hour {
			t.Errorf("%s was looked at at %v", h, at)
		}
	}
}

func FuzzRobots(f *testing.F) {
	f.Add([]byte("User-agent: *\nDisallow: /\n"))
	f.Fuzz(func(t *testing.T, b []byte) { closed(b) })
}

func FuzzPage(f *testing.F) {
	f.Add([]byte("<title>x</title><script>y</script><p>shutting down"))
	marks, err := parseMarks(fingerprintText)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p := &page{status: 200, header: http.Header{}, body: b}
		p.final = &url.URL{Scheme: "http", Host: "a.example", Path: "/"}
		_, d := classify(p, marks)
		_, text := notice(b)
		if got := clip(d + text); len(got) > risk.MaxDetail {
			t.Errorf("%d bytes", len(got))
		}
	})
}

func FuzzRegistry(f *testing.F) {
	f.Add([]byte(`{"status":["client hold"],"events":[{"eventAction":"expiration","eventDate":"2026-12-01T00:00:00Z"}]}`))
	w := witness{risk.Vantage{Node: "r"}, func() time.Time { return noon }}
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := parseDomain(b); err == nil {
			for _, o := range judgeDomain(w, Target{Site: "s", Host: "h"}, d) {
				if err := o.Check(); err != nil {
					t.Error(err)
				}
			}
		}
		_, _ = parseBootstrap(b)
	})
}

func FuzzMarks(f *testing.F) {
	f.Add(fingerprintText)
	f.Fuzz(func(t *testing.T, s string) { _, _ = parseMarks(s) })
}

// TestScheduleAtOnce: who is in a hurry looks at all in the first round, and then as
// others do.
func TestScheduleAtOnce(t *testing.T) {
	c := &counter{at: map[string][]time.Duration{}, t: noon}
	s := &Schedule{Lookers: []Looker{c}, Recorder: c, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return c.t }, AtOnce: true}
	for _, want := range []int{1, 1, 2} {
		s.Round(t.Context(), []Target{{Site: "s", Host: "a.example"}, {Site: "s", Host: "b.example"}})
		for _, h := range []string{"a.example", "b.example"} {
			if n := len(c.at[h]); n != want {
				t.Errorf("%s was looked at %d times, want %d", h, n, want)
			}
		}
		c.t = c.t.Add(31 * time.Minute)
	}
}
