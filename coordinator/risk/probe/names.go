package probe

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"salvor"
	"salvor/coordinator/risk"
)

//go:embed parking.txt
var parkingText string

const (
	namesEvery  = 15 * time.Minute
	namesWithin = 10 * time.Second
)

// names asks name servers about a host and its domain.
type names struct {
	w       witness
	dial    Dialer
	servers []string // the first is the usual one, the second confirms
	parking []string
	own     *authorities // nil: not asked
	asn     *ASN         // nil: networks are told by address

	mu   sync.Mutex
	last map[string]zone // by host, of the look before
}

// zone is what the last look found of a host's name: enough to see that it moved.
type zone struct {
	servers  []string             // registered domains of its name servers
	networks map[string]time.Time // AS or /16 of its IPv4 addresses, and when each was seen last
	ttl      time.Duration        // the longest that its authorities told within rotation
	ttlAt    time.Time            // when they did
}

// rotation is for how long networks are remembered between which a name changes.
const rotation = 7 * 24 * time.Hour

// newNames asks the given servers, or those of the system; without third only the
// first of those.
func newNames(w witness, dial Dialer, servers []string, third bool) (*names, error) {
	if len(servers) == 0 {
		c, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil || len(c.Servers) == 0 {
			return nil, salvor.Errorf(salvor.Unavailable, "no name server is known").WithHint("name some: --probe-resolver 192.0.2.53:53")
		}
		for _, s := range c.Servers {
			servers = append(servers, net.JoinHostPort(s, c.Port))
		}
	}
	if !third {
		servers = servers[:1]
	}
	n := &names{w: w, dial: dial, servers: servers, last: map[string]zone{}}
	if third {
		n.own = &authorities{n, "53"}
	}
	for s := bufio.NewScanner(strings.NewReader(parkingText)); s.Scan(); {
		if line := strings.TrimSpace(s.Text()); line != "" && line[0] != '#' {
			n.parking = append(n.parking, line)
		}
	}
	return n, nil
}

func (*names) Name() string         { return "names" }
func (*names) Every() time.Duration { return namesEvery }

// Look implements Looker.
func (l *names) Look(ctx context.Context, t Target) ([]risk.Observation, error) {
	host, _, err := net.SplitHostPort(t.Host)
	if err != nil {
		host = t.Host
	}
	if net.ParseIP(strings.Trim(host, "[]")) != nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, namesWithin)
	defer cancel()
	rcode, addresses, err := l.exists(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("ask for the name %s: %w", host, err)
	}
	missing := rcode == dns.RcodeNameError
	if missing && l.own != nil && host == risk.SiteOf(host) {
		if is, ok := l.own.delegated(ctx, host); ok && is {
			missing = false // its servers fail to say so, but the domain is there
		}
	}
	seen := []risk.Observation{l.say(t, risk.SigNXDomain, missing, host+" does not exist"),
		l.say(t, risk.SigDNSFailure, rcode == dns.RcodeServerFailure, "SERVFAIL for "+host)}
	if rcode != dns.RcodeSuccess {
		return seen, nil
	}
	ns, err := l.ask(ctx, l.servers[0], risk.SiteOf(host), dns.TypeNS)
	if err != nil {
		return seen, nil // the name is there: that its servers' names are not told says nothing
	}
	parked, now, servers := "", zone{networks: l.networks(addresses.Answer)}, serversOf(ns)
	for _, s := range servers {
		if l.parks(s) {
			parked = s
		}
		if d := risk.SiteOf(s); !slices.Contains(now.servers, d) {
			now.servers = append(now.servers, d)
		}
	}
	seen = append(seen, l.say(t, risk.SigParkedNS, parked != "", "its name server is "+parked))
	if l.own != nil && len(servers) > 0 {
		own := l.own.look(ctx, t, host, servers)
		if slices.ContainsFunc(own, func(o risk.Observation) bool { return o.Signal == risk.SigDNSFailure }) {
			seen = slices.DeleteFunc(seen, func(o risk.Observation) bool { return o.Signal == risk.SigDNSFailure })
		}
		seen = append(seen, own...)
	}
	return append(seen, l.moved(t, host, now)...), nil
}

// ttlOf notes a time to live, and returns the longest of the days before.
func (l *names) ttlOf(host string, now time.Duration) (was time.Duration, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	z := l.last[host]
	was, known = z.ttl, !z.ttlAt.IsZero()
	if !known || now >= was || l.w.now().Sub(z.ttlAt) > rotation {
		z.ttl, z.ttlAt = now, l.w.now()
		l.last[host] = z
	}
	return was, known
}

