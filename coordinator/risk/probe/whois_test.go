package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// whoisServer answers each query with a text; "" hangs up.
func whoisServer(t *testing.T, answer func(query string) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				q, _ := bufio.NewReader(c).ReadString('\n')
				fmt.Fprint(c, answer(strings.TrimSpace(q)))
			}()
		}
	}()
	return l.Addr().String()
}

// TestWHOIS: what registries without RDAP tell, through IANA's referral.
func TestWHOIS(t *testing.T) {
	for name, c := range map[string]struct{ answer, want string }{
		"held":      {"Domain Name: EXAMPLE.ZZ\nDomain Status: clientHold https://icann.org/epp#clientHold\nRegistry Expiry Date: 2027-06-01T00:00:00Z\nRegistrar: Ada\n", "client-hold"},
		"expired":   {"% a note: expires never\ndomain: example.zz\npaid-till: 2026.11.20\nstate: REGISTERED, DELEGATED\n", "expired"},
		"soon":      {"domain.............: example.zz\nexpires............: 15.12.2026 00:00:00\nstatus: Registered\n", "expires-soon"},
		"well":      {"Domain Status: ok\nExpiry Date: 01-Jun-2028\n", ""},
		"registrar": {"Registry Expiry Date: 2027-11-20\nRegistrar Registration Expiration Date: 2026-11-20T00:00:00Z\n", "expired"},
		"redeemed":  {"Domain Status: redemptionPeriod https://icann.org/epp#redemptionPeriod\r\nDomain Status: pendingDelete\r\n", "pending-delete redemption"},
		"free":      {"No match for EXAMPLE.ZZ\n", "nothing"},
		"silent":    {"", "nothing"},
		"binary":    {"\x00\xff\x01: \x02\n:::\n:\n", "nothing"},
		"huge":      {strings.Repeat("x", 1<<20), "nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			registry := whoisServer(t, func(q string) string {
				if q != "example.zz" {
					t.Errorf("the registry was asked for %q", q)
				}
				return c.answer
			})
			root := whoisServer(t, func(q string) string {
				asked.Add(1)
				if q != "zz" {
					t.Errorf("IANA was asked for %q", q)
				}
				return "% IANA WHOIS server\n\ndomain: ZZ\nwhois: " + registry + "\n"
			})
			l, err := newRDAP(witness{kit(Kit{}).Vantage, kit(Kit{}).Now}, kit(Kit{}).Dial, []byte(`{"services":[]}`), root)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				seen, err := l.Look(t.Context(), Target{Site: "example", Host: "forum.example.zz:8080"})
				if err != nil {
					t.Fatal(err)
				}
				got := signals(t, seen)
				if len(seen) == 0 {
					got = "nothing"
				} else if seen[0].Vantage.Node != "127.0.0.1" || seen[0].Subject != "example.zz" {
					t.Errorf("seen by %+v of %s", seen[0].Vantage, seen[0].Subject)
				}
				if got != c.want {
					t.Errorf("saw %q, want %q", got, c.want)
				}
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("IANA was asked %d times", n)
			}
		})
	}
}

// TestNothingToAsk: addresses and single words have no registry, nor has a domain
// whose top level nobody knows.
func TestNothingToAsk(t *testing.T) {
	refused := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("dialled") }
	l, err := newRDAP(witness{now: time.Now}, refused, []byte(`{"services":[]}`), "192.0.2.1:43")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []string{"127.0.0.1", "127.0.0.1:80", "[::1]:80", "intranet"} {
		if seen, err := l.Look(t.Context(), Target{Site: "x", Host: h}); err != nil || len(seen) > 0 {
			t.Errorf("%s: %v, %v", h, seen, err)
		}
	}
	if _, err := l.Look(t.Context(), Target{Site: "x", Host: "example.zz"}); err == nil {
		t.Error("nobody could be asked, and that is not said")
	}
}

// TestRegistryIsLeftAlone: who answers 429 is asked again when it said.
func TestRegistryIsLeftAlone(t *testing.T) {
	var asked int
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Retry-After", "7200")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer s.Close()
	now := noon
	l, err := newRDAP(witness{kit(Kit{}).Vantage, func() time.Time { return now }}, kit(Kit{}).Dial, fmt.Appendf(nil, `{"services":[[["zz"],[%q]]]}`, s.URL), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {time.Hour, 1}, {time.Hour + time.Minute, 2}} {
		now = now.Add(step.after)
		if _, err := l.Look(t.Context(), Target{Site: "x", Host: "example.zz"}); err == nil || asked != step.want {
			t.Errorf("after %s: asked %d times, %v", step.after, asked, err)
		}
	}
}

func FuzzWHOIS(f *testing.F) {
	f.Add("Domain Status: clientHold https://icann.org\nRegistry Expiry Date: 2027-06-01T00:00:00Z\nRegistrar: Ada\n")
	f.Fuzz(func(t *testing.T, text string) {
		if d := parseWhois(text); d != nil {
			judgeDomain(witness{now: time.Now}, Target{}, d)
		}
	})
}
