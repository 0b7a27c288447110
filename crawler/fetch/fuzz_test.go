package fetch

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	whatwg "github.com/nlnwa/whatwg-url/url"
)

// FuzzChunks: pieces of any size give the same entity and the same end, and
// no byte is counted twice.
func FuzzChunks(f *testing.F) {
	for _, s := range []string{"5\r\nhello\r\n0\r\n\r\n", "5;x=y\nhello\n0\n\n", "a \r\n0123456789\r\n0\r\nT: 1\r\n\r\n", "<html>", "ffffffffffffffff1\r\n", "1\r\na2\r\n"} {
		f.Add([]byte(s), uint8(1))
		f.Add([]byte(s), uint8(3))
	}
	run := func(b []byte, piece int) (entity []byte, used int, state chunkState, notes string) {
		var p chunkParser
		for used < len(b) {
			n, data := p.next(b[used:min(len(b), used+piece)])
			entity = append(entity, data...)
			used += n
			if p.bad() || p.state == chunkDone {
				break
			}
			if n == 0 {
				panic("no progress")
			}
		}
		return entity, used, p.state, strings.Join(p.notes, ",")
	}
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		e1, n1, s1, o1 := run(b, len(b)+1)
		e2, n2, s2, o2 := run(b, int(piece)+1)
		if !bytes.Equal(e1, e2) || n1 != n2 || s1 != s2 || o1 != o2 {
			t.Errorf("whole: %q %d %d %s; in pieces of %d: %q %d %d %s", e1, n1, s1, o1, piece+1, e2, n2, s2, o2)
		}
	})
}

// FuzzHead: any bytes parse, the end is found alike at once and byte by byte.
func FuzzHead(f *testing.F) {
	for _, s := range []string{"HTTP/1.1 200 OK\r\nA: b\r\n\r\nrest", "\r\nICY 200\n\n", "HTTP/2 20x\r\n : \r\n\tx\r\n\r\n", "<html>", "HT"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		start, v := lookAt(b)
		if v != isHead {
			return
		}
		end := headEnd(b[start:], 0)
		stepwise := 0
		for i := 1; i <= len(b)-start && stepwise == 0; i++ {
			stepwise = headEnd(b[start:start+i], i-1)
		}
		if end != stepwise {
			t.Errorf("head ends at %d at once, at %d byte by byte", end, stepwise)
		}
		h := parseHead(b, start)
		frameOf("GET", &h)
		if h.status != 0 && (h.status < 100 || h.status > 999) {
			t.Errorf("status %d", h.status)
		}
	})
}

// FuzzTarget: a URL that is taken as it is comes out of the WHATWG parser
// unchanged, and nothing that is sent can break a request line.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"http://example.org/a?b#c", "https://example.org:8443/%zz", "http://127.0.0.1:80/", "http://0x7f.1/", "http://a/../b", "http://u:p@h/", "http://[::1]:80/", "http://a.b/'x'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := parseTarget(raw)
		if err != nil {
			return
		}
		if strings.ContainsAny(got.path+got.authority, " \r\n\t\x00") || got.path[0] != '/' {
			t.Errorf("%q: authority %q, path %q", raw, got.authority, got.path)
		}
		u, err := whatwg.Parse(raw)
		if err != nil {
			t.Fatalf("%q is taken, but not by the WHATWG parser: %v", raw, err)
		}
		if again, ok := cut(u.Href(true)); !ok || again != got {
			t.Errorf("%q: %+v, by the WHATWG parser %+v", raw, got, again)
		}
	})
}

// FuzzAnswer: whatever a server sends, the record is what it sent, and the
// fetch ends.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"HTTP/1.1 103 x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: text/html\r\n\r\n\x1f\x8b\x08", "x", "\r\n\r\n",
		"HTTP/1.1 200\r\nContent-Type: text/css\r\nContent-Encoding: br, deflate, zstd\r\n\r\nabc",
	} {
		f.Add([]byte(s), uint16(7))
	}
	c := newClient(f, Config{Resolver: zooNames{}, MaxHead: 2 << 10, MaxView: 4 << 10})
	f.Fuzz(func(t *testing.T, answer []byte, piece uint16) {
		near, far := net.Pipe()
		c.dialer.dial = func(context.Context, bool, netip.AddrPort) (net.Conn, error) { return near, nil }
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer far.Close()
			far.Read(make([]byte, 4<<10))
			for b := answer; len(b) > 0; {
				n, err := far.Write(b[:min(len(b), int(piece)+1)])
				if b = b[n:]; err != nil {
					return
				}
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		got, err := c.Fetch(ctx, Request{URL: "http://zoo.test/"})
		near.Close()
		<-done
		c.pool.drain()
		if err != nil {
			if ctx.Err() != nil {
				t.Error("fetch did not end")
			}
			return
		}
		got.View()
		interim := got.Interim
		block := checkSums(t, got)
		if !bytes.HasPrefix(answer, append(interim, block...)) {
			t.Errorf("recorded %q of %q", append(interim, block...), answer)
		}
		got.Close()
	})
}

// drain closes all idle connections.
func (p *pool) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.evict() {
	}
}
