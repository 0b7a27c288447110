package crawler

import (
	"fmt"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/crawler/fetch"
)

func TestJudge(t *testing.T) {
	at := time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)
	in := func(d time.Duration) int64 { return at.Add(d).UnixMilli() }
	for _, c := range []struct {
		name     string
		status   int
		cut      string
		after    string // Retry-After
		attempts uint16
		want     string // verb outcome reason
		soonest  int64
		latest   int64
	}{
		{name: "ok", status: 200, want: "0 saved "},
		{name: "redirect", status: 301, want: "0 saved "},
		{name: "odd status", status: 0, want: "0 saved "},
		{name: "not found", status: 404, want: "0 gone http-404"},
		{name: "gone", status: 410, want: "0 gone http-410"},
		{name: "forbidden", status: 403, want: "0 refused http-403"},
		{name: "teapot", status: 418, want: "0 refused http-418"},
		{name: "999", status: 999, want: "0 refused http-999"},
		{name: "too big", status: 200, cut: "length", want: "0 too_big max-body"},
		{name: "cut once", status: 200, cut: "disconnect", want: "1 open truncated-disconnect", soonest: in(30 * time.Second), latest: in(34 * time.Second)},
		{name: "cut thrice", status: 200, cut: "disconnect", attempts: 2, want: "0 saved truncated-disconnect"},
		{name: "slow thrice", status: 206, cut: "time", attempts: 2, want: "0 saved truncated-time"},
		{name: "not found, cut", status: 404, cut: "disconnect", want: "0 gone http-404"},
		{name: "forbidden, endless", status: 403, cut: "length", want: "0 refused http-403"},
		{name: "too many, cut", status: 429, cut: "disconnect", after: "90", want: "2 open http-429", soonest: in(90 * time.Second), latest: in(90 * time.Second)},
		{name: "last error, cut", status: 500, cut: "disconnect", attempts: 7, want: "0 failed http-500"},
		{name: "server error", status: 500, want: "1 open http-500", soonest: in(30 * time.Second), latest: in(34 * time.Second)},
		{name: "fourth error", status: 502, attempts: 3, want: "1 open http-502", soonest: in(4 * time.Minute), latest: in(5 * time.Minute)},
		{name: "last error", status: 500, attempts: 7, want: "0 failed http-500"},
		{name: "not implemented", status: 501, want: "0 failed http-501"},
		{name: "too many, seconds", status: 429, after: "90", attempts: 7, want: "2 open http-429", soonest: in(90 * time.Second), latest: in(90 * time.Second)},
		{name: "unavailable, date", status: 503, after: "Tue, 24 Nov 2026 05:10:00 GMT", want: "2 open http-503", soonest: in(10 * time.Minute), latest: in(10 * time.Minute)},
		{name: "absurd wait", status: 503, after: "99999999999", want: "2 open http-503", soonest: in(24 * time.Hour), latest: in(24 * time.Hour)},
		{name: "too many, no header", status: 429, want: "1 open http-429", soonest: in(30 * time.Second), latest: in(34 * time.Second)},
		{name: "too many, nonsense", status: 429, after: "soon", attempts: 7, want: "0 failed http-429"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cap := &fetch.Capture{Status: c.status, Truncated: c.cut}
			if c.after != "" {
				cap.Header = fetch.Header{{Name: "retry-after", Value: c.after}}
			}
			v := judge(salvor.Item{Attempts: c.attempts}, cap, 8, at)
			outcome := v.outcome
			if v.verb != api.VerbSettle {
				outcome = salvor.Open
			}
			if got := fmt.Sprintf("%d %v %s", v.verb, outcome, v.reason); got != c.want {
				t.Errorf("verdict %q, want %q", got, c.want)
			}
			if v.retry < c.soonest || v.retry > c.latest {
				t.Errorf("retry at %v, want %v to %v", time.UnixMilli(v.retry).UTC(), time.UnixMilli(c.soonest).UTC(), time.UnixMilli(c.latest).UTC())
			}
		})
	}
}

func TestRetryDelaysGrowToAnHour(t *testing.T) {
	for attempts, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
		if d := retryDelay(attempts); d < want || d > want+want/10 {
			t.Errorf("after %d attempts: %v, want %v and up to a tenth more", attempts, d, want)
		}
	}
	if d := retryDelay(60000); d < time.Hour {
		t.Errorf("after 60000 attempts: %v", d)
	}
}

func TestRobotsGoesFirstOnceAnOrigin(t *testing.T) {
	c := api.Crawl{ID: 1}
	offer := func(origin, path string, excluded string) api.Offer {
		return api.Offer{Item: salvor.Item{Origin: origin, URL: origin + path}, Excluded: excluded}
	}
	got := WithRobots(c, []api.Offer{
		offer("http://a", "/1", ""), offer("http://b", "/1", ""), offer("http://a", "/2", ""), offer("http://c", "/1", "exclude:x"),
	})
	var urls []string
	for _, o := range got {
		urls = append(urls, o.URL)
	}
	want := "[http://a/robots.txt http://a/1 http://b/robots.txt http://b/1 http://a/2 http://c/1]"
	if fmt.Sprint(urls) != want {
		t.Errorf("offered %v, want %s", urls, want)
	}
	if got[0].Class != salvor.ClassRobots || got[0].Band != salvor.BandRobots {
		t.Errorf("robots.txt has class %v and band %#x", got[0].Class, got[0].Band)
	}
}

func TestTarget(t *testing.T) {
	for url, want := range map[string]string{
		"http://h/":           "/",
		"http://h/a?b=c":      "/a?b=c",
		"http://u:p@h:8/a/b":  "/a/b",
		"https://[::1]:8/x?y": "/x?y",
	} {
		if got := target(url); got != want {
			t.Errorf("target(%q) = %q, want %q", url, got, want)
		}
	}
}
