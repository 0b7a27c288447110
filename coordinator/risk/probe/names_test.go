package probe

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// says is a server for which names have an outcome.
func says(rcode int, ns string) func(dns.Question) *dns.Msg {
	return func(q dns.Question) *dns.Msg {
		m := new(dns.Msg)
		if q.Qtype == dns.TypeNS && ns != "" {
			m.Answer = append(m.Answer, &dns.NS{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 60}, Ns: ns})
		}
		m.MsgHdr.Rcode = rcode
		return m
	}
}

// TestNames: that a name is gone must be confirmed, and a parked one is seen.
func TestNames(t *testing.T) {
	reply := func(rcode int, ns string) string {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			a := says(rcode, ns)(q.Question[0])
			answers := a.Answer
			a.SetReply(q)
			a.Rcode, a.Answer = rcode, answers
			_ = w.WriteMsg(a)
		})}
		go func() { _ = s.ActivateAndServe() }()
		t.Cleanup(func() { _ = s.Shutdown() })
		return pc.LocalAddr().String()
	}
	good, gone, sick, parked := reply(dns.RcodeSuccess, "ns1.example.net."), reply(dns.RcodeNameError, ""), reply(dns.RcodeServerFailure, ""), reply(dns.RcodeSuccess, "ns2.sedoparking.com.")
	for name, c := range map[string]struct {
		servers []string
		want    string
	}{
		"there":                    {[]string{good, good}, ""},
		"gone":                     {[]string{gone, gone}, "nxdomain"},
		"gone, says a filter":      {[]string{gone, good}, ""},
		"its servers fail":         {[]string{sick, sick}, "dns-failure"},
		"they disagree":            {[]string{gone, sick}, ""},
		"parked":                   {[]string{parked, parked}, "parked-ns"},
		"one that does not answer": {[]string{"127.0.0.1:1", good}, ""},
	} {
		l, err := newNames(witness{kit(Kit{}).Vantage, kit(Kit{}).Now}, kit(Kit{}).DNS, c.servers, true)
		if err != nil {
			t.Fatal(err)
		}
		seen, err := l.Look(t.Context(), Target{Site: "example.org", Host: "forum.example.org"})
		if got := signals(t, seen); err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

// in are networks that were seen at noon.
func in(networks ...string) map[string]time.Time {
	out := map[string]time.Time{}
	for _, n := range networks {
		out[n] = noon
	}
	return out
}

// TestMoves: other name servers or another network altogether are seen once, when
// they change.
func TestMoves(t *testing.T) {
	l, err := newNames(witness{kit(Kit{}).Vantage, kit(Kit{}).Now}, kit(Kit{}).DNS, []string{"127.0.0.1:1"}, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		z    zone
		want string
	}{
		{zone{servers: []string{"a.example"}, networks: in("203.0.0.0/16", "198.51.0.0/16")}, ""},
		{zone{servers: []string{"a.example"}, networks: in("198.51.0.0/16")}, ""},
		{zone{servers: []string{"a.example"}, networks: in("192.0.0.0/16")}, "address-changed"},
		{zone{servers: []string{"b.example"}, networks: in("203.0.0.0/16")}, "ns-changed"},
		{zone{servers: nil, networks: in()}, ""},
		{zone{servers: []string{"c.example"}, networks: in()}, "ns-changed"},
	} {
		if got := signals(t, l.moved(Target{Site: "s", Host: "h"}, "h", c.z)); got != c.want {
			t.Errorf("look %d: %q, want %q", i, got, c.want)
		}
	}
	r, err := newRDAP(witness{kit(Kit{}).Vantage, kit(Kit{}).Now}, kit(Kit{}).Dial, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range []string{"one", "one", "", "two", "two"} {
		d, err := parseDomain([]byte(fmt.Sprintf(`{"entities":[{"roles":["registrar"],"handle":%q}]}`, h)))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, signals(t, r.moved(r.w, Target{Site: "s", Host: "s"}, d)))
	}
	if s := strings.Join(got, ","); s != ",,,registrar-changed," {
		t.Errorf("changes of the registrar: %s", s)
	}
}
