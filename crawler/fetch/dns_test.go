package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// scriptedResolver answers as told and counts.
type scriptedResolver struct {
	mu    sync.Mutex
	calls int
	ttl   time.Duration
	err   error
	takes time.Duration
}

func (r *scriptedResolver) Resolve(ctx context.Context, name string) (*Resolution, error) {
	r.mu.Lock()
	r.calls++
	ttl, err := r.ttl, r.err
	r.mu.Unlock()
	select {
	case <-time.After(r.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return &Resolution{Name: name, Time: time.Now(), TTL: ttl, Addresses: []netip.Addr{netip.MustParseAddr("93.184.0.1")}}, nil
}

// TestDNSCache: how often the name server is asked over time.
func TestDNSCache(t *testing.T) {
	for name, c := range map[string]struct {
		ttl   time.Duration
		err   error
		after time.Duration // a second look-up
		calls int
	}{
		"fresh":              {5 * time.Minute, nil, 4 * time.Minute, 1},
		"expired":            {5 * time.Minute, nil, 6 * time.Minute, 2},
		"ttl 0 is a minute":  {0, nil, 59 * time.Second, 1},
		"ttl is an hour":     {24 * time.Hour, nil, 61 * time.Minute, 2},
		"no such host stays": {0, ErrNoSuchHost, 59 * time.Second, 1},
		"no such host goes":  {0, ErrNoSuchHost, 61 * time.Second, 2},
		"failure stays":      {0, errors.New("SERVFAIL"), 4 * time.Second, 1},
		"failure goes":       {0, errors.New("SERVFAIL"), 6 * time.Second, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &scriptedResolver{ttl: c.ttl, err: c.err}
			cl := newClient(t, Config{Resolver: r})
			for range 2 {
				_, err := cl.dialer.dns.lookup(t.Context(), "a.test")
				if (err != nil) != (c.err != nil) {
					t.Errorf("%s: %v", name, err)
				}
				time.Sleep(c.after)
			}
			if r.calls != c.calls {
				t.Errorf("%s: asked %d times, want %d", name, r.calls, c.calls)
			}
		})
	}
}

// TestDNSAsksOnceForMany, and the first one's context does not end it for the
// others.
func TestDNSAsksOnceForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &scriptedResolver{ttl: time.Hour, takes: time.Second}
		c := newClient(t, Config{Resolver: r})
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				if i == 0 {
					time.AfterFunc(10*time.Millisecond, cancel)
				} else {
					time.Sleep(time.Millisecond)
				}
				defer cancel()
				if _, err := c.dialer.dns.lookup(ctx, "a.test"); (err != nil) != (i == 0) {
					t.Errorf("look-up %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if r.calls != 1 {
			t.Errorf("asked %d times", r.calls)
		}
	})
}

// TestDNSStale: while the name server is away, an old answer serves.
func TestDNSStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &scriptedResolver{ttl: time.Minute}
		c := newClient(t, Config{Resolver: r})
		look := func() error { _, err := c.dialer.dns.lookup(t.Context(), "a.test"); return err }
		if err := look(); err != nil {
			t.Fatal(err)
		}
		r.err = errors.New("timeout")
		time.Sleep(2 * time.Hour)
		if err := look(); err != nil {
			t.Errorf("after 2 h: %v", err)
		}
		time.Sleep(23 * time.Hour)
		if err := look(); classOf(err) != ClassDNS {
			t.Errorf("after 25 h: %v", err)
		}
	})
}

// TestDNSReportedOnce: a resolution is in the first capture that used it.
func TestDNSReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &memoryServer{answer: okAnswer}
		c := s.client(t, Config{})
		var told []bool
		for range 2 {
			got := get(t, c, "http://h1.test/")
			told = append(told, got.DNS != nil)
			got.Close()
			c.pool.drain()
		}
		time.Sleep(2 * time.Hour)
		got := get(t, c, "http://h1.test/")
		told = append(told, got.DNS != nil && got.DNS.Name == "h1.test")
		got.Close()
		if fmt.Sprint(told) != "[true false true]" {
			t.Errorf("reported %v", told)
		}
		c.Close()
		s.wg.Wait()
	})
}

