package fetch

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// memoryServer is dialled in memory, so that it works on virtual time. It
// counts connections.
type memoryServer struct {
	wg         sync.WaitGroup
	open, most atomic.Int64
	dials      atomic.Int64
	perHost    sync.Map // of *atomic.Int64
	mostHost   atomic.Int64
	answer     string
	delay      time.Duration
}

func (s *memoryServer) dial(_ context.Context, _ bool, addr netip.AddrPort) (net.Conn, error) {
	near, far := net.Pipe()
	s.dials.Add(1)
	v, _ := s.perHost.LoadOrStore(addr, new(atomic.Int64))
	host := v.(*atomic.Int64)
	highest(&s.most, s.open.Add(1))
	highest(&s.mostHost, host.Add(1))
	s.wg.Go(func() {
		defer far.Close()
		b := make([]byte, 4<<10)
		for {
			if _, err := far.Read(b); err != nil {
				return
			}
			time.Sleep(s.delay)
			if _, err := io.WriteString(far, s.answer); err != nil {
				return
			}
		}
	})
	return &counted{Conn: near, closed: sync.OnceFunc(func() { host.Add(-1); s.open.Add(-1) })}, nil
}

// counted tells when the client closes it.
type counted struct {
	net.Conn
	closed func()
}

func (c *counted) Close() error {
	c.closed()
	return c.Conn.Close()
}

func highest(h *atomic.Int64, v int64) {
	for old := h.Load(); v > old && !h.CompareAndSwap(old, v); old = h.Load() {
	}
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func (s *memoryServer) client(t *testing.T, cfg Config) *Client {
	cfg.Resolver = hostNumbers{}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.dialer.dial = s.dial
	return c
}

// hostNumbers gives h7.test the address 93.184.0.7.
type hostNumbers struct{}

func (hostNumbers) Resolve(_ context.Context, name string) (*Resolution, error) {
	var n byte
	fmt.Sscanf(name, "h%d.test", &n)
	return &Resolution{Name: name, TTL: time.Hour, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{93, 184, 0, n})}}, nil
}

// TestPoolCaps: never more connections than allowed, to one origin and in
// all, everybody gets one in the end, and those at rest give way.
func TestPoolCaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &memoryServer{answer: okAnswer, delay: time.Second}
		c := s.client(t, Config{PerOrigin: 2, Connections: 5})
		var wg sync.WaitGroup
		var done atomic.Int64
		for i := range 200 {
			wg.Go(func() {
				got, err := c.Fetch(t.Context(), Request{URL: fmt.Sprintf("http://h%d.test/", i%9)})
				if err != nil {
					t.Error(err)
					return
				}
				got.Close()
				done.Add(1)
			})
		}
		wg.Wait()
		if done.Load() != 200 || s.most.Load() > 5 || s.mostHost.Load() > 2 {
			t.Errorf("%d done with %d connections at once, %d to one origin", done.Load(), s.most.Load(), s.mostHost.Load())
		}
		if c.pool.open != c.pool.idle.Len() || len(c.pool.active) != 0 || c.pool.waiting.Len() != 0 {
			t.Errorf("at rest: %d slots taken, %d idle, %d active", c.pool.open, c.pool.idle.Len(), len(c.pool.active))
		}
		c.Close()
		s.wg.Wait()
	})
}

// TestPoolPerOrigin: a raised number lets go who waits, a lowered one closes
// what is too much.
func TestPoolPerOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &memoryServer{answer: okAnswer, delay: time.Second}
		c := s.client(t, Config{PerOrigin: 1})
		var wg sync.WaitGroup
		burst := func(n int) {
			for range n {
				wg.Go(func() { get(t, c, "http://h1.test/").Close() })
			}
			synctest.Wait()
		}
		burst(16)
		if s.open.Load() != 1 {
			t.Errorf("%d connections, want 1", s.open.Load())
		}
		c.SetPerOrigin(4)
		synctest.Wait()
		if s.open.Load() != 4 {
			t.Errorf("%d connections after the number was raised to 4", s.open.Load())
		}
		c.SetPerOrigin(2)
		time.Sleep(1500 * time.Millisecond)
		if s.open.Load() != 2 {
			t.Errorf("%d connections after the number was lowered to 2", s.open.Load())
		}
		wg.Wait()
		c.SetPerOrigin(1)
		if s.open.Load() != 1 || c.pool.open != 1 || c.pool.idle.Len() != 1 {
			t.Errorf("at rest: %d connections, %d slots taken, %d idle", s.open.Load(), c.pool.open, c.pool.idle.Len())
		}
		burst(5)
		wg.Wait()
		if s.mostHost.Load() > 4 || c.pool.open != c.pool.idle.Len() || len(c.pool.active) != 0 {
			t.Errorf("%d at most, %d slots taken, %d idle", s.mostHost.Load(), c.pool.open, c.pool.idle.Len())
		}
		c.Close()
		s.wg.Wait()
	})
}

