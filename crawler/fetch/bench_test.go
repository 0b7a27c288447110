package fetch

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gocolly/colly/v2"
)

// TestMain is the page server where the environment says so: a process of its
// own, so that what is measured is the client.
func TestMain(m *testing.M) {
	if os.Getenv("SALVOR_TEST_PAGE_SERVER") != "" {
		servePages()
		return
	}
	os.Exit(m.Run())
}

// pageServer starts one and says where it is. It ends with the benchmark.
func pageServer(tb testing.TB) (url string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SALVOR_TEST_PAGE_SERVER=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { in.Close(); cmd.Wait() })
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	return "http://" + strings.TrimSpace(addr) + "/page"
}

// servePages answers each request with one page of 22 KB until stdin ends.
func servePages() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	body := bytes.Repeat([]byte("<p>a page <a href=/x>link</a>\n"), 22<<10/30)
	page := append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\nContent-Type: text/html\r\n"+
		"Content-Length: %d\r\nLast-Modified: Mon, 23 Nov 2026 10:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"x\"\r\nAccept-Ranges: bytes\r\n\r\n", len(body)), body...)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go sendPages(c, page)
		}
	}()
	io.Copy(io.Discard, os.Stdin)
}

func sendPages(c net.Conn, page []byte) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(line) == 2 {
			c.Write(page)
		}
	}
}

// cpu is the processor time of this process.
func cpu() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkPage is a page of 22 KB over keep-alive connections, captured with
// both digests and its view. vs-nethttp is its processor time by that of
// net/http reading the same pages without recording them, in the same run.
func BenchmarkPage(b *testing.B) {
	url := pageServer(b)
	for _, workers := range []int{1, 64} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			c := newClient(b, Config{AllowNet: loopback, PerOrigin: workers})
			t := &http.Transport{MaxIdleConnsPerHost: workers}
			defer t.CloseIdleConnections()
			b.ReportAllocs()
			theirs := parallel(b, workers, func() error { return readPage(t, url) })
			b.ResetTimer()
			ours := parallel(b, workers, func() error { return capturePage(c, url) })
			b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "cpu-us/page")
			b.ReportMetric(float64(ours)/float64(theirs), "vs-nethttp")
		})
	}
}

// parallel does b.N pages and says what processor time they took.
func parallel(b *testing.B, workers int, page func() error) time.Duration {
	begin := cpu()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := page(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return cpu() - begin
}

func capturePage(c *Client, url string) error {
	capture, err := c.Fetch(context.Background(), Request{URL: url})
	if err != nil {
		return err
	}
	defer capture.Close()
	if len(capture.View()) == 0 {
		return errors.New("no view")
	}
	return nil
}

func readPage(t *http.Transport, url string) error {
	req, err := http.NewRequestWithContext(context.Background(), "GET", url, nil)
	if err != nil {
		return err
	}
	res, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// BenchmarkDriver is the same page through colly.
func BenchmarkDriver(b *testing.B) {
	url := pageServer(b)
	d := newClient(b, Config{AllowNet: loopback}).NewDriver()
	b.ReportAllocs()
	begin := cpu()
	for b.Loop() {
		if err := d.Drive(b.Context(), Request{URL: url}, func(c *Capture, _ *colly.Response) { c.Close() }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpu()-begin).Microseconds())/float64(b.N), "cpu-us/page")
}
