package fetch

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// zooServer plays the scripts, one a connection.
type zooServer struct {
	conns   [][]zooStep
	virtual bool

	mu       sync.Mutex
	next     int
	sent     []byte // of all connections
	received []byte
}

type zooStep func(s *zooServer, c net.Conn, in *bufio.Reader) (more bool)

func parseZoo(t *testing.T, script string) *zooServer {
	s := &zooServer{conns: [][]zooStep{nil}}
	for l := range strings.Lines(script) {
		f := fields(t, strings.TrimSpace(l))
		if len(f) == 0 {
			continue
		}
		if f[0] == "conn" {
			s.conns = append(s.conns, nil)
			continue
		}
		last := &s.conns[len(s.conns)-1]
		*last = append(*last, s.step(t, f))
	}
	return s
}

// fields splits at blanks and unquotes.
func fields(t *testing.T, l string) []string {
	var f []string
	for l = strings.TrimSpace(l); l != ""; l = strings.TrimSpace(l) {
		word, rest, _ := strings.Cut(l, " ")
		if l[0] == '"' {
			q, err := strconv.QuotedPrefix(l)
			if err != nil {
				t.Fatalf("%s: %v", l, err)
			}
			word, _ = strconv.Unquote(q)
			rest = l[len(q):]
		}
		f, l = append(f, word), rest
	}
	return f
}

func (s *zooServer) step(t *testing.T, f []string) zooStep {
	arg := func(i int) string {
		if i >= len(f) {
			t.Fatalf("zoo step %q lacks an argument", f)
		}
		return f[i]
	}
	number := func(i int) int {
		n, err := strconv.Atoi(arg(i))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	pause := func(i int) time.Duration {
		d, err := time.ParseDuration(arg(i))
		if err != nil {
			t.Fatal(err)
		}
		s.virtual = true
		return d
	}
	switch f[0] {
	case "read":
		return (*zooServer).read
	case "send":
		return sendStep([]byte(arg(1)))
	case "repeat":
		return sendStep(bytes.Repeat([]byte(arg(2)), number(1)))
	case "coded":
		return sendStep(coded(t, arg(1), arg(2), f[3:]))
	case "delay":
		d := pause(1)
		return func(s *zooServer, c net.Conn, in *bufio.Reader) bool { time.Sleep(d); return true }
	case "every":
		d, n, p := pause(1), number(2), []byte(arg(3))
		return func(s *zooServer, c net.Conn, in *bufio.Reader) bool {
			for range n {
				time.Sleep(d)
				if !s.send(c, p) {
					return false
				}
			}
			return true
		}
	case "close":
		return func(s *zooServer, c net.Conn, in *bufio.Reader) bool { c.Close(); return false }
	case "reset":
		return func(s *zooServer, c net.Conn, in *bufio.Reader) bool { reset(c); return false }
	}
	t.Fatalf("unknown zoo step %q", f)
	return nil
}

func sendStep(p []byte) zooStep {
	return func(s *zooServer, c net.Conn, in *bufio.Reader) bool { return s.send(c, p) }
}

func (s *zooServer) send(c net.Conn, p []byte) bool {
	s.mu.Lock()
	s.sent = append(s.sent, p...)
	s.mu.Unlock()
	_, err := c.Write(p)
	return err == nil
}

// read takes a request without a body.
func (s *zooServer) read(c net.Conn, in *bufio.Reader) bool {
	for {
		l, err := in.ReadBytes('\n')
		s.mu.Lock()
		s.received = append(s.received, l...)
		s.mu.Unlock()
		if err != nil {
			return false
		}
		if len(l) == 2 {
			return true
		}
	}
}

// reset ends a connection hard.
func reset(c net.Conn) {
	if r, ok := c.(*resettable); ok {
		r.broken.Store(true)
		c.Close()
		return
	}
	time.Sleep(20 * time.Millisecond) // what was sent shall arrive first
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// play serves one connection to its script's end, then holds it open.
func (s *zooServer) play(c net.Conn, script []zooStep) {
	in := bufio.NewReader(c)
	if !s.read(c, in) {
		return
	}
	for _, step := range script {
		if !step(s, c, in) {
			return
		}
	}
	io.Copy(io.Discard, in) // until the client closes
	c.Close()
}

// dial is the client's way to the server, in place of TCP.
func (s *zooServer) dial(wg *sync.WaitGroup, wire bool) (net.Conn, error) {
	s.mu.Lock()
	n := s.next
	s.next++
	s.mu.Unlock()
	if n >= len(s.conns) {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	near, far, err := connPair(wire)
	if err != nil {
		return nil, err
	}
	wg.Go(func() { s.play(far, s.conns[n]) })
	return near, nil
}

// coded is an answer with a content coding, damaged as asked.
func coded(t *testing.T, coding, text string, damage []string) []byte {
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "bare-deflate":
		w, _ = flate.NewWriter(&b, 6)
		coding = "deflate"
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b)
	default:
		w = nopCloser{&b}
	}
	io.WriteString(w, text)
	w.Close()
	body := b.Bytes()
	for _, x := range damage {
		n, err := strconv.Atoi(x[strings.IndexByte(x, '=')+1:])
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(x, "cut=") {
			body = body[:len(body)-n]
		} else {
			body[len(body)-n] ^= 0xff
		}
	}
	return append([]byte(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n",
		coding, len(body))), body...)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
