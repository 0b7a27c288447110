package fetch

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"

	"salvor"
)

// The wire zoo: testdata/zoo/* say what odd servers send and what the record
// must be. A case is
//
//	fetch [url=...] [method=HEAD] [times=2] [follow=5] [max-head=N] [max-body=N]
//	script of the server, one step a line:
//	  read            wait for a request (the first one is waited for anyway)
//	  send "..."      Go-quoted bytes
//	  repeat N "..."  the bytes N times
//	  every D N "..." the bytes N times, D apart
//	  coded C "..."   a whole answer with Content-Encoding C; cut=N and flip=N damage its body
//	  delay D         nothing for that long
//	  close, reset    end the connection; without either it stays open
//	  conn            steps for the next connection follow
//	----
//	what was recorded
//
// TestZoo runs all of it on virtual time with the default time-outs, so that
// a slow loris takes its real minute and no time. TestZooOnTheWire runs what
// has no delay over real sockets and expects the same.

func TestZoo(t *testing.T) {
	cases := 0
	datadriven.Walk(t, "testdata/zoo", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) (out string) {
			cases++
			// A decoder has channels, and those of a bubble are its own.
			zstdPool = sync.Pool{}
			synctest.Test(t, func(t *testing.T) { out = runZoo(t, d, false) })
			zstdPool = sync.Pool{}
			return out
		})
	})
	if cases < 40 {
		t.Errorf("%d servers in the zoo, want at least 40", cases)
	}
}

func TestZooOnTheWire(t *testing.T) {
	datadriven.Walk(t, "testdata/zoo", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if parseZoo(t, d.Input).virtual {
				return d.Expected
			}
			out := runZoo(t, d, true)
			if timeless(out) == timeless(d.Expected) {
				return d.Expected
			}
			return out
		})
	})
}

// timeless is without what depends on how far a server got before the client
// hung up.
func timeless(out string) string {
	var b strings.Builder
	for l := range strings.Lines(out) {
		if !strings.HasPrefix(l, "  not recorded: ") {
			b.WriteString(l)
		}
	}
	return b.String()
}

// runZoo is one case.
func runZoo(t *testing.T, d *datadriven.TestData, wire bool) string {
	s := parseZoo(t, d.Input)
	cfg := Config{UserAgent: "zoo", Resolver: zooNames{}}
	url, method, times, follow := "http://zoo.test/", "", 1, 0
	d.MaybeScanArgs(t, "url", &url)
	d.MaybeScanArgs(t, "method", &method)
	d.MaybeScanArgs(t, "times", &times)
	d.MaybeScanArgs(t, "follow", &follow)
	d.MaybeScanArgs(t, "max-head", &cfg.MaxHead)
	d.MaybeScanArgs(t, "max-body", &cfg.MaxBody)
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	c.dialer.dial = func(context.Context, bool, netip.AddrPort) (net.Conn, error) { return s.dial(&wg, wire) }
	defer wg.Wait()
	defer c.Close()
	var out strings.Builder
	for i := 0; i < times+follow; i++ {
		begin := time.Now()
		asked, sent := s.seen()
		cap, err := c.Fetch(t.Context(), Request{URL: url, Method: method})
		var fe *Error
		if errors.As(err, &fe) {
			fmt.Fprintf(&out, "%s: error %s, transient %t, status %d\n", url, fe.Class, fe.Transient(), fe.Status())
		} else if err != nil {
			t.Fatalf("error is not an *Error: %v", err)
		} else {
			describe(&out, cap)
			s.checkBytes(t, &out, cap, asked, sent)
		}
		if s.virtual {
			fmt.Fprintf(&out, "  after %v\n", time.Since(begin))
		}
		if err != nil {
			break
		}
		location := cap.Header.Get("Location")
		cap.Close()
		if follow > 0 {
			if url = location; url == "" {
				break
			}
		}
	}
	if c.pool.idle.Len() > 0 {
		out.WriteString("  connection kept\n")
	}
	return out.String()
}

