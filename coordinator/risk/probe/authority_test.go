package probe

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// world is name servers on loopback addresses that share a port: a resolver on
// 127.53.0.1, the zone above on .2, the domain's own on .3 and .4.
type world struct {
	mu     sync.Mutex
	ttl    uint32 // of the domain's address
	lame   bool   // its servers do not know it
	lost   bool   // they say that it does not exist, and so does the resolver
	absent bool   // the zone above does not have it
}

func (w *world) answer(ip string, q dns.Question) *dns.Msg {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := new(dns.Msg)
	rr := func(s string) dns.RR {
		r, err := dns.NewRR(s)
		if err != nil {
			panic(err)
		}
		return r
	}
	hosts := map[string]string{"a.tld.": "127.53.0.2", "ns1.example.tld.": "127.53.0.3", "ns2.example.tld.": "127.53.0.4"}
	name := strings.ToLower(q.Name)
	switch ip {
	case "127.53.0.1":
		switch {
		case hosts[name] != "":
			m.Answer = append(m.Answer, rr(name+" 300 IN A "+hosts[name]))
		case name == "tld.":
			m.Answer = append(m.Answer, rr("tld. 300 IN NS a.tld."))
		case w.lost || w.absent:
			m.Rcode = dns.RcodeNameError
		case q.Qtype == dns.TypeNS:
			m.Answer = append(m.Answer, rr("example.tld. 300 IN NS ns1.example.tld."), rr("example.tld. 300 IN NS ns2.example.tld."))
		default:
			m.Answer = append(m.Answer, rr("example.tld. 17 IN A 192.0.2.1")) // what is left in its cache
		}
	case "127.53.0.2":
		if m.Authoritative = w.absent; w.absent {
			m.Rcode = dns.RcodeNameError
			break
		}
		m.Ns = append(m.Ns, rr("example.tld. 300 IN NS ns1.example.tld."))
	default:
		if w.lame {
			m.Rcode = dns.RcodeRefused
			break
		}
		m.Authoritative = true
		m.Answer = append(m.Answer, rr("example.tld. "+strconv.Itoa(int(w.ttl))+" IN A 192.0.2.1"))
	}
	return m
}

// serve opens the servers, and returns the port.
func (w *world) serve(t *testing.T) string {
	t.Helper()
	port := "0"
	for _, ip := range []string{"127.53.0.1", "127.53.0.2", "127.53.0.3", "127.53.0.4"} {
		pc, err := net.ListenPacket("udp", net.JoinHostPort(ip, port))
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(pc.LocalAddr().String())
		s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(rw dns.ResponseWriter, q *dns.Msg) {
			a := w.answer(ip, q.Question[0])
			m := new(dns.Msg).SetReply(q)
			m.Rcode, m.Authoritative, m.Answer, m.Ns = a.Rcode, a.Authoritative, a.Answer, a.Ns
			_ = rw.WriteMsg(m)
		})}
		go func() { _ = s.ActivateAndServe() }()
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return port
}

// TestAuthorities: the time to live is that of the domain's own servers, which are
// to know it; and a name is gone only when the zone above has it no more.
func TestAuthorities(t *testing.T) {
	w := &world{ttl: 86400}
	port := w.serve(t)
	now := noon
	l, err := newNames(witness{kit(Kit{}).Vantage, func() time.Time { return now }}, kit(Kit{}).DNS, []string{"127.53.0.1:" + port, "127.53.0.1:" + port}, true)
	if err != nil {
		t.Fatal(err)
	}
	l.own.port = port
	for _, step := range []struct {
		name string
		set  func()
		want string
	}{
		{"at first", func() {}, ""},
		{"the same", func() {}, ""},
		{"half of it", func() { w.ttl = 43200 }, ""},
		{"five minutes", func() { w.ttl = 300 }, "ttl-drop"},
		{"still so", func() {}, "ttl-drop"},
		{"a week later it is usual", func() { now = now.Add(rotation + time.Hour) }, "ttl-drop"},
		{"and not told any more", func() { now = now.Add(time.Hour) }, ""},
		{"not delegated to who is named", func() { w.lame = true }, "dns-failure"},
		{"well again", func() { w.lame = false }, ""},
		{"the resolvers lie", func() { w.lost = true }, ""},
		{"it is gone", func() { w.absent = true }, "nxdomain"},
	} {
		w.mu.Lock()
		step.set()
		w.mu.Unlock()
		seen, err := l.Look(t.Context(), Target{Site: "example.tld", Host: "example.tld"})
		if got := signals(t, seen); err != nil || got != step.want {
			t.Errorf("%s: %q, %v, want %q", step.name, got, err, step.want)
		}
	}
}