// moved says what changed since the looks of this node before: other name servers
// altogether, or a network that it was not in for a week. Some change every day.
func (l *names) moved(t Target, host string, now zone) (out []risk.Observation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.last) > 2*MostTargets { // hosts that are no target any more
		clear(l.last)
	}
	was, known := l.last[host]
	now.ttl, now.ttlAt = was.ttl, was.ttlAt
	if known && apart(was.servers, now.servers) {
		out = append(out, l.w.saw(t, risk.SigNSChanged, strings.Join(was.servers, " ")+" -> "+strings.Join(now.servers, " ")))
	}
	before, after := slices.Sorted(maps.Keys(was.networks)), slices.Sorted(maps.Keys(now.networks))
	if known && apart(before, after) {
		out = append(out, l.w.saw(t, risk.SigAddressChanged, strings.Join(before, " ")+" -> "+strings.Join(after, " ")))
	}
	if len(now.servers) == 0 {
		now.servers = was.servers
	}
	for n, at := range was.networks {
		if _, again := now.networks[n]; !again && l.w.now().Sub(at) < rotation {
			now.networks[n] = at
		}
	}
	l.last[host] = now
	return out
}

// apart says that two sets, neither of them empty, have nothing in common.
func apart(a, b []string) bool {
	return len(a) > 0 && len(b) > 0 && !slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

func (l *names) networks(answer []dns.RR) map[string]time.Time {
	out := map[string]time.Time{}
	for _, rr := range answer {
		x, ok := rr.(*dns.A)
		if !ok {
			continue
		}
		a, ok := netip.AddrFromSlice(x.A.To4())
		if !ok {
			continue
		}
		if as := l.asn.Of(a); as != "" {
			out[as] = l.w.now()
		} else if p, err := a.Prefix(16); err == nil {
			out[p.String()] = l.w.now()
		}
	}
	return out
}

func (l *names) say(t Target, signal string, is bool, text string) risk.Observation {
	if is {
		return l.w.saw(t, signal, text)
	}
	return l.w.missed(t, signal)
}

func (l *names) parks(server string) bool {
	server = strings.ToLower(strings.TrimSuffix(server, "."))
	for _, p := range l.parking {
		if server == p || strings.HasSuffix(server, "."+p) {
			return true
		}
	}
	return false
}

// exists asks whether a name has addresses. That it does not exist, or its servers
// fail, must be confirmed by another server where there is one: a filter says so
// too.
func (l *names) exists(ctx context.Context, host string) (rcode int, answer *dns.Msg, err error) {
	rcode = -1
	for i, s := range l.servers[:min(len(l.servers), 2)] {
		a, aerr := l.ask(ctx, s, host, dns.TypeA)
		if aerr == nil && a.Rcode != dns.RcodeSuccess && a.Rcode != dns.RcodeNameError && a.Rcode != dns.RcodeServerFailure {
			aerr = salvor.Errorf(salvor.Unavailable, "%s answers %s", s, dns.RcodeToString[a.Rcode])
		}
		switch {
		case aerr != nil:
			err = errors.Join(err, aerr)
			continue
		case a.Rcode == dns.RcodeSuccess:
			return a.Rcode, a, nil
		case i > 0 && rcode >= 0 && a.Rcode != rcode: // they disagree
			return dns.RcodeSuccess, new(dns.Msg), nil
		}
		rcode = a.Rcode
	}
	if rcode < 0 || err != nil { // nobody confirms it
		return 0, nil, err
	}
	return rcode, nil, nil
}

// ask sends one question over UDP, and over TCP where the answer was cut.
func (l *names) ask(ctx context.Context, server, name string, kind uint16) (*dns.Msg, error) {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), kind)
	q.SetEdns0(1232, false)
	for _, network := range []string{"udp", "tcp"} {
		a, err := l.exchange(ctx, network, server, q)
		if err != nil || !a.Truncated {
			return a, err
		}
	}
	return nil, salvor.Errorf(salvor.Unavailable, "%s cuts its answers", server)
}

func (l *names) exchange(ctx context.Context, network, server string, q *dns.Msg) (*dns.Msg, error) {
	raw, err := l.dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	c := &dns.Conn{Conn: raw, UDPSize: 1232}
	defer c.Close()
	if end, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(end); err != nil {
			return nil, err
		}
	}
	if err := c.WriteMsg(q); err != nil {
		return nil, err
	}
	a, err := c.ReadMsg()
	if err == nil && a.Id != q.Id {
		err = salvor.Errorf(salvor.Unavailable, "%s answers another question", server)
	}
	return a, err
}
