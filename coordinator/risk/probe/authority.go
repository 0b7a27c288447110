package probe

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"

	"salvor/coordinator/risk"
)

// authorities asks a domain's own name servers, and those of the zone above it, past
// all caches: how long answers may be kept, whether the servers know the domain at
// all, and whether it is delegated to them. It is used where third parties may be
// asked.
type authorities struct {
	l    *names
	port string // 53
}

const (
	// mostAsked is how many servers of a zone are asked.
	mostAsked = 2
	// longTTL is what a time to live must have been for its fall to count, and
	// fallen by how much it must be shorter. Dynamic names are short at all times.
	longTTL = time.Hour
	fallen  = 8
)

// look tells of a host whose name exists; servers are those of its domain.
func (a *authorities) look(ctx context.Context, t Target, host string, servers []string) (out []risk.Observation) {
	ttl, lame, asked := time.Duration(-1), 0, 0
	for _, s := range servers[:min(len(servers), mostAsked)] {
		r, err := a.direct(ctx, s, host, dns.TypeA)
		if err != nil {
			continue // that it cannot be reached from here says nothing of it
		}
		asked++
		if !r.Authoritative || r.Rcode == dns.RcodeRefused || r.Rcode == dns.RcodeServerFailure {
			lame++
			continue
		}
		for _, rr := range r.Answer {
			if rr.Header().Rrtype == dns.TypeA {
				ttl = time.Duration(rr.Header().Ttl) * time.Second
			}
		}
	}
	if asked == mostAsked {
		out = append(out, a.l.say(t, risk.SigDNSFailure, lame == asked, "its name servers do not know it: "+strings.Join(servers[:mostAsked], " ")))
	}
	if ttl < 0 {
		return out
	}
	if was, known := a.l.ttlOf(host, ttl); known {
		out = append(out, a.l.say(t, risk.SigTTLDrop, was >= longTTL && ttl <= was/fallen, fmt.Sprintf("%s -> %s", was, ttl)))
	}
	return out
}

// delegated asks the zone above a domain whether it has it. ok is false where nobody
// could be asked.
func (a *authorities) delegated(ctx context.Context, domain string) (is, ok bool) {
	_, above, _ := strings.Cut(domain, ".")
	if above == "" {
		return false, false
	}
	r, err := a.l.ask(ctx, a.l.servers[0], above, dns.TypeNS)
	if err != nil {
		return false, false
	}
	for _, s := range serversOf(r)[:min(len(serversOf(r)), mostAsked)] {
		r, err := a.direct(ctx, s, domain, dns.TypeNS)
		if err != nil || r.Rcode != dns.RcodeSuccess && r.Rcode != dns.RcodeNameError {
			continue
		}
		return r.Rcode == dns.RcodeSuccess && len(serversOf(r)) > 0, true
	}
	return false, false
}

// direct asks one name server by its own address.
func (a *authorities) direct(ctx context.Context, server, name string, kind uint16) (*dns.Msg, error) {
	at, err := a.l.ask(ctx, a.l.servers[0], server, dns.TypeA)
	if err != nil {
		return nil, err
	}
	for _, rr := range at.Answer {
		if x, ok := rr.(*dns.A); ok {
			return a.l.ask(ctx, net.JoinHostPort(x.A.String(), a.port), name, kind)
		}
	}
	return nil, fmt.Errorf("%s has no address", server)
}

// serversOf are the name servers that an answer or a referral names.
func serversOf(r *dns.Msg) (out []string) {
	for _, rr := range append(append([]dns.RR{}, r.Answer...), r.Ns...) {
		if x, ok := rr.(*dns.NS); ok {
			out = append(out, x.Ns)
		}
	}
	return out
}
