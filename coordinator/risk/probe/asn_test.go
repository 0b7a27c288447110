package probe

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/miekg/dns"

	"salvor"
)

// asnFile makes a database (MaxMind DB 2.0) of two networks: addresses below
// 128.0.0.0 are of AS64500, the others of AS64501.
func asnFile(t *testing.T) string {
	t.Helper()
	text := func(s string) []byte { return append([]byte{2<<5 | byte(len(s))}, s...) }
	num := func(kind byte, n int) []byte {
		return []byte{kind<<5 | 4, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	}
	num16 := func(n int) []byte { return []byte{5<<5 | 2, byte(n >> 8), byte(n)} }
	join := func(parts ...[]byte) (out []byte) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	record := func(as int) []byte {
		return join([]byte{7<<5 | 1}, text("autonomous_system_number"), num(6, as))
	}
	a, b := record(64500), record(64501)
	const nodes = 1
	left, right := nodes+16, nodes+16+len(a)
	tree := []byte{0, 0, byte(left), 0, 0, byte(right)}
	meta := join([]byte("\xab\xcd\xefMaxMind.com"), []byte{7<<5 | 9},
		text("node_count"), num(6, nodes), text("record_size"), num16(24), text("ip_version"), num16(4),
		text("database_type"), text("Test-ASN"), text("languages"), []byte{0, 4},
		text("binary_format_major_version"), num16(2), text("binary_format_minor_version"), num16(0),
		text("build_epoch"), []byte{1, 2, 1}, text("description"), []byte{7 << 5})
	file := filepath.Join(t.TempDir(), "asn.mmdb")
	if err := os.WriteFile(file, join(tree, make([]byte, 16), a, b, meta), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestASN: a site that moves within its network has not moved.
func TestASN(t *testing.T) {
	a, err := OpenASN(asnFile(t))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for at, want := range map[string]string{"10.0.0.1": "AS64500", "192.0.2.1": "AS64501", "::ffff:192.0.2.1": "AS64501"} {
		if got := a.Of(netip.MustParseAddr(at)); got != want {
			t.Errorf("%s is of %q, want %q", at, got, want)
		}
	}
	l := &names{w: witness{kit(Kit{}).Vantage, kit(Kit{}).Now}, last: map[string]zone{}, asn: a}
	for i, step := range []struct{ ip, want string }{{"192.0.2.1", ""}, {"203.0.113.1", ""}, {"10.1.2.3", "address-changed"}} {
		now := zone{networks: l.networks([]dns.RR{&dns.A{A: net.ParseIP(step.ip)}})}
		if got := signals(t, l.moved(Target{Site: "s", Host: "h"}, "h", now)); got != step.want {
			t.Errorf("look %d: %q, want %q", i, got, step.want)
		}
	}
	var none *ASN
	if none.Of(netip.MustParseAddr("192.0.2.1")) != "" || none.Close() != nil {
		t.Error("without a database something is known")
	}
}

func TestASNFiles(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.mmdb")
	if err := os.WriteFile(bad, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty.mmdb")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]salvor.ErrorClass{bad: salvor.Invalid, empty: salvor.Invalid, filepath.Join(t.TempDir(), "none"): salvor.NotFound} {
		if _, err := OpenASN(file); salvor.ClassOf(err) != want {
			t.Errorf("%s: %v", file, err)
		}
	}
}