// checkBytes compares what went over the wire in this exchange with what was
// recorded of it.
func (s *zooServer) checkBytes(t *testing.T, out io.Writer, c *Capture, asked, sent int) {
	answer := append(c.Interim, checkSums(t, c)...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !bytes.HasSuffix(s.received[asked:], c.Request) {
		t.Errorf("request recorded as %q, received as %q", c.Request, s.received[asked:])
	}
	if !bytes.HasPrefix(s.sent[sent:], answer) {
		t.Errorf("%d bytes recorded are not those that were sent (%d)", len(answer), len(s.sent)-sent)
	}
	if rest := len(s.sent) - sent - len(answer); rest > 0 {
		fmt.Fprintf(out, "  not recorded: the last %d bytes sent\n", rest)
	}
}

// checkSums compares digests and lengths with the bytes, and returns these.
func checkSums(t *testing.T, c *Capture) []byte {
	var b bytes.Buffer
	if n, err := c.Block.WriteTo(&b); err != nil || n != c.Block.Size() || n != int64(b.Len()) {
		t.Errorf("WriteTo: %d of %d, %v", n, c.Block.Size(), err)
	}
	if sha256.Sum256(b.Bytes()) != c.BlockSHA256 {
		t.Error("BlockSHA256 is not that of the block")
	}
	entity, err := io.ReadAll(c.Entity())
	if err != nil {
		t.Error(err)
	}
	if int64(len(entity)) != c.PayloadLen {
		t.Errorf("entity has %d bytes, PayloadLen is %d", len(entity), c.PayloadLen)
	}
	if want := salvor.SHA1(sha1.Sum(entity)); c.HasPayload() && want != c.PayloadSHA1 {
		t.Error("PayloadSHA1 is not that of the entity")
	}
	return b.Bytes()
}

// seen is how much went over the wire so far, both ways.
func (s *zooServer) seen() (asked, sent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.received), len(s.sent)
}

// describe writes a capture down.
func describe(out io.Writer, c *Capture) {
	view := c.View()
	fmt.Fprintf(out, "%s: %d, %s, head %d, block %d\n", c.URL, c.Status, c.Framing, c.HeadLen, c.Block.Size())
	switch entity, _ := io.ReadAll(c.Entity()); {
	case c.Header.Get("Content-Encoding") != "":
		fmt.Fprintf(out, "  view %s\n", brief(view))
	case c.HasPayload():
		fmt.Fprintf(out, "  payload %s\n", brief(entity))
	}
	if c.Type != "" {
		fmt.Fprintf(out, "  type %s\n", c.Type)
	}
	if l := c.Header.Get("Location"); l != "" {
		fmt.Fprintf(out, "  location %s\n", l)
	}
	if len(c.Interim) > 0 {
		fmt.Fprintf(out, "  interim %s\n", brief(c.Interim))
	}
	if c.Truncated != "" {
		fmt.Fprintf(out, "  truncated %s\n", c.Truncated)
	}
	if !slices.Equal(c.Protocol, []string{"http/1.1"}) {
		fmt.Fprintf(out, "  protocol %s\n", strings.Join(c.Protocol, ", "))
	}
	for _, n := range c.Notes {
		fmt.Fprintf(out, "  note %s\n", n)
	}
}

func brief(b []byte) string {
	if len(b) <= 60 {
		return strconv.Quote(string(b))
	}
	return fmt.Sprintf("of %d bytes, %q...", len(b), b[:20])
}

// zooNames resolves by rule, without a server.
type zooNames struct{}

func (zooNames) Resolve(_ context.Context, name string) (*Resolution, error) {
	addr := "93.184.216.34"
	switch name {
	case "inside.test":
		addr = "10.1.2.3"
	case "metadata.test":
		addr = "169.254.169.254"
	case "mapped.test":
		addr = "::ffff:127.0.0.1"
	case "nat64.test":
		addr = "64:ff9b::a9fe:a9fe"
	case "none.test":
		return nil, ErrNoSuchHost
	case "fail.test":
		return nil, errors.New("SERVFAIL")
	}
	return &Resolution{Name: name, Time: time.Now(), TTL: time.Minute, Addresses: []netip.Addr{netip.MustParseAddr(addr)}}, nil
}
