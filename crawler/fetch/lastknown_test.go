package fetch

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// atPort is a server's URL under another host name.
func atPort(s *httptest.Server, host string) string {
	return strings.Replace(s.URL, "127.0.0.1", host, 1) + "/"
}

// TestLastKnownAddress: a name that is gone is asked where it was, if a person
// said so, and only what proves to be the host is taken.
func TestLastKnownAddress(t *testing.T) {
	secure := tlsServer(t, nil) // its certificate names example.com
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) }))
	defer plain.Close()
	here := netip.MustParseAddr("127.0.0.1")
	known := &LastKnowns{Next: &scriptedResolver{err: ErrNoSuchHost}}
	known.Set(map[string]LastKnown{
		"example.com":  {Address: here, Reason: "its operator confirmed"},
		"other.test":   {Address: here, Reason: "guessed"},
		"trusted.test": {Address: here, Reason: "its operator confirmed", AnyName: true},
	})
	for url, want := range map[string]string{
		atPort(secure, "example.com"):  "",
		atPort(secure, "other.test"):   "what answers at its last known address 127.0.0.1 is something else",
		atPort(secure, "trusted.test"): "",
		atPort(plain, "trusted.test"):  "",
		atPort(plain, "example.com"):   "without TLS nothing proves",
		atPort(plain, "nobody.test"):   ErrNoSuchHost.Error(),
	} {
		c := newClient(t, Config{AllowNet: loopback, Resolver: known})
		got, err := c.Fetch(t.Context(), Request{URL: url})
		switch {
		case want != "":
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", url, err, want)
			}
		case err != nil:
			t.Errorf("%s: %v", url, err)
		default:
			if notes := strings.Join(got.Notes, "; "); !strings.Contains(notes, "last known address: its operator confirmed") {
				t.Errorf("%s: notes %q", url, notes)
			}
			if got.DNS != nil {
				t.Errorf("%s: a DNS answer is recorded: %q", url, got.DNS.Text)
			}
			got.Close()
		}
	}
}

// TestLastKnownYields: while the name resolves, or may, nothing else is asked.
func TestLastKnownYields(t *testing.T) {
	for _, next := range []*scriptedResolver{{}, {err: errors.New("SERVFAIL")}} {
		known := &LastKnowns{Next: next}
		known.Set(map[string]LastKnown{"a.test": {Address: netip.MustParseAddr("127.0.0.9")}})
		r, err := known.Resolve(t.Context(), "a.test")
		if !errors.Is(err, next.err) || err == nil && r.LastKnown != nil {
			t.Errorf("with %v of the DNS: %+v, %v", next.err, r, err)
		}
	}
}
