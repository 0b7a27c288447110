package crawler

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
	"salvor/crawler/fetch"
)

func TestRedirectOf(t *testing.T) {
	for _, c := range []struct {
		status         int
		location, want string
	}{
		{301, "/robots2.txt", "http://a.test/robots2.txt"},
		{302, "https://www.a.test/robots.txt", "https://www.a.test/robots.txt"},
		{307, "//b.test/r#x", "http://b.test/r"},
		{308, "r", "http://a.test/r"},
		{303, "", ""},
		{304, "/x", ""},
		{300, "mailto:a@b.test", ""},
		{301, "http://[", ""},
		{200, "/x", ""},
		{404, "/x", ""},
	} {
		cap := &fetch.Capture{URL: "http://a.test/robots.txt", Status: c.status, Header: fetch.Header{{Name: "location", Value: c.location}}}
		if got := redirectOf(cap); got != c.want {
			t.Errorf("%d to %q leads to %q, want %q", c.status, c.location, got, c.want)
		}
	}
	if got := redirectOf(&fetch.Capture{URL: "http://a.test/robots.txt", Status: 301}); got != "" {
		t.Errorf("no Location leads to %q", got)
	}
}

// TestRobotsAway: how long an unreachable robots.txt is asked for, and what
// happens then.
func TestRobotsAway(t *testing.T) {
	for _, c := range []struct {
		name   string
		policy RobotsPolicy
		since  time.Duration // it was asked for first so long ago
		left   time.Duration // until the deadline; 0 none
		asked  time.Duration // Retry-After
		want   string        // settled or when it is asked again
	}{
		{name: "first", want: "again after 1m0s"},
		{name: "in the ninth minute", since: 9*time.Minute - time.Second, want: "again after 1m0s"},
		{name: "a last time", since: 9*time.Minute + 30*time.Second, want: "again after 30s"},
		{name: "for ten minutes", since: 10 * time.Minute, want: "failed robots-unreachable"},
		{name: "strict", policy: RobotsStrict, since: 1000 * time.Hour, want: "again after 1m0s"},
		{name: "ignored", policy: RobotsIgnore, want: "failed robots-unreachable"},
		{name: "a deadline", left: 100 * time.Minute, want: "again after 6s"},
		{name: "a deadline that is near", left: time.Minute, want: "again after 600ms"},
		{name: "a deadline that is far", left: 1000 * time.Hour, want: "again after 1m0s"},
		{name: "the server asks for more", asked: time.Hour, want: "again after 10m0s"},
		{name: "the server asks for less", asked: time.Second, want: "again after 1m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []string
				w := New(Config{Robots: c.policy, CrawlDelay: true, PerOrigin: 1, Notice: func(code, _, _, text string) { told = append(told, code+" "+text) }})
				if c.left > 0 {
					w.c.Deadline = time.Now().Add(c.left)
				}
				x := task{Item: salvor.Item{Origin: "http://a.test", Class: salvor.ClassRobots}, host: newHost("a.test")}
				w.asked.Store(x.Origin, time.Now().Add(-c.since))
				v := verdict{status: 503, reason: "http-503", verb: api.VerbRetry}
				if c.asked > 0 {
					v.retryAfter = time.Now().Add(c.asked).UnixMilli()
				}
				v, r := w.robotsAway(x, v)
				got := fmt.Sprintf("%v %s", v.outcome, v.reason)
				if v.verb == api.VerbPostpone {
					got = fmt.Sprint("again after ", time.Duration(v.retry-time.Now().UnixMilli())*time.Millisecond)
				}
				if got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
				settled := v.verb == api.VerbSettle
				if settled != (r != nil) || settled && (r.Status != api.RobotsUnreachable || r.Origin != x.Origin) {
					t.Errorf("reported as %+v", r)
				}
				if slow := x.host.report.crawlDelay; settled != (slow == unreachableDelay) {
					t.Errorf("the host is slowed to %v", slow)
				}
				w.robotsAway(x, v)
				if len(told) != 1 || !strings.HasPrefix(told[0], "robots_unreachable robots.txt of http://a.test cannot be had (http-503): ") {
					t.Errorf("told %q", told)
				}
			})
		})
	}
}

func TestRobotsTrouble(t *testing.T) {
	w := New(Config{})
	x := task{Item: salvor.Item{Origin: "http://a.test"}}
	for policy, want := range map[RobotsPolicy]string{
		RobotsObey:   "robots.txt of http://a.test cannot be had (no route): asking again for 3s, then its pages are fetched slowly",
		RobotsStrict: "robots.txt of http://a.test cannot be had (no route): asking again until it answers, since --robots strict",
		RobotsIgnore: "robots.txt of http://a.test cannot be had (no route): going on without, since --robots ignore",
	} {
		w.c.Robots = policy
		if got := w.robotsTrouble(x, verdict{reason: "connect", detail: "no route"}, 3100*time.Millisecond); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
