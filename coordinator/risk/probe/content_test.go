package probe

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestContent: a feed tells whether something new comes as often as it used to.
func TestContent(t *testing.T) {
	feed := func(every, quiet time.Duration, n int) string {
		var b strings.Builder
		b.WriteString(`<rss version="2.0"><channel>`)
		for i := range n {
			fmt.Fprintf(&b, "<item><title>%d</title><pubDate>%s</pubDate></item>", i, noon.Add(-quiet-time.Duration(i)*every).Format(time.RFC1123Z))
		}
		return b.String() + "</channel></rss>"
	}
	const day = 24 * time.Hour
	for name, c := range map[string]struct{ link, feed, want string }{
		"lively":               {`<link rel="alternate" type="application/rss+xml" href="/f">`, feed(day, 2*day, 20), ""},
		"a month of silence":   {`<link rel=alternate type=application/rss+xml href=/f>`, feed(day, 31*day, 20), "content-decline"},
		"a slow one":           {`<link rel="alternate" type="application/rss+xml" href="/f">`, feed(20*day, 100*day, 20), ""},
		"a slow one that ends": {`<link rel="alternate" type="application/rss+xml" href="/f">`, feed(20*day, 210*day, 20), "content-decline"},
		"few entries":          {`<link rel="alternate" type="application/rss+xml" href="/f">`, feed(day, 300*day, 4), "nothing"},
		"no feed":              {`<link rel="alternate" type="application/rss+xml" href="/none">`, "", "nothing"},
		"of another host":      {`<link rel="alternate" type="application/rss+xml" href="http://192.0.2.1/f">`, feed(day, 31*day, 20), "nothing"},
		"not XML":              {`<link rel="alternate" type="application/rss+xml" href="/f">`, "hello", "nothing"},
		"at the usual place":   {``, feed(day, 31*day, 20), "content-decline"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/":
				io.WriteString(w, "<title>Forum</title>"+c.link)
			case c.feed != "" && (r.URL.Path == "/f" || c.link == "" && r.URL.Path == "/feed"):
				io.WriteString(w, c.feed)
			default:
				http.NotFound(w, r)
			}
		}))
		p, err := newPages(witness{kit(Kit{}).Vantage, kit(Kit{}).Now}, kit(Kit{}).Dial)
		if err != nil {
			t.Fatal(err)
		}
		seen, err := (&content{p}).Look(t.Context(), Target{Site: "site", Host: strings.TrimPrefix(s.URL, "http://")})
		got := signals(t, seen)
		if len(seen) == 0 {
			got = "nothing"
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
		s.Close()
	}
}
