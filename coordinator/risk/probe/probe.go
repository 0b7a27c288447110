// Package probe looks at sites from the outside and says what it saw: pages, names,
// certificates, and what registries tell of domains.
//
// It is for the coordinator that leads group 0, on a spread schedule, and for a
// person who asks once. What is seen are risk.Observations; what they weigh is not
// decided here. Every look is bounded in time and in bytes, dials only through the
// guard that it is given, and sends nothing to third parties (registries, other
// resolvers) unless it is told to.
package probe

import (
	"context"
	"errors"
	"net"
	"time"

	"salvor/coordinator/risk"
)

// Looker looks at one host of a site. An error says that nothing could be seen,
// for a reason of ours; what is wrong with the host is an observation.
type Looker interface {
	Name() string
	Every() time.Duration // between two looks at a host
	Look(ctx context.Context, t Target) ([]risk.Observation, error)
}

// Target is what is looked at.
type Target struct {
	Site string
	Host string // with a port where it is not the usual one
	TLS  bool   // its pages are asked for over https
}

// Dialer opens connections for probes; it refuses what must not be dialled.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// witness signs what this node sees.
type witness struct {
	vantage risk.Vantage
	now     func() time.Time
}

func (w witness) saw(t Target, signal, detail string) risk.Observation {
	return risk.Observation{Site: t.Site, Signal: signal, Subject: t.Host, Detail: clip(detail), At: w.now().UTC(), Vantage: w.vantage}
}

// missed says that a signal was looked for and is not there.
func (w witness) missed(t Target, signal string) risk.Observation {
	o := w.saw(t, signal, "")
	o.Absent = true
	return o
}

// clip makes a text a tidy line of at most risk.MaxDetail bytes.
func clip(s string) string {
	b := make([]rune, 0, len(s))
	n := 0
	for _, r := range s {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\uFFFD' {
			r = ' '
		}
		if n += len(string(r)); n > risk.MaxDetail {
			break
		}
		b = append(b, r)
	}
	return string(b)
}

// Kit is what lookers are made with.
type Kit struct {
	Vantage risk.Vantage
	Dial    Dialer           // of hosts and registries
	DNS     Dialer           // of name servers, which may be on this machine
	Now     func() time.Time // nil: time.Now
	// Third allows asking third parties: registries, and other name servers than the
	// system's.
	Third     bool
	Resolvers []string // host:port of name servers to ask; none: those of the system
	WHOIS     string   // host:port of who knows the servers of top-level domains; "": IANA's
	ASN       *ASN     // who announces an address; nil: nobody says
	Bootstrap []byte   // of RDAP, the form of RFC 9224; nil: the one that is shipped
}

// Lookers are all that a Kit allows.
func (k Kit) Lookers() ([]Looker, error) {
	if k.Now == nil {
		k.Now = time.Now
	}
	w := witness{k.Vantage, k.Now}
	pages, err := newPages(w, k.Dial)
	if err != nil {
		return nil, err
	}
	out := []Looker{pages, &content{pages}, newCerts(w, k.Dial)}
	names, err := newNames(w, k.DNS, k.Resolvers, k.Third)
	if err == nil {
		names.asn = k.ASN
		out = append(out, names)
	}
	if k.Third {
		rdap, rerr := newRDAP(w, k.Dial, k.Bootstrap, k.WHOIS)
		if rerr != nil {
			return nil, rerr
		}
		out = append(out, rdap)
	}
	return out, nil
}

// All looks once with every looker, and joins what could not be seen.
func All(ctx context.Context, lookers []Looker, t Target) (seen []risk.Observation, err error) {
	for _, l := range lookers {
		o, lerr := l.Look(ctx, t)
		seen, err = append(seen, o...), errors.Join(err, lerr)
	}
	return seen, err
}
