// Package robots reads robots.txt and answers what it allows, by RFC 9309.
//
// It is for the worker, which asks before every fetch, and for the
// coordinator's copy of an origin's rules, which is the text that Text gives:
// it parses again to the same answers. Nothing in a file is an error; what is
// not understood is skipped.
package robots

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// MaxSize is how much of a file is read (RFC 9309 2.5: at least 500 KiB).
const MaxSize = 500 << 10

// maxRules bounds the work of one match.
const maxRules = 20000

// MaxDelay is the longest Crawl-delay that is reported.
const MaxDelay = 24 * time.Hour

// File is what a robots.txt says to one crawler.
type File struct {
	agents   []string
	rules    []rule
	delay    time.Duration
	named    bool // a group names one of our agents; the * group is not ours
	sitemaps []string
}

type rule struct {
	allow   bool
	text    string // as written
	pattern string // normalised: what Allowed compares
	length  int    // octets of pattern, its specificity
	plain   bool   // neither * nor a final $
}

// parser walks the lines. Rules of a group for us and of groups for everybody
// are kept apart, because only the end of the file tells which count.
type parser struct {
	agents     []string
	own, every part
	sitemaps   []string
	toOwn      bool // the group at hand names us
	toEvery    bool // the group at hand is for *
	inAgents   bool // the last line that counts was a User-agent
}

type part struct {
	seen  bool
	rules []rule
	delay time.Duration
}

// Parse reads a file for a crawler that goes by any of the product tokens in
// agents. Groups that name one of them are merged (RFC 9309 2.2.1); without
// one, the groups for * hold.
func Parse(body []byte, agents ...string) *File {
	p := parser{}
	for _, a := range agents {
		if t := token(a); t != "" {
			p.agents = append(p.agents, t)
		}
	}
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if len(body) > MaxSize {
		// A cut line could mean more than was written.
		body = body[:max(bytes.LastIndexAny(body[:MaxSize+1], "\r\n"), 0)]
	}
	for len(body) > 0 {
		line := body
		if i := bytes.IndexAny(body, "\r\n"); i >= 0 {
			line, body = body[:i], body[i+1:]
		} else {
			body = nil
		}
		p.line(line)
	}
	f := &File{agents: p.agents, sitemaps: p.sitemaps, named: p.own.seen}
	g := p.every
	if p.own.seen {
		g = p.own
	}
	f.rules, f.delay = g.rules, g.delay
	return f
}

func (p *parser) line(line []byte) {
	if i := bytes.IndexByte(line, '#'); i >= 0 {
		line = line[:i]
	}
	k, v, ok := bytes.Cut(line, []byte{':'})
	if !ok {
		return
	}
	key, value := strings.ToLower(string(trimSpace(k))), string(trimSpace(v))
	switch key {
	case "user-agent", "useragent", "user agent":
		p.agent(value)
	case "allow", "disallow":
		p.inAgents = false
		p.rule(key == "allow", value)
	case "crawl-delay", "crawldelay":
		// Not of RFC 9309: it ends no list of agents, so that it cannot split a group.
		p.delay(value)
	case "sitemap", "site-map":
		if value != "" && len(p.sitemaps) < 10000 {
			p.sitemaps = append(p.sitemaps, value)
		}
	}
}

// agent begins a group, or adds an agent to the one just begun.
func (p *parser) agent(value string) {
	if !p.inAgents {
		p.toOwn, p.toEvery = false, false
	}
	p.inAgents = true
	if strings.HasPrefix(value, "*") {
		p.toEvery, p.every.seen = true, true
		return
	}
	t := token(value)
	for _, a := range p.agents {
		if a == t {
			p.toOwn, p.own.seen = true, true
		}
	}
}

func (p *parser) rule(allow bool, value string) {
	if value == "" { // says nothing: an empty Disallow allows what is allowed anyway
		return
	}
	r := newRule(allow, value)
	for _, g := range p.groups() {
		if len(g.rules) < maxRules {
			g.rules = append(g.rules, r)
		}
	}
}

func (p *parser) delay(value string) {
	s, err := strconv.ParseFloat(value, 64)
	if err != nil || !(s > 0) {
		return
	}
	d := MaxDelay
	if s < MaxDelay.Seconds() {
		d = time.Duration(s * float64(time.Second))
	}
	for _, g := range p.groups() {
		g.delay = max(g.delay, d)
	}
}

func (p *parser) groups() (g []*part) {
	if p.toOwn {
		g = append(g, &p.own)
	}
	if p.toEvery {
		g = append(g, &p.every)
	}
	return g
}

// token is the product token at the beginning of a user agent, in lower case
// (RFC 9309 2.2.1: letters, _ and -).
func token(agent string) string {
	agent = strings.TrimSpace(agent)
	i := 0
	for i < len(agent) && (isAlpha(agent[i]) || agent[i] == '_' || agent[i] == '-') {
		i++
	}
	return strings.ToLower(agent[:i])
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func trimSpace(b []byte) []byte { return bytes.Trim(b, " \t\v\f\x00") }
