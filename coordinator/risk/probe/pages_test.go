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

// look makes a prober of pages, which looks at a server as often as it is called.
func look(t *testing.T, h http.HandlerFunc) func() string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	l, err := newPages(witness{kit(Kit{}).Vantage, kit(Kit{}).Now}, kit(Kit{}).Dial)
	if err != nil {
		t.Fatal(err)
	}
	return func() string {
		t.Helper()
		seen, err := l.Look(t.Context(), Target{Site: "site", Host: strings.TrimPrefix(s.URL, "http://")})
		if err != nil {
			t.Fatal(err)
		}
		return signals(t, seen)
	}
}

// TestRobotsTurned: who kept everybody out at all times is as safe as others; who
// begins to is not. A file that cannot be read says nothing.
func TestRobotsTurned(t *testing.T) {
	const shut, open = "User-agent: *\nDisallow: /\n", "User-agent: *\nDisallow: /private\n"
	robots, status := shut, 200
	saw := look(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/robots.txt" {
			io.WriteString(w, "<title>Forum</title>hello")
			return
		}
		w.WriteHeader(status)
		io.WriteString(w, robots)
	})
	for i, step := range []struct {
		robots string
		status int
		want   string
	}{
		{shut, 200, "healthy"}, {shut, 200, "healthy"}, {open, 200, "healthy"}, {shut, 500, "healthy"}, {shut, 429, "healthy"},
		{shut, 200, "healthy robots-closed"}, {shut, 200, "healthy robots-closed"}, {"", 404, "healthy"}, {shut, 200, "healthy robots-closed"},
	} {
		robots, status = step.robots, step.status
		if got := saw(); got != step.want {
			t.Errorf("look %d: %q, want %q", i, got, step.want)
		}
	}
}

// TestNoticesOfTheWorld: a notice of closing is one in other scripts too, on three
// pages.
func TestNoticesOfTheWorld(t *testing.T) {
	for _, text := range []string{
		"Мы закрываемся 31 декабря 2026 года.",
		"当サービスは2026年12月31日をもってサービス終了いたします。",
		"本站将于2026年12月31日停止服务。",
		"Wir schließen zum 31. Dezember 2026.",
	} {
		saw := look(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/robots.txt" {
				http.NotFound(w, r)
				return
			}
			fmt.Fprintf(w, `<meta charset=utf-8><title>x</title><div>%s</div><a href="/a">a</a><a href="/b">b</a>`, text)
		})
		if got := saw(); got != "banner healthy" {
			t.Errorf("%q is taken for %q", text, got)
		}
	}
}

// TestHangingSiteIsDown: a site that takes the connection and never answers is down,
// and the look ends.
func TestHangingSiteIsDown(t *testing.T) {
	hang := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer s.Close()
	defer close(hang)
	l, err := newPages(witness{kit(Kit{}).Vantage, kit(Kit{}).Now}, kit(Kit{}).Dial)
	if err != nil {
		t.Fatal(err)
	}
	l.http.Timeout = 50 * time.Millisecond
	seen, err := l.Look(t.Context(), Target{Site: "site", Host: strings.TrimPrefix(s.URL, "http://")})
	if got := signals(t, seen); err != nil || got != "down" {
		t.Errorf("it is %q, %v", got, err)
	}
}
