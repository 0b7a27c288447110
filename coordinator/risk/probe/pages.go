package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"salvor/coordinator/risk"
)

const (
	pageEvery = 30 * time.Minute
	// pageWithin bounds one request, dialWithin a connection: what hangs is down, and
	// must be seen to be before the look itself ends.
	pageWithin = 12 * time.Second
	dialWithin = 8 * time.Second
	// mostPage bounds what is read of a page.
	mostPage = 256 << 10
	// others is how many further pages must show a notice for it to be the site's.
	others = 2
)

// pages looks at the front page of a host, at robots.txt, and, where there is a
// notice of closing, at two more pages.
type pages struct {
	w     witness
	http  *http.Client
	marks []mark

	mu   sync.Mutex
	open map[string]bool // hosts whose robots.txt let somebody in, at an earlier look
}

func newPages(w witness, dial Dialer) (*pages, error) {
	marks, err := parseMarks(fingerprintText)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext: patient(dial), DisableKeepAlives: true, Proxy: nil, MaxResponseHeaderBytes: 64 << 10,
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}, // certificates have a look of their own
		TLSHandshakeTimeout: pageWithin,
	}
	return &pages{w: w, http: &http.Client{Transport: transport, Timeout: pageWithin}, marks: marks, open: map[string]bool{}}, nil
}

// patient bounds a connection.
func patient(dial Dialer) Dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, dialWithin)
		defer cancel()
		return dial(ctx, network, address)
	}
}

func (*pages) Name() string         { return "pages" }
func (*pages) Every() time.Duration { return pageEvery }

// Look implements Looker.
func (l *pages) Look(ctx context.Context, t Target) ([]risk.Observation, error) {
	scheme := "http"
	if t.TLS {
		scheme = "https"
	}
	root := &url.URL{Scheme: scheme, Host: t.Host, Path: "/"}
	p, err := l.get(ctx, root.String())
	if err != nil && t.TLS && !strings.Contains(t.Host, ":") { // perhaps it has no TLS
		root.Scheme = "http"
		p, err = l.get(ctx, root.String())
	}
	if err != nil {
		if ctx.Err() != nil || refusedByUs(err) {
			return nil, err
		}
		return []risk.Observation{l.w.saw(t, risk.SigDown, cause(err))}, nil
	}
	signal, detail := classify(p, l.marks)
	seen := []risk.Observation{l.w.saw(t, signal, detail)}
	if sunset := p.header.Get("Sunset"); sunset != "" {
		seen = append(seen, l.w.saw(t, risk.SigSunsetHeader, sunset))
	} else {
		seen = append(seen, l.w.missed(t, risk.SigSunsetHeader))
	}
	if signal != risk.SigHealthy {
		return seen, nil
	}
	if walled(p) {
		seen = append(seen, l.w.saw(t, risk.SigLoginWall, "its front page leads to "+p.final.Path))
	} else {
		seen = append(seen, l.w.missed(t, risk.SigLoginWall))
	}
	seen = append(seen, l.banner(ctx, t, p)...)
	return append(seen, l.robots(ctx, t, root)...), nil
}

// refusedByUs says that the guard did not let a probe dial.
func refusedByUs(err error) bool { return errors.Is(err, ErrRefused) }

// ErrRefused is in the error of a Dialer that must not dial an address.
var ErrRefused = errors.New("probes do not dial this address")

func cause(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return err.Error()
}

func (l *pages) get(ctx context.Context, u string) (*page, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "Mozilla/5.0 (compatible; salvor-probe)")
	r.Header.Set("Accept", "text/html,*/*;q=0.5")
	res, err := l.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, mostPage))
	if err != nil && len(b) == 0 {
		return nil, err
	}
	return &page{res.StatusCode, res.Header, r.URL.Host, res.Request.URL, b}, nil
}

var linkForm = regexp.MustCompile(`(?i)<a\b[^>]*\bhref\s*=\s*["']?([^"'\s>#]+)`)

// banner sees a notice of closing where the front page and two others have the
// same phrase: one page may be about another site's end. It says nothing where the
// others could not be read.
func (l *pages) banner(ctx context.Context, t Target, front *page) []risk.Observation {
	phrase, text := notice(front.body)
	if phrase == "" {
		return []risk.Observation{l.w.missed(t, risk.SigBanner)}
	}
	asked, have, failed := map[string]bool{front.final.String(): true}, 0, false
	for _, m := range linkForm.FindAllSubmatch(front.body, 40) {
		u, err := front.final.Parse(string(m[1]))
		if err != nil || u.Host != front.final.Host || asked[u.String()] || len(asked) > 2*others {
			continue
		}
		asked[u.String()] = true
		p, err := l.get(ctx, u.String())
		if err != nil || p.status != http.StatusOK {
			failed = true
			continue
		}
		if same, _ := notice(p.body); same == phrase {
			if have++; have == others {
				return []risk.Observation{l.w.saw(t, risk.SigBanner, text)}
			}
		}
	}
	if failed {
		return nil
	}
	return []risk.Observation{l.w.missed(t, risk.SigBanner)}
}

// robots sees a robots.txt that has begun to keep everybody out: many always did, and
// are as safe as others. It says nothing where the file could not be read, nor of one
// that this node never saw open.
func (l *pages) robots(ctx context.Context, t Target, root *url.URL) []risk.Observation {
	p, err := l.get(ctx, root.JoinPath("/robots.txt").String())
	switch {
	case err != nil || p.status >= 500 || p.status == http.StatusTooManyRequests || p.status == http.StatusForbidden:
		return nil
	case p.status != http.StatusOK || !closed(p.body):
		l.opened(t.Host)
		return []risk.Observation{l.w.missed(t, risk.SigRobotsClosed)}
	case l.wasOpen(t.Host):
		return []risk.Observation{l.w.saw(t, risk.SigRobotsClosed, "Disallow: / for everybody")}
	}
	return nil
}

func (l *pages) opened(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) > 2*MostTargets { // hosts that are no target any more
		clear(l.open)
	}
	l.open[host] = true
}

func (l *pages) wasOpen(host string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open[host]
}

// closed says whether the group of * disallows everything and allows nothing.
func closed(robots []byte) bool {
	mine, any, shut, agents := false, false, false, false
	s := bufio.NewScanner(bytes.NewReader(robots))
	for s.Scan() {
		line, _, _ := strings.Cut(s.Text(), "#")
		k, v, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		k, v = strings.ToLower(strings.TrimSpace(k)), strings.TrimSpace(v)
		switch k {
		case "user-agent":
			if !agents {
				mine = false
			}
			mine, agents = mine || v == "*", true
			continue
		case "disallow":
			shut = shut || mine && v == "/"
		case "allow":
			any = any || mine && v != ""
		}
		agents = false
	}
	return shut && !any
}
