package rescue

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"salvor/cmd/salvor/internal/job"
	"salvor/crawler/canon"
	"salvor/crawler/fetch"
	"salvor/warc"
)

// fetchConfig is what the settings mean for the recording transport.
func fetchConfig(s *job.Settings, seeds []job.Seed, spool string) fetch.Config {
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
func hostsOf(seeds []job.Seed) func(host string) bool {
	bare := func(host string) string { return strings.TrimPrefix(strings.Trim(host, "[]"), "www.") }
	named := map[string]bool{}
	for _, s := range seeds {
		if u, err := canon.Parse(s.URL); err == nil {
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

// warcinfo is the first record of every segment.
func (r *rescue) warcinfo(string) warc.Warcinfo {
	s := &r.job.Settings
	_, crawl := r.rules()
	w := warc.Warcinfo{
		Software: "salvor/" + r.job.Version, Operator: s.Operator, IsPartOf: s.Name, Description: s.Description,
		Robots: s.Robots, UserAgent: s.UserAgent, Settings: string(crawl.Settings), Fields: s.WARCHeaders,
		Scope: fmt.Sprintf("%s, max-hops %d, extra-hops %d", s.Scope, s.MaxHops, s.ExtraHops),
	}
	if s.Contact != "" {
		w.Fields = append([][2]string{{"contact", s.Contact}}, w.Fields...)
	}
	for _, seed := range r.job.Seeds {
		w.Seeds = append(w.Seeds, seed.URL)
	}
	return w
}