// TestDNSForgets the least recently used name.
func TestDNSForgets(t *testing.T) {
	c := newClient(t, Config{Resolver: &scriptedResolver{ttl: time.Hour}})
	c.dialer.dns.most = 100
	for i := range 110 {
		if _, err := c.dialer.dns.lookup(t.Context(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.dialer.dns.names); n != 100 || c.dialer.dns.used.Len() != n {
		t.Errorf("%d names kept", n)
	}
}

// nameServer answers over UDP and TCP on one port.
func nameServer(t *testing.T, answer func(q dns.Question, tcp bool) *dns.Msg) string {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", udp.LocalAddr().String())
	if err != nil {
		t.Skip(err)
	}
	for _, s := range []*dns.Server{{PacketConn: udp}, {Listener: tcp}} {
		isTCP := s.Listener != nil
		s.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			if m := answer(q.Question[0], isTCP); m != nil {
				rcode, truncated := m.Rcode, m.Truncated
				m.SetRcode(q, rcode)
				m.Truncated = truncated
				w.WriteMsg(m)
			}
		})
		ready := make(chan struct{})
		s.NotifyStartedFunc = func() { close(ready) }
		go s.ActivateAndServe()
		<-ready
		t.Cleanup(func() { s.Shutdown() })
	}
	return udp.LocalAddr().String()
}

func records(t *testing.T, lines ...string) *dns.Msg {
	m := new(dns.Msg)
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	return m
}

// TestResolver: real servers' answers, and the text of the record.
func TestResolver(t *testing.T) {
	server := nameServer(t, func(q dns.Question, tcp bool) *dns.Msg {
		a := q.Qtype == dns.TypeA
		switch q.Name {
		case "both.test.":
			if a {
				return records(t, "both.test. 300 IN CNAME real.test.", "real.test. 120 IN A 93.184.216.34", "real.test. 120 IN A 93.184.216.35")
			}
			return records(t, "both.test. 300 IN CNAME real.test.", "real.test. 600 IN AAAA 2606:2800::1")
		case "big.test.":
			if !tcp {
				return &dns.Msg{MsgHdr: dns.MsgHdr{Truncated: true}}
			}
			if a {
				return records(t, "big.test. 60 IN A 93.184.216.34")
			}
		case "none.test.":
			return &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeNameError}}
		case "fail.test.":
			return &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeServerFailure}}
		case "half.test.":
			if a {
				return records(t, "half.test. 60 IN A 93.184.216.34")
			}
			return &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeServerFailure}}
		}
		return new(dns.Msg)
	})
	r := &systemResolver{servers: []string{"127.0.0.1:1", server}, timeout: time.Second, attempts: 1, system: &net.Resolver{
		PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("not here") }}}
	for name, want := range map[string]string{
		"both.test":  "93.184.216.34 93.184.216.35 2606:2800::1, 2m0s",
		"both.test.": "93.184.216.34 93.184.216.35 2606:2800::1, 2m0s",
		"big.test":   "93.184.216.34, 1m0s",
		"half.test":  "93.184.216.34, 1m0s",
		"none.test":  "no such host",
		"empty.test": "no such host",
		"fail.test":  "SERVFAIL",
	} {
		res, err := r.Resolve(t.Context(), name)
		if err != nil {
			if !strings.Contains(err.Error(), want) || errors.Is(err, ErrNoSuchHost) != (want == "no such host") {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
			continue
		}
		got := strings.Trim(fmt.Sprint(res.Addresses), "[]") + ", " + res.TTL.String()
		if got != want || res.Server.String() != server {
			t.Errorf("%s: %s from %s, want %s from %s", name, got, res.Server, want, server)
		}
	}
	res, err := r.Resolve(t.Context(), "half.test")
	if err != nil {
		t.Fatal(err)
	}
	if want := res.Time.Format("20060102150405") + "\nhalf.test.\t60\tIN\tA\t93.184.216.34\n"; res.Text != want {
		t.Errorf("text %q, want %q", res.Text, want)
	}
}

// TestResolverHosts: names of /etc/hosts are not asked for elsewhere.
func TestResolverHosts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(file, []byte("# x\n127.0.0.1 localhost Here.test # y\n\n::1 six.test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(hostNames(file)); got != "map[here.test:true localhost:true six.test:true]" {
		t.Errorf("names %s", got)
	}
	if got := hostNames(file + ".gone"); len(got) > 0 {
		t.Errorf("names %v without a file", got)
	}
	res, err := newSystemResolver().Resolve(t.Context(), "localhost")
	if err != nil || len(res.Addresses) == 0 || !res.Addresses[0].IsLoopback() || !strings.Contains(res.Text, "\nlocalhost.\t60\tIN\tA") {
		t.Errorf("localhost: %+v, %v", res, err)
	}
}
