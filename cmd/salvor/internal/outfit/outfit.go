// Package outfit is what the settings of a crawl mean for its worker: how it
// asks, what it judges by, how it writes, and what it may point revisits at.
//
// It is for whoever runs a crawler.Worker: `salvor save` for its one crawl, a
// cluster's node for each that is running. Both read settings here, so that a
// crawl means the same wherever it runs.
package outfit

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/job"
	"salvor/crawler"
	"salvor/crawler/canon"
	"salvor/crawler/fetch"
	"salvor/warc"
)

// FetchConfig is what the settings mean for the recording transport. The lines
// that let their bearer in go to the hosts of the seeds only; spool is where
// large bodies lie while they come.
func FetchConfig(s *job.Settings, seeds []string, spool string) fetch.Config {
	c := fetch.Config{
		SensitiveFor: hostsOf(seeds),
		UserAgent:    s.UserAgent, AllowNet: s.AllowNet, BindAddress: s.BindAddress, Proxy: proxyURL(s),
		TLSVerify: s.TLSVerify, PerOrigin: s.PerOrigin, Connections: s.Connections, LimitRate: s.LimitRate,
		MaxBody: s.MaxBody, SpoolDir: spool,
	}
	for _, h := range s.Secrets.Headers {
		c.Header = append(c.Header, [2]string{h.Name, h.Value.Reveal()})
	}
	for _, k := range s.Secrets.Cookies {
		c.Cookies = append(c.Cookies, cookie(k))
	}
	return c
}

// hostsOf tells the hosts of the seeds that a person named, a leading www. aside,
// from all others: an image, a link or a redirect, be it a seed's, may lead to
// anybody, and must not hand over the operator's credentials there.
func hostsOf(seeds []string) func(host string) bool {
	bare := func(host string) string { return strings.TrimPrefix(strings.Trim(host, "[]"), "www.") }
	named := map[string]bool{}
	for _, s := range seeds {
		if u, err := canon.Parse(s); err == nil {
			named[bare(u.Host)] = true
		}
	}
	return func(host string) bool { return named[bare(host)] }
}

// cookie is in the form in which fetch reads them: a leading dot says that
// hosts below the domain get it too.
func cookie(k job.Cookie) *http.Cookie {
	domain := k.Domain
	if k.Subdomains {
		domain = "." + domain
	}
	return &http.Cookie{
		Name: k.Name, Value: k.Value.Reveal(), Domain: domain, Path: k.Path,
		Secure: k.Secure, HttpOnly: k.HTTPOnly, Expires: k.Expires,
	}
}

func proxyURL(s *job.Settings) string {
	if s.Proxy == "" || s.Secrets.ProxyUser == "" {
		return s.Proxy
	}
	u, err := url.Parse(s.Proxy)
	if err != nil {
		return s.Proxy // fetch.New names what is wrong with it
	}
	u.User = url.UserPassword(s.Secrets.ProxyUser, s.Secrets.ProxyPass.Reveal())
	return u.String()
}

// WorkerConfig is what the settings mean for a worker's manners. All that ties
// it to a crawl, a coordinator and a disk is the caller's.
func WorkerConfig(s *job.Settings) crawler.Config {
	return crawler.Config{
		Robots: robotsPolicy(s.Robots), RobotsAgents: []string{s.RobotsAgent},
		Tries: s.Tries, Connections: s.Connections, PerOrigin: s.PerOrigin, Outlinks: s.WARCOutlinks,
		CrawlDelay: !s.MaxRateGiven, Deadline: s.Deadline, Limit: s.LimitURLs,
	}
}

func robotsPolicy(s string) crawler.RobotsPolicy {
	switch s {
	case "strict":
		return crawler.RobotsStrict
	case "ignore":
		return crawler.RobotsIgnore
	}
	return crawler.RobotsObey
}

// StartPace is what a host begins with: two requests a second, less where the
// ceiling is lower.
func StartPace(s *job.Settings) salvor.Pace {
	if s.Pace() >= salvor.Unlimited {
		return salvor.Unlimited
	}
	return min(salvor.PerSecond(2), s.Pace())
}

const (
	// writers is how many segments are open at once: two keep two cores busy.
	writers = 2
	// segmentAge seals a segment: what a lost disk can take with it that was not
	// copied elsewhere stays below an hour's work.
	segmentAge = time.Hour

	// With another machine's Store, a segment is sealed soon: what it holds
	// settles only there. Small ones wait a little, since every object costs.
	remoteSize     = 256 << 20
	remoteAge      = time.Minute
	remoteSmall    = 5 << 20
	remoteSmallAge = 5 * time.Minute
	// remoteExchanges bounds how many captures wait for one segment.
	remoteExchanges = 25_000
)

// PoolConfig is how segments are named and cut. elsewhere says that the Store
// is on another machine. Directory, Store, node and reports are the caller's.
func PoolConfig(s *job.Settings, elsewhere bool) warc.PoolConfig {
	c := warc.PoolConfig{Writers: writers, MaxSize: s.WARCMaxSize, MaxAge: segmentAge, Prefix: filePrefix(s.WARCPrefix)}
	if elsewhere {
		c.MaxSize, c.MaxAge = min(c.MaxSize, remoteSize), remoteAge
		c.MinSize, c.SmallAge, c.MaxExchanges, c.Journals = remoteSmall, remoteSmallAge, remoteExchanges, true
	}
	return c
}

// filePrefix keeps letters, digits, - and _ of a segment's prefix: a host's
// name has dots, and file names are taken apart at them.
func filePrefix(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z' {
			return r
		}
		return '-'
	}, s)
	if clean = strings.TrimLeft(clean, "-"); clean == "" {
		return "salvor"
	}
	return clean[:min(len(clean), 80)]
}

// Warcinfo is the first record of every segment. settings is their JSON,
// version that of the program.
func Warcinfo(s *job.Settings, settings []byte, seeds []string, version string) warc.Warcinfo {
	w := warc.Warcinfo{
		Software: "salvor/" + version, Operator: s.Operator, IsPartOf: s.Name, Description: s.Description,
		Robots: s.Robots, UserAgent: s.UserAgent, Settings: string(settings), Fields: s.WARCHeaders,
		Scope: fmt.Sprintf("%s, max-hops %d, extra-hops %d", s.Scope, s.MaxHops, s.ExtraHops),
		Seeds: seeds,
	}
	if s.Contact != "" {
		w.Fields = append([][2]string{{"contact", s.Contact}}, w.Fields...)
	}
	return w
}
