package fetch

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"salvor"
)

// guard keeps the crawler off addresses that are not the public Internet: a
// page, a redirect or a name server must not make it reach the operator's
// network or a cloud's metadata service. It is asked with the address that is
// about to be connected, so no spelling, redirect or rebinding passes it by.
type guard struct{ allow []netip.Prefix }

type special struct {
	prefix netip.Prefix
	reason string
}

// specials are the address blocks that are not public: the IANA special
// purpose registries (RFC 6890 and its updates), multicast, and metadata
// services that clouds put on public addresses.
var specials = makeSpecials([][2]string{
	{"0.0.0.0/8", "unspecified"},
	{"10.0.0.0/8", "private"},
	{"100.64.0.0/10", "shared by a carrier's NAT"},
	{"127.0.0.0/8", "loopback"},
	{"168.63.129.16/32", "a cloud's metadata service"},
	{"169.254.0.0/16", "link-local, where metadata services are"},
	{"172.16.0.0/12", "private"},
	{"192.0.0.0/24", "reserved"},
	{"192.0.2.0/24", "for documentation"},
	{"192.88.99.0/24", "a 6to4 relay"},
	{"192.168.0.0/16", "private"},
	{"198.18.0.0/15", "for benchmarks"},
	{"198.51.100.0/24", "for documentation"},
	{"203.0.113.0/24", "for documentation"},
	{"224.0.0.0/4", "multicast"},
	{"240.0.0.0/4", "reserved or broadcast"},
	{"::/128", "unspecified"},
	{"::1/128", "loopback"},
	{"64:ff9b:1::/48", "local NAT64"},
	{"100::/64", "a sink"},
	{"2001::/32", "Teredo"},
	{"2001:2::/48", "for benchmarks"},
	{"2001:10::/28", "not routable"},
	{"2001:db8::/32", "for documentation"},
	{"3fff::/20", "for documentation"},
	{"5f00::/16", "for segment routing"},
	{"fc00::/7", "private"},
	{"fe80::/10", "link-local"},
	{"fec0::/10", "site-local"},
	{"ff00::/8", "multicast"},
})

func makeSpecials(table [][2]string) []special {
	s := make([]special, len(table))
	for i, row := range table {
		s[i] = special{netip.MustParsePrefix(row[0]), row[1]}
	}
	return s
}

// check refuses addr with an *Error, or lets it pass.
func (g *guard) check(addr netip.Addr) error {
	if !addr.IsValid() {
		return failf(ClassRefused, "not an IP address")
	}
	addr = addr.WithZone("").Unmap()
	if g.allowed(addr) {
		return nil
	}
	if reason := reasonOf(addr); reason != "" {
		return refused(reason, addr, netip.PrefixFrom(addr, addr.BitLen()).String())
	}
	inner, ok := embedded(addr)
	if !ok || g.allowed(inner) {
		return nil
	}
	if reason := reasonOf(inner); reason != "" {
		return refused("a way to "+inner.String()+", which is "+reason, addr, netip.PrefixFrom(inner, 32).String())
	}
	return nil
}

func (g *guard) allowed(addr netip.Addr) bool {
	for _, p := range g.allow {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func reasonOf(addr netip.Addr) string {
	for _, s := range specials {
		if s.prefix.Contains(addr) {
			return s.reason
		}
	}
	return ""
}

var (
	nat64  = netip.MustParsePrefix("64:ff9b::/96")
	sixTo4 = netip.MustParsePrefix("2002::/16")
	compat = netip.MustParsePrefix("::/96")
	siit   = netip.MustParsePrefix("::ffff:0:0:0/96")
)

// embedded is the IPv4 address a translator would make of an IPv6 one: NAT64
// (RFC 6052), 6to4 (RFC 3056), IPv4-compatible (RFC 4291), SIIT (RFC 2765)
// and ISATAP (RFC 5214).
func embedded(addr netip.Addr) (netip.Addr, bool) {
	if !addr.Is6() {
		return netip.Addr{}, false
	}
	b := addr.As16()
	last := netip.AddrFrom4([4]byte(b[12:]))
	switch {
	case nat64.Contains(addr), compat.Contains(addr), siit.Contains(addr):
		return last, true
	case sixTo4.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe:
		return last, true
	}
	return netip.Addr{}, false
}

// control is the last look: net.Dialer calls it with the very address of each
// attempt, before connect.
func (g *guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return failf(ClassRefused, "address %q of the dialler: %w", address, err)
	}
	return g.check(ap.Addr())
}

// localNames are the ends of names that are never of the public Internet
// (RFC 6761, 6762, 8375; ICANN's .internal): loopback, a local network, a
// cloud's metadata service.
var localNames = [...]string{".localhost", ".local", ".internal", ".home.arpa", ".lan", ".intranet", ".corp", ".home"}

// checkName refuses a name that only a proxy can resolve where it would lead
// into the proxy's own network. What any other name leads to is the proxy's to
// know: an address in its answer is seen by nobody here.
func (g *guard) checkName(host string) error {
	name := "." + strings.TrimSuffix(host, ".")
	local := !strings.Contains(name[1:], ".")
	for _, end := range localNames {
		local = local || strings.HasSuffix(name, end)
	}
	if !local {
		return nil
	}
	return &Error{Class: ClassRefused, Err: salvor.Errorf(salvor.Forbidden, "%s is a name of a local network, and nobody but the proxy could resolve it", host).
		WithHint("give it an address in /etc/hosts, and --allow-net that address if this crawl may reach it")}
}

// Guarded dials for others than a Client, with the same guard: what is not of the
// public Internet is refused with ClassRefused, unless allow has it now.
func Guarded(allow func() []netip.Prefix) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		g := guard{allow()}
		d := net.Dialer{Control: g.control}
		return d.DialContext(ctx, network, address)
	}
}
