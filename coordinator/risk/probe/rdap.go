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
	"strconv"
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
	old  *whois            // asked where there is none

	mu        sync.Mutex
	registrar map[string]string    // by domain, of the look before
	rest      map[string]time.Time // by registry: asked to be left alone until then
}

// newRDAP reads the bootstrap file of registries (RFC 9224).
func newRDAP(w witness, dial Dialer, bootstrap []byte, root string) (*rdap, error) {
	if bootstrap == nil {
		bootstrap = bootstrapText
	}
	base, err := parseBootstrap(bootstrap)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true, Proxy: nil, MaxResponseHeaderBytes: 64 << 10}
	return &rdap{w: w, http: &http.Client{Transport: transport, Timeout: rdapWithin}, base: base, old: newWhois(dial, root), registrar: map[string]string{}, rest: map[string]time.Time{}}, nil
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
	if net.ParseIP(strings.Trim(host, "[]")) != nil || !strings.Contains(host, ".") {
		return nil, nil
	}
	name := risk.SiteOf(host)
	d, registry, err := l.ask(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("registry of %s: %w", name, err)
	}
	if d == nil {
		return nil, nil
	}
	w := l.w
	w.vantage = risk.Vantage{Node: registry, Network: registry} // it is the registry that says so
	t.Host = name
	return append(judgeDomain(w, t, d), l.moved(w, t, d)...), nil
}

// ask is what the registry of a domain tells, and its name: over RDAP, or by WHOIS
// where no such service is known. Nil: nothing is told.
func (l *rdap) ask(ctx context.Context, name string) (*domain, string, error) {
	tld := name[strings.LastIndexByte(name, '.')+1:]
	at, ok := l.base[tld]
	if !ok {
		d, server, err := l.old.get(ctx, name, tld)
		host, _, _ := net.SplitHostPort(server)
		return d, host, err
	}
	registry := at
	if u, err := url.Parse(at); err == nil {
		registry = u.Hostname()
	}
	l.mu.Lock()
	until := l.rest[registry]
	l.mu.Unlock()
	if l.w.now().Before(until) {
		return nil, "", salvor.Errorf(salvor.Unavailable, "%s asked to be left alone until %s", registry, until.UTC().Format(time.RFC3339))
	}
	d, rest, err := l.get(ctx, at+"domain/"+url.PathEscape(name))
	if rest > 0 {
		l.mu.Lock()
		l.rest[registry] = l.w.now().Add(rest)
		l.mu.Unlock()
	}
	return d, registry, err
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

// get asks a registry. rest is for how long it wants to be left alone.
func (l *rdap) get(ctx context.Context, u string) (d *domain, rest time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, 0, err
	}
	r.Header.Set("Accept", "application/rdap+json")
	res, err := l.http.Do(r)
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable {
			rest = retryAfter(res.Header.Get("Retry-After"), l.w.now())
		}
		return nil, rest, salvor.Errorf(salvor.Unavailable, "HTTP status %d", res.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, mostRDAP))
	if err != nil {
		return nil, 0, err
	}
	d, err = parseDomain(b)
	return d, 0, err
}

const (
	// restOf is how long a registry is left alone that refused and does not say for
	// how long; mostRest bounds what it may say.
	restOf   = time.Hour
	mostRest = 48 * time.Hour
)

// retryAfter reads the field (RFC 9110, 10.2.3).
func retryAfter(field string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(strings.TrimSpace(field), 10, 31); err == nil {
		return min(max(time.Duration(n)*time.Second, time.Minute), mostRest)
	}
	if at, err := http.ParseTime(field); err == nil {
		return min(max(at.Sub(now), time.Minute), mostRest)
	}
	return restOf
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
