package probe

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"salvor"
	"salvor/coordinator/risk"
)

//go:embed rdap.json
var bootstrapText []byte

const (
	rdapEvery  = 24 * time.Hour
	rdapWithin = 30 * time.Second
	mostRDAP   = 512 << 10
	// soon is when an expiry counts: most owners renew in the last month.
	soon = 30 * 24 * time.Hour
)

// rdap asks the registry of a domain (RFC 9082, 9083).
type rdap struct {
	w    witness
	http *http.Client
	base map[string]string // by top-level domain

	mu        sync.Mutex
	registrar map[string]string // by domain, of the look before
}

// newRDAP reads the bootstrap file of registries (RFC 9224).
func newRDAP(w witness, dial Dialer, bootstrap []byte) (*rdap, error) {
	if bootstrap == nil {
		bootstrap = bootstrapText
	}
	base, err := parseBootstrap(bootstrap)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true, Proxy: nil, MaxResponseHeaderBytes: 64 << 10}
	return &rdap{w: w, http: &http.Client{Transport: transport, Timeout: rdapWithin}, base: base, registrar: map[string]string{}}, nil
}

func parseBootstrap(b []byte) (map[string]string, error) {
	var f struct {
		Services [][][]string `json:"services"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "the list of registries cannot be read: %w", err).WithHint("it is the dns.json of IANA (RFC 9224)")
	}
	out := map[string]string{}
	for _, s := range f.Services {
		if len(s) != 2 || len(s[1]) == 0 {
			continue
		}
		at := s[1][0]
		for _, u := range s[1] {
			if strings.HasPrefix(u, "https://") {
				at = u
				break
			}
		}
		for _, tld := range s[0] {
			out[strings.ToLower(tld)] = strings.TrimSuffix(at, "/") + "/"
		}
	}
	return out, nil
}

func (*rdap) Name() string         { return "registry" }
func (*rdap) Every() time.Duration { return rdapEvery }

// domain is what is read of an answer.
type domain struct {
	Status []string `json:"status"`
	Events []struct {
		Action string `json:"eventAction"`
		Date   string `json:"eventDate"`
	} `json:"events"`
	Entities []struct {
		Roles  []string `json:"roles"`
		Handle string   `json:"handle"`
	} `json:"entities"`
}

// Look implements Looker. A domain whose registry is not known says nothing.
func (l *rdap) Look(ctx context.Context, t Target) ([]risk.Observation, error) {
	host, _, err := net.SplitHostPort(t.Host)
	if err != nil {
		host = t.Host
	}
	name := risk.SiteOf(host)
	at, ok := l.base[name[strings.LastIndexByte(name, '.')+1:]]
	if !ok || net.ParseIP(strings.Trim(host, "[]")) != nil {
		return nil, nil
	}
	d, err := l.get(ctx, at+"domain/"+url.PathEscape(name))
	if err != nil {
		return nil, fmt.Errorf("registry of %s: %w", name, err)
	}
	w := l.w
	if u, err := url.Parse(at); err == nil {
		w.vantage = risk.Vantage{Node: u.Hostname(), Network: u.Hostname()} // it is the registry that says so
	}
	t.Host = name
	return append(judgeDomain(w, t, d), l.moved(w, t, d)...), nil
}

// moved says that a domain has another registrar than at this node's last look.
func (l *rdap) moved(w witness, t Target, d *domain) []risk.Observation {
	now := d.registrar()
	l.mu.Lock()
	was := l.registrar[t.Host]
	if now != "" {
		l.registrar[t.Host] = now
	}
	l.mu.Unlock()
	if was == "" || now == "" || was == now {
		return nil
	}
	return []risk.Observation{w.saw(t, risk.SigRegistrarChanged, was+" -> "+now)}
}

func (d *domain) registrar() string {
	for _, e := range d.Entities {
		if slices.Contains(e.Roles, "registrar") {
			return e.Handle
		}
	}
	return ""
}

func (l *rdap) get(ctx context.Context, u string) (*domain, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/rdap+json")
	res, err := l.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, salvor.Errorf(salvor.Unavailable, "HTTP status %d", res.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, mostRDAP))
	if err != nil {
		return nil, err
	}
	return parseDomain(b)
}

func parseDomain(b []byte) (*domain, error) {
	d := new(domain)
	if err := json.Unmarshal(b, d); err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "the answer is no RDAP: %w", err)
	}
	return d, nil
}

// statuses are those of RFC 8056 that say something of a domain's end.
var statuses = []struct{ status, signal string }{
	{"client hold", risk.SigClientHold}, {"server hold", risk.SigServerHold},
	{"redemption period", risk.SigRedemption}, {"pending delete", risk.SigPendingDelete},
}

// judgeDomain says what a registry tells of a domain. At expiry registries renew by
// themselves, and their date jumps by a year, while the registrar's lapses: so the
// status, and the registrar's date, count before the registry's.
func judgeDomain(w witness, t Target, d *domain) (out []risk.Observation) {
	has := func(status string) bool { // some registries spell them as EPP does: clientHold
		plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "")) }
		return slices.ContainsFunc(d.Status, func(s string) bool { return plain(s) == plain(status) })
	}
	say := func(signal string, is bool, text string) {
		if is {
			out = append(out, w.saw(t, signal, text))
			return
		}
		out = append(out, w.missed(t, signal))
	}
	for _, s := range statuses {
		say(s.signal, has(s.status), s.status)
	}
	ends := expiry(d)
	expired := has("auto renew period") || !ends.IsZero() && ends.Before(w.now())
	say(risk.SigExpired, expired, "expired, or in the auto-renew period; "+dateText(ends))
	say(risk.SigExpiresSoon, !expired && !ends.IsZero() && ends.Sub(w.now()) < soon, dateText(ends))
	return out
}

func dateText(t time.Time) string {
	if t.IsZero() {
		return "no date of expiry"
	}
	return "expires " + t.UTC().Format(time.DateOnly)
}

// expiry is the registrar's date where it is told, else the registry's.
func expiry(d *domain) (at time.Time) {
	for _, e := range d.Events {
		switch e.Action {
		case "registrar expiration":
			if t := dateOf(e.Date); !t.IsZero() {
				return t
			}
		case "expiration":
			at = dateOf(e.Date)
		}
	}
	return at
}

// dateOf reads a date of RFC 3339, and what some registries write for one; zero if
// it is none.
func dateOf(s string) time.Time {
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.Parse(form, strings.TrimSpace(s)); err == nil {
			return t
		}
	}
	return time.Time{}
}
