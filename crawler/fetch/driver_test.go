package fetch

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gocolly/colly/v2"
)

func odds(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Set-Cookie", "a=b")
	w.Header().Set("Content-Type", "text/html; charset=iso-8859-1")
	switch r.URL.Path {
	case "/redirect":
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	case "/gone":
		w.WriteHeader(http.StatusGone)
	case "/page.xml.gz":
		fmt.Fprint(w, "not packed")
	default:
		fmt.Fprintf(w, "<title>caf\xe9 %s</title>", r.Header.Get("Cookie"))
	}
}

// drive fetches through d and says what came out.
func drive(t *testing.T, d *Driver, url string) (out string, viaColly bool) {
	t.Helper()
	calls := 0
	err := d.Drive(t.Context(), Request{URL: url}, func(c *Capture, r *colly.Response) {
		calls++
		defer c.Close()
		out, viaColly = fmt.Sprintf("%d %s", c.Status, strings.SplitN(string(c.Request), "\r\n", 2)[0]), r != nil
	})
	if err != nil || calls != 1 {
		t.Errorf("%s: %d calls, %v", url, calls, err)
	}
	return out, viaColly
}

// TestDriver: every answer is one capture, be it a redirect or an error, and
// what colly would change is asked for unchanged.
func TestDriver(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(odds))
	defer s.Close()
	d := newClient(t, Config{AllowNet: loopback}).NewDriver()
	for path, want := range map[string]string{
		"/":            "200 GET / HTTP/1.1",
		"/redirect":    "302 GET /redirect HTTP/1.1",
		"/gone":        "410 GET /gone HTTP/1.1",
		"/page.xml.gz": "200 GET /page.xml.gz HTTP/1.1",
		"/x?a=%zz&b=c": "200 GET /x?a=%zz&b=c HTTP/1.1",
	} {
		for range 2 {
			if got, via := drive(t, d, s.URL+path); got != want || !via {
				t.Errorf("%s: %s, by colly %t", path, got, via)
			}
		}
	}
}

// TestDriverDirect: what colly cannot carry is fetched without it.
func TestDriverDirect(t *testing.T) {
	far := &memoryServer{answer: okAnswer}
	c := newClient(t, Config{Resolver: hostNumbers{}})
	c.dialer.dial = far.dial
	d := c.NewDriver()
	for url, via := range map[string]bool{"http://h1.test/a": true, "http://h1.test/a%": true, "http://h`1.test/a": false} {
		got, byColly := drive(t, d, url)
		if !strings.HasPrefix(got, "200 GET /a") || byColly != via {
			t.Errorf("%s: %s, by colly %t", url, got, byColly)
		}
		if strings.HasSuffix(url, "%") && got != "200 GET /a% HTTP/1.1" {
			t.Errorf("%s: colly's URL was asked for: %s", url, got)
		}
	}
}

// TestDriverEnvironment: colly's variables change nothing.
func TestDriverEnvironment(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(odds))
	defer s.Close()
	for k, v := range map[string]string{
		"ALLOWED_DOMAINS": "other.test", "DISALLOWED_DOMAINS": "127.0.0.1", "CACHE_DIR": t.TempDir(), "DETECT_CHARSET": "yes",
		"IGNORE_ROBOTSTXT": "no", "FOLLOW_REDIRECTS": "yes", "MAX_BODY_SIZE": "1", "MAX_DEPTH": "-1", "MAX_REQUESTS": "1",
		"PARSE_HTTP_ERROR_RESPONSE": "no", "USER_AGENT": "other", "TRACE_HTTP": "yes",
	} {
		t.Setenv("COLLY_"+k, v)
	}
	d := newClient(t, Config{AllowNet: loopback}).NewDriver()
	for _, path := range []string{"/", "/", "/redirect", "/gone"} {
		if got, via := drive(t, d, s.URL+path); !strings.Contains(got, " GET "+path+" ") || !via {
			t.Errorf("%s: %s, by colly %t", path, got, via)
		}
	}
}

// TestDriverParse: a recipe's selectors see the page in UTF-8, and neither
// coding, cookie nor target.
func TestDriverParse(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(odds))
	defer s.Close()
	d := newClient(t, Config{AllowNet: loopback}).NewDriver()
	d.Parse = func(c *Capture) bool { return strings.HasSuffix(c.URL, "/recipe") }
	var titles []string
	d.OnHTML("title", func(e *colly.HTMLElement) { titles = append(titles, e.Text) })
	d.OnResponse(func(r *colly.Response) {
		for _, h := range []string{"Location", "Set-Cookie", "Content-Length"} {
			if r.Headers.Get(h) != "" {
				t.Errorf("colly sees %s", h)
			}
		}
	})
	drive(t, d, s.URL+"/recipe")
	drive(t, d, s.URL+"/other")
	drive(t, d, s.URL+"/redirect")
	if fmt.Sprintf("%q", titles) != `["café "]` {
		t.Errorf("titles %q", titles)
	}
}

// TestDriverErrors: an *Error comes through colly as it is, and the next
// fetch works.
func TestDriverErrors(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(odds))
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String() + "/"
	l.Close()
	d := newClient(t, Config{AllowNet: loopback}).NewDriver()
	never := func(*Capture, *colly.Response) { t.Error("called without a capture") }
	for url, want := range map[string]Class{closed: ClassConnect, "http://10.0.0.1/": ClassRefused, "mailto:x": ClassInvalid} {
		if err := d.Drive(t.Context(), Request{URL: url}, never); classOf(err) != want {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Drive(ctx, Request{URL: s.URL}, never); classOf(err) != ClassCancelled {
		t.Errorf("cancelled: %v", err)
	}
	drive(t, d, s.URL+"/")
}