// TestPoolCancelledWaiters: who stops waiting takes no slot with him.
func TestPoolCancelledWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &memoryServer{answer: okAnswer, delay: time.Second}
		c := s.client(t, Config{PerOrigin: 1, Connections: 2})
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*300*time.Millisecond)
				defer cancel()
				got, err := c.Fetch(ctx, Request{URL: fmt.Sprintf("http://h%d.test/", i%3)})
				if err != nil && classOf(err) != ClassCancelled {
					t.Error(err)
				}
				got.Close()
			})
		}
		wg.Wait()
		got := get(t, c, "http://h1.test/")
		got.Close()
		if c.pool.open != c.pool.idle.Len() || s.most.Load() > 2 {
			t.Errorf("%d slots taken, %d idle, %d at most", c.pool.open, c.pool.idle.Len(), s.most.Load())
		}
		c.Close()
		s.wg.Wait()
	})
}

// TestPoolIdle: an idle connection is used again, closed after its time, and
// the longest idle goes first when there are too many.
func TestPoolIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &memoryServer{answer: okAnswer}
		c := s.client(t, Config{IdleConnections: 2})
		fetch := func(host int) { get(t, c, fmt.Sprintf("http://h%d.test/", host)).Close() }
		fetch(1)
		fetch(1)
		if s.dials.Load() != 1 {
			t.Errorf("%d dials for two requests in a row", s.dials.Load())
		}
		fetch(2)
		time.Sleep(time.Second)
		fetch(3)
		synctest.Wait()
		if origins, open := c.pool.sizes(); open != 2 || origins != 2 || s.open.Load() != 2 {
			t.Errorf("%d idle, %d origins after the third", open, origins)
		}
		time.Sleep(19500 * time.Millisecond)
		synctest.Wait()
		if s.open.Load() != 1 {
			t.Errorf("%d idle after 20.5 s, 19.5 s", s.open.Load())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if origins, open := c.pool.sizes(); open != 0 || origins != 0 || s.open.Load() != 0 {
			t.Errorf("%d idle after their time, %d origins kept", open, origins)
		}
		c.Close()
		s.wg.Wait()
	})
}

func (p *pool) sizes() (origins, open int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.origins), p.open
}

// TestIdleCostsNothing: no goroutine for a connection at rest.
func TestIdleCostsNothing(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }))
	defer s.Close()
	before := runtime.NumGoroutine()
	c := newClient(t, Config{AllowNet: loopback, PerOrigin: 20, IdleConnections: 100})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { get(t, c, s.URL) })
	}
	wg.Wait()
	time.Sleep(10 * time.Millisecond)
	idle := c.pool.idle.Len()
	// The server has one goroutine for each; the client none.
	if n := runtime.NumGoroutine() - before - idle; n > 2 {
		t.Errorf("%d goroutines more for %d idle connections", n, idle)
	}
}

// TestPoolDeadIdle: a connection the server closed at rest is not written to.
func TestPoolDeadIdle(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Method) }))
	defer s.Close()
	c := newClient(t, Config{AllowNet: loopback})
	get(t, c, s.URL)
	s.CloseClientConnections()
	time.Sleep(5 * time.Millisecond)
	for el := c.pool.idle.Front(); el != nil; el = el.Next() {
		if el.Value.(*conn).alive() {
			t.Error("a closed connection seems alive")
		}
	}
	got, err := c.Fetch(t.Context(), Request{URL: s.URL, Method: "POST", Body: []byte("a=b")})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if !strings.HasSuffix(string(got.Request), "\r\nContent-Length: 3\r\n\r\na=b") {
		t.Errorf("request %q", got.Request)
	}
}

