package fetch

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"salvor"
)

const cookieFile = "# Netscape HTTP Cookie File\n" +
	"example.org\tFALSE\t/\tFALSE\t0\thost\t1\n" +
	".example.org\tTRUE\t/deep\tFALSE\t4000000000\tdomain\t2\r\n" +
	"#HttpOnly_example.org\tFALSE\t/\tTRUE\t0\tsecure\t3\n" +
	"example.org\tFALSE\t/\tFALSE\t1000\told\t4\n" +
	"\n"

// TestRequests: testdata/requests says what is sent, byte for byte.
func TestRequests(t *testing.T) {
	datadriven.RunTest(t, "testdata/requests", func(t *testing.T, d *datadriven.TestData) string {
		cookies, err := ReadCookies(strings.NewReader(cookieFile))
		if err != nil {
			t.Fatal(err)
		}
		cfg := Config{UserAgent: "salvor (+https://example.net)"}
		r := Request{}
		for l := range strings.Lines(d.Input) {
			name, value, _ := strings.Cut(strings.TrimSpace(l), " ")
			key, text, _ := strings.Cut(value, ": ")
			switch name {
			case "url":
				r.URL = value
			case "method":
				r.Method = value
			case "body":
				r.Body = []byte(value)
			case "referer":
				r.Referer = value
			case "header":
				r.Header = append(r.Header, [2]string{key, text})
			case "config":
				cfg.Header = append(cfg.Header, [2]string{key, text})
			case "from":
				cfg.From = value
			case "cookies":
				cfg.Cookies = cookies
			case "proxy":
				cfg.Proxy = value
			default:
				t.Fatalf("what is %q?", l)
			}
		}
		target, err := parseTarget(r.URL)
		if err != nil {
			return err.Error() + "\n"
		}
		p, err := parseProxy(cfg.Proxy)
		if err != nil {
			t.Fatal(err)
		}
		m := newSender(&cfg).message(&r, &target, p, time.Unix(1.8e9, 0))
		out := fmt.Sprintf("to %s://%s port %d\n%s\n", target.scheme(), target.host, target.port, m.bytes)
		if rec := m.recorded(); string(rec) != string(m.bytes) {
			out += "recorded:\n" + string(rec)
		}
		return strings.ReplaceAll(out, "\r\n", " ⏎\n")
	})
}

