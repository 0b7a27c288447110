package fetch

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"salvor"
)

func TestGuard(t *testing.T) {
	g := guard{[]netip.Prefix{netip.MustParsePrefix("10.9.0.0/16"), netip.MustParsePrefix("fd00:1::/32")}}
	for addr, open := range map[string]bool{
		"93.184.216.34": true, "1.1.1.1": true, "100.63.255.255": true, "100.128.0.1": true, "172.15.0.1": true,
		"172.32.0.1": true, "223.255.255.255": true, "2606:2800:220:1::1": true, "2001:4860:4860::8888": true,
		"64:ff9b::5db8:d822": true, "2002:5db8:d822::1": true, "::ffff:93.184.216.34": true,
		"10.9.1.1": true, "::ffff:10.9.1.1": true, "64:ff9b::a09:101": true, "fd00:1::1": true,

		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "100.64.0.1": false, "100.100.100.200": false,
		"127.0.0.1": false, "127.255.255.255": false, "168.63.129.16": false, "169.254.169.254": false,
		"172.16.0.1": false, "172.31.255.255": false, "192.0.0.192": false, "192.168.1.1": false, "198.18.0.1": false,
		"224.0.0.1": false, "239.255.255.250": false, "255.255.255.255": false, "240.0.0.1": false,
		"::": false, "::1": false, "::7f00:1": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false,
		"::ffff:0:127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::1": false,
		"2002:7f00:1::": false, "2002:a00:1::1": false, "2001:0:53aa:64c::1": false, "fe80::1": false, "fe80::1%eth0": false,
		"fec0::1": false, "fc00::1": false, "fd00:ec2::254": false, "ff02::1": false, "2001:db8::1": false,
		"2606:2800::5efe:10.0.0.1": false, "2606:2800::200:5efe:192.168.0.1": false, "100::1": false,
	} {
		err := g.check(netip.MustParseAddr(addr))
		if (err == nil) != open {
			t.Errorf("%s: %v, want open %t", addr, err, open)
		}
		if e, ok := errors.AsType[*Error](err); err != nil && (!ok || e.Class != ClassRefused || e.Transient()) {
			t.Errorf("%s: %v is not a final refusal", addr, err)
		}
	}
	if g.check(netip.Addr{}) == nil {
		t.Error("the zero address passes")
	}
}

// TestGuardSpellings: however loopback is written, it is not reached.
func TestGuardSpellings(t *testing.T) {
	server := pageServer(t)
	port := server[strings.LastIndexByte(server, ':')+1:]
	port = strings.TrimSuffix(port, "/page")
	c := newClient(t, Config{})
	for _, host := range []string{
		"127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f.1", "0x7f000001", "017700000001", "0177.0.0.01", "127.0.0.1.",
		"localhost", "LOCALHOST", "localhost.", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]",
		"0", "0.0.0.0", "[::]", "１２７.０.０.１", "127。0。0。1", "%31%32%37.0.0.1", "user@127.0.0.1", "①②⑦.0.0.1",
	} {
		_, err := c.Fetch(t.Context(), Request{URL: "http://" + host + ":" + port + "/page"})
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Class != ClassRefused {
			t.Errorf("%s: %v, want refused_address", host, err)
			continue
		}
		if salvor.ClassOf(err) != salvor.Forbidden || !strings.Contains(salvor.HintOf(err), "--allow-net ") {
			t.Errorf("%s: class %v, hint %q", host, salvor.ClassOf(err), salvor.HintOf(err))
		}
	}
}

// TestGuardAtDial: an address that came past the first look does not come
// past the socket.
func TestGuardAtDial(t *testing.T) {
	server := strings.TrimSuffix(strings.TrimPrefix(pageServer(t), "http://"), "/page")
	addr := netip.MustParseAddrPort(server)
	c := newClient(t, Config{})
	_, err := c.dialer.dialTCP(t.Context(), true, addr)
	if e, ok := errors.AsType[*Error](err); !ok || e.Class != ClassRefused {
		t.Errorf("guarded dial: %v", err)
	}
	conn, err := c.dialer.dialTCP(t.Context(), false, addr)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// TestGuardRebinding: a name that answers with a public address first and a
// private one later is refused later, and some private addresses among public
// ones are left out.
func TestGuardRebinding(t *testing.T) {
	answers := [][]string{{"10.0.0.1", "93.184.216.34", "::1"}, {"10.0.0.1"}}
	calls := 0
	r := resolverFunc(func(name string) (*Resolution, error) {
		res := &Resolution{Name: name}
		for _, a := range answers[calls] {
			res.Addresses = append(res.Addresses, netip.MustParseAddr(a))
		}
		calls++
		return res, nil
	})
	c := newClient(t, Config{Resolver: r})
	key := originKey{host: "rebind.test", port: 80}
	addrs, _, err := c.dialer.addresses(t.Context(), key)
	if err != nil || len(addrs) != 1 || addrs[0].String() != "93.184.216.34" {
		t.Errorf("first answer gives %v, %v", addrs, err)
	}
	clear(c.dialer.dns.names)
	if addrs, _, err = c.dialer.addresses(t.Context(), key); err == nil {
		t.Errorf("second answer gives %v", addrs)
	}
}

type resolverFunc func(name string) (*Resolution, error)

func (f resolverFunc) Resolve(_ context.Context, name string) (*Resolution, error) { return f(name) }
