package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// systemResolver asks the servers of /etc/resolv.conf itself, because only so
// the records' time to live and text are known. What is in /etc/hosts, has no
// dot or cannot be asked there goes to Go's resolver.
type systemResolver struct {
	servers  []string
	timeout  time.Duration
	attempts int
	hosts    map[string]bool
	system   *net.Resolver
}

// newSystemResolver reads the system's settings, once.
func newSystemResolver() *systemResolver {
	r := &systemResolver{hosts: hostNames("/etc/hosts"), system: net.DefaultResolver, timeout: 5 * time.Second, attempts: 2}
	conf, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return r // as without servers: Go's resolver knows its own ways
	}
	for _, s := range conf.Servers {
		r.servers = append(r.servers, net.JoinHostPort(s, conf.Port))
	}
	r.timeout, r.attempts = time.Duration(conf.Timeout)*time.Second, conf.Attempts
	return r
}

// hostNames lists the names of a hosts file.
func hostNames(path string) map[string]bool {
	names := map[string]bool{}
	text, err := os.ReadFile(path)
	if err != nil {
		return names
	}
	for l := range strings.Lines(string(text)) {
		l, _, _ = strings.Cut(l, "#")
		if f := strings.Fields(l); len(f) > 1 {
			for _, n := range f[1:] {
				names[strings.ToLower(n)] = true
			}
		}
	}
	return names
}

// Resolve implements Resolver.
func (r *systemResolver) Resolve(ctx context.Context, name string) (*Resolution, error) {
	bare := strings.TrimSuffix(name, ".")
	if len(r.servers) == 0 || r.hosts[bare] || !strings.Contains(bare, ".") || bare == "localhost" || strings.HasSuffix(bare, ".localhost") {
		return r.ask(ctx, bare)
	}
	res, err := r.query(ctx, bare)
	if err == nil || errors.Is(err, ErrNoSuchHost) || ctx.Err() != nil {
		return res, err
	}
	if res, err2 := r.ask(ctx, bare); err2 == nil {
		return res, nil
	}
	return nil, err
}

// ask is Go's resolver; it tells no time to live.
func (r *systemResolver) ask(ctx context.Context, name string) (*Resolution, error) {
	addrs, err := r.system.LookupNetIP(ctx, "ip", name)
	if de, ok := errors.AsType[*net.DNSError](err); ok && de.IsNotFound {
		return nil, fmt.Errorf("%w: %w", ErrNoSuchHost, err)
	}
	if err != nil {
		return nil, err
	}
	res := &Resolution{Name: name, Time: time.Now().UTC(), TTL: minTTL}
	for _, a := range addrs {
		res.Addresses = append(res.Addresses, a.Unmap())
	}
	res.Text = res.Time.Format("20060102150405") + "\n"
	for _, a := range res.Addresses {
		res.Text += recordText(name, uint32(minTTL/time.Second), a)
	}
	return res, nil
}

// query asks for A and AAAA at once.
func (r *systemResolver) query(ctx context.Context, name string) (*Resolution, error) {
	type reply struct {
		msg    *dns.Msg
		server string
		err    error
	}
	v6 := make(chan reply, 1)
	go func() {
		m, s, err := r.exchange(ctx, name, dns.TypeAAAA)
		v6 <- reply{m, s, err}
	}()
	m, server, err := r.exchange(ctx, name, dns.TypeA)
	six := <-v6
	if err != nil && six.err != nil {
		return nil, err
	}
	if err != nil {
		server = six.server
	}
	res := &Resolution{Name: name, Time: time.Now().UTC(), TTL: maxTTL}
	res.Server, _ = netip.ParseAddrPort(server)
	res.Text = res.Time.Format("20060102150405") + "\n"
	res.add(m)
	res.add(six.msg)
	if len(res.Addresses) == 0 {
		return nil, noAddress(name, errors.Join(err, six.err))
	}
	return res, nil
}

// noAddress is final only when both answers were given.
func noAddress(name string, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", ErrNoSuchHost, name)
}

// add takes the records of one answer.
func (res *Resolution) add(m *dns.Msg) {
	if m == nil {
		return
	}
	for _, rr := range m.Answer {
		var addr netip.Addr
		switch rr := rr.(type) {
		case *dns.A:
			addr, _ = netip.AddrFromSlice(rr.A.To4())
		case *dns.AAAA:
			addr, _ = netip.AddrFromSlice(rr.AAAA.To16())
		case *dns.CNAME:
		default:
			continue
		}
		res.TTL = min(res.TTL, time.Duration(rr.Header().Ttl)*time.Second)
		res.Text += strings.ReplaceAll(rr.String(), "\t\t", "\t") + "\n"
		if addr.IsValid() && !slices.Contains(res.Addresses, addr) {
			res.Addresses = append(res.Addresses, addr)
		}
	}
}

// recordText is one record as Heritrix writes it.
func recordText(name string, ttl uint32, a netip.Addr) string {
	kind := "A"
	if a.Is6() {
		kind = "AAAA"
	}
	return fmt.Sprintf("%s\t%d\tIN\t%s\t%s\n", dns.Fqdn(name), ttl, kind, a)
}

// exchange asks the servers in turn, over TCP where the answer did not fit.
func (r *systemResolver) exchange(ctx context.Context, name string, kind uint16) (*dns.Msg, string, error) {
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	q.SetEdns0(1232, false)
	err := errors.New("no name server")
	for range max(1, r.attempts) {
		for _, server := range r.servers {
			var m *dns.Msg
			if m, err = r.exchangeOnce(ctx, q, server); err == nil {
				return m, server, nil
			}
			if ctx.Err() != nil {
				return nil, "", err
			}
		}
	}
	return nil, "", err
}

func (r *systemResolver) exchangeOnce(ctx context.Context, q *dns.Msg, server string) (*dns.Msg, error) {
	c := dns.Client{Timeout: r.timeout}
	m, _, err := c.ExchangeContext(ctx, q, server)
	if err == nil && m.Truncated {
		c.Net = "tcp"
		m, _, err = c.ExchangeContext(ctx, q, server)
	}
	if err != nil {
		return nil, fmt.Errorf("ask name server %s: %w", server, err)
	}
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return nil, fmt.Errorf("name server %s answered %s for %s", server, dns.RcodeToString[m.Rcode], q.Question[0].Name)
	}
	return m, nil
}