func TestCookieFileErrors(t *testing.T) {
	for text, want := range map[string]string{
		"a\tb\n": "line 1: 2 fields, not 7",
		"# c\nexample.org\tFALSE\t/\tFALSE\tsoon\tn\tv\n": `line 2: expiry "soon" is not a number`,
		"example.org\tFALSE\t/\tFALSE\t0\tn\tv;x\n":       `line 1: cookie "n" holds a character that cannot be sent`,
	} {
		_, err := ReadCookies(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) || salvor.HintOf(err) == "" || salvor.ClassOf(err) != salvor.Invalid {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestCookieDomains: a cookie for all subdomains goes to them, and not to
// whoever ends alike.
func TestCookieDomains(t *testing.T) {
	cookies, err := ReadCookies(strings.NewReader(cookieFile))
	if err != nil {
		t.Fatal(err)
	}
	jar := newCookieJar(cookies)
	for url, want := range map[string]string{
		"http://example.org/":            "host=1",
		"http://example.org/deep":        "host=1; domain=2",
		"http://example.org/deeper":      "host=1",
		"http://a.b.example.org/deep/er": "domain=2",
		"http://badexample.org/deep":     "",
		"http://org/deep":                "",
		"https://example.org/":           "host=1; secure=3",
	} {
		target, err := parseTarget(url)
		if err != nil {
			t.Fatal(err)
		}
		if got := jar.header(&target, time.Unix(1.8e9, 0)); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]Config{
		"line break":     {UserAgent: "a\r\nX: y"},
		"header name":    {Header: [][2]string{{"a b", "c"}}},
		"empty name":     {Header: [][2]string{{"", "c"}}},
		"header value":   {Header: [][2]string{{"a", "c\nd"}}},
		"cookie":         {Cookies: []*http.Cookie{{Name: "a", Value: "b\r\nC: d"}}},
		"negative":       {PerOrigin: -1},
		"proxy scheme":   {Proxy: "https://proxy:1"},
		"proxy host":     {Proxy: "http://"},
		"proxy password": {Proxy: "socks5://u:" + strings.Repeat("x", 256) + "@h:1"},
	} {
		c, err := New(cfg)
		if salvor.ClassOf(err) != salvor.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			c.Close()
		}
		if err != nil && strings.Contains(err.Error(), "xxx") {
			t.Errorf("%s: the error tells the password", name)
		}
	}
}

func TestRequestIsChecked(t *testing.T) {
	c := newClient(t, Config{Resolver: zooNames{}})
	for _, r := range []Request{
		{URL: "http://zoo.test/", Method: "GET /x HTTP/1.1\r\nX:"}, {URL: "http://zoo.test/", Header: [][2]string{{"A", "b\r\nC: d"}}},
		{URL: "ftp://zoo.test/"}, {URL: "/relative"}, {URL: ""}, {URL: "http://"}, {URL: "javascript:alert(1)"},
	} {
		_, err := c.Fetch(t.Context(), r)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Class != ClassInvalid || e.Transient() || e.Status() != -7 || e.URL != r.URL {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestMediaTypes(t *testing.T) {
	for header, want := range map[string]string{
		"":                             "|",
		"text/HTML":                    "text/html|",
		"text/html; charset=UTF-8":     "text/html|utf-8",
		"text/html;x=y; Charset='iso'": "text/html|iso",
		` text/css ; charset="x" `:     "text/css|x",
		"text/html, text/plain":        "text/html|",
		"html":                         "|",
		"*/*":                          "|",
		"text/":                        "|",
		"a b/c; charset=d":             "|d",
	} {
		kind, charset := declared(Header{{"content-type", header}})
		if got := kind + "|" + charset; got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

// TestSensitiveLines: credentials go to the hosts they are for and to no other,
// wherever a redirect leads; all else goes everywhere.
func TestSensitiveLines(t *testing.T) {
	cfg := Config{
		Header: [][2]string{{"Authorization", "Bearer s1"}, {"X-API_Key", "s2"}, {"Accept-Language", "de"}, {"Cookie", "s3"}},
		From:   "me@a.test",
	}
	asked := func(s *sender, url string) string {
		target, err := parseTarget(url)
		if err != nil {
			t.Fatal(err)
		}
		return string(s.message(&Request{URL: url}, &target, nil, time.Time{}).bytes)
	}
	everywhere := newSender(&cfg)
	cfg.SensitiveFor = func(host string) bool { return host == "a.test" }
	limited := newSender(&cfg)
	for _, c := range []struct {
		s       *sender
		url     string
		secrets int
	}{
		{everywhere, "http://b.test/", 3},
		{limited, "http://a.test/", 3},
		{limited, "https://A.test:8443/x", 3},
		{limited, "http://b.test/", 0},
		{limited, "http://a.test.b.test/", 0},
		{limited, "http://a.test@b.test/", 0},
	} {
		m := asked(c.s, c.url)
		n := strings.Count(m, "Bearer s1") + strings.Count(m, "s2") + strings.Count(m, "s3")
		if n != c.secrets || !strings.Contains(m, "Accept-Language: de\r\n") || !strings.Contains(m, "From: me@a.test\r\n") {
			t.Errorf("%s: %d secrets, want %d, in\n%s", c.url, n, c.secrets, m)
		}
	}
}

func TestSensitive(t *testing.T) {
	for name, want := range map[string]bool{
		"Authorization": true, "cookie": true, "X-Api-Key": true, "apikey": true, "X_AUTH_TOKEN": true, "X-Session-Id": true, "X-CSRF-Token": true,
		"Accept": false, "Accept-Language": false, "User-Agent": false, "DNT": false, "Range": false, "X-Forwarded-For": false,
	} {
		if Sensitive(name) != want {
			t.Errorf("Sensitive(%q) = %v", name, !want)
		}
	}
}