// TestCancelIsPrompt: in the dial, in the wait for a slot, for the first byte
// and in the body.
func TestCancelIsPrompt(t *testing.T) {
	for name, s := range map[string]*memoryServer{
		"first byte": {delay: time.Hour},
		"body":       {answer: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab"},
	} {
		for how, end := range map[string]func(*Client, context.CancelFunc){
			"context": func(_ *Client, cancel context.CancelFunc) { cancel() },
			"Close":   func(c *Client, _ context.CancelFunc) { c.Close() },
		} {
			synctest.Test(t, func(t *testing.T) {
				c := s.client(t, Config{PerOrigin: 1})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var wg sync.WaitGroup
				begin := time.Now()
				for range 2 {
					wg.Go(func() {
						if _, err := c.Fetch(ctx, Request{URL: "http://h1.test/"}); classOf(err) != ClassCancelled {
							t.Errorf("%s, %s: %v", name, how, err)
						}
						if d := time.Since(begin); d > 5*time.Second {
							t.Errorf("%s, %s: ended after %v", name, how, d)
						}
					})
				}
				time.Sleep(5 * time.Second)
				synctest.Wait()
				end(c, cancel)
				wg.Wait()
				c.Close()
				if _, err := c.Fetch(t.Context(), Request{URL: "http://h1.test/"}); classOf(err) != ClassCancelled {
					t.Errorf("after Close: %v", err)
				}
				s.wg.Wait()
			})
		}
	}
}

// TestHappyEyeballs: a dead address costs 300 ms, not a time-out.
func TestHappyEyeballs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &memoryServer{answer: okAnswer}
		both := resolverFunc(func(name string) (*Resolution, error) {
			return &Resolution{Name: name, TTL: time.Hour, Addresses: []netip.Addr{
				netip.MustParseAddr("93.184.0.1"), netip.MustParseAddr("93.184.0.2"), netip.MustParseAddr("2606:2800::1")}}, nil
		})
		c := s.client(t, Config{})
		c.dialer.dns.resolver = both
		var order []string
		var mu sync.Mutex
		c.dialer.dial = func(ctx context.Context, g bool, addr netip.AddrPort) (net.Conn, error) {
			mu.Lock()
			order = append(order, addr.Addr().String())
			mu.Unlock()
			if addr.Addr().Is6() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return s.dial(ctx, g, addr)
		}
		begin := time.Now()
		get(t, c, "http://h1.test/").Close()
		if d := time.Since(begin); d != eyeballs {
			t.Errorf("took %v", d)
		}
		if fmt.Sprint(order) != "[2606:2800::1 93.184.0.1]" {
			t.Errorf("tried %v", order)
		}
		c.Close()
		s.wg.Wait()
	})
}

// TestConnectTimeout: 15 s for all addresses together.
func TestConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := (&memoryServer{}).client(t, Config{})
		c.dialer.dial = func(ctx context.Context, _ bool, _ netip.AddrPort) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		begin := time.Now()
		_, err := c.Fetch(t.Context(), Request{URL: "http://h1.test/"})
		if classOf(err) != ClassConnect || !err.(*Error).Timeout() || time.Since(begin) != 15*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		if c.pool.open != 0 {
			t.Error("the slot is not free")
		}
		c.Close()
	})
}

// TestSharedLimit: all clients together keep to it, and it counts what they received.
func TestSharedLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := strings.Repeat("x", 100_000)
		line := NewLimit(10_000)
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range 3 {
			s := &memoryServer{answer: fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)}
			c := s.client(t, Config{Shared: line, LimitRate: 50_000})
			wg.Go(func() {
				get(t, c, fmt.Sprintf("http://h%d.test/", i))
				c.Close()
				s.wg.Wait()
			})
		}
		wg.Wait()
		if d := time.Since(begin); d < 29*time.Second || d > 31*time.Second {
			t.Errorf("300 KB at 10 KB/s took %v", d)
		}
		if n := line.Paid(); n < 300_000 || n > 301_000 {
			t.Errorf("it counts %d bytes", n)
		}
	})
}

// TestLimitRate: all connections together keep to it.
func TestLimitRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := strings.Repeat("x", 100_000)
		s := &memoryServer{answer: fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)}
		c := s.client(t, Config{LimitRate: 10_000})
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				got := get(t, c, fmt.Sprintf("http://h%d.test/", i))
				if got.Truncated != "" {
					t.Errorf("our own brake truncated: %s", got.Truncated)
				}
			})
		}
		wg.Wait()
		if d := time.Since(begin); d < 29*time.Second || d > 31*time.Second {
			t.Errorf("300 KB at 10 KB/s took %v", d)
		}
		c.Close()
		s.wg.Wait()
	})
}
