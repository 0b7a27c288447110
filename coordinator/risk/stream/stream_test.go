package stream

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"salvor/api"
	"salvor/coordinator/risk"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// day is a crawl that reports every minute.
type day struct {
	s    Stream
	now  time.Time
	said []string
}

func (d *day) minutes(n int, worker string, requests, errors int64) {
	for range n {
		d.now = d.now.Add(time.Minute)
		d.s.Take(d.now, risk.Vantage{Node: worker}, []api.HostFeedback{{Host: "a.example", Requests: requests, Errors: errors}, {Host: "cdn.example", Requests: 100, Errors: 100}})
		for _, o := range d.s.Looks(d.now, func(h string) (string, bool) { return "example", h == "a.example" }) {
			if err := o.Check(); err != nil {
				panic(err)
			}
			word := o.Signal
			if o.Absent {
				word = "no " + word
			}
			d.said = append(d.said, fmt.Sprintf("%s %s by %s", d.now.Sub(epoch).Truncate(10*time.Minute), word, o.Vantage.Node))
		}
	}
}

func (d *day) want(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(d.said, want) {
		t.Errorf("said:\n  %s\nwant:\n  %s", strings.Join(d.said, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestFailuresRise(t *testing.T) {
	d := day{now: epoch}
	d.minutes(40, "tivo", 30, 0)
	d.minutes(14, "tivo", 30, 15) // half of them fail
	d.minutes(40, "tivo", 30, 0)
	d.want(t, "40m0s errors by tivo", "50m0s errors by tivo", "50m0s no errors by tivo")
}

func TestSiteGoesSilent(t *testing.T) {
	d := day{now: epoch}
	d.minutes(20, "tivo", 30, 30)
	d.want(t, "0s errors by tivo", "0s down by tivo", "10m0s errors by tivo", "10m0s down by tivo")
	d.said = nil
	d.minutes(60, "tivo", 1, 0) // it answers, but seldom does anybody ask
	d.said = nil
	d.minutes(40, "tivo", 30, 0)
	for _, s := range d.said {
		if !strings.Contains(s, "no ") && !strings.Contains(s, "own-load") {
			t.Errorf("it answers, and is said to be in trouble: %s", s)
		}
	}
}

func TestOwnLoad(t *testing.T) {
	d := day{now: epoch}
	d.minutes(120, "tivo", 30, 0)
	d.want(t)
	d.minutes(10, "tivo", 200, 0)
	if len(d.said) == 0 || !strings.Contains(d.said[0], "own-load by cluster") {
		t.Errorf("our requests rose to seven times: %v", d.said)
	}
}

// TestSeldomAskedHostsAreNotJudged: three failures are no pattern.
func TestSeldomAskedHostsAreNotJudged(t *testing.T) {
	d := day{now: epoch}
	d.minutes(19, "tivo", 1, 1)
	d.want(t)
}

func TestForgets(t *testing.T) {
	d := day{now: epoch}
	d.minutes(5, "tivo", 30, 0)
	d.now = d.now.Add(kept + time.Minute)
	d.s.Looks(d.now, func(string) (string, bool) { return "", false })
	if len(d.s.hosts) > 0 {
		t.Error("hosts are remembered for ever")
	}
	for i := range maxHosts + 10 {
		d.s.Take(d.now, risk.Vantage{Node: "n"}, []api.HostFeedback{{Host: fmt.Sprint(i), Requests: 1}})
	}
	if len(d.s.hosts) != maxHosts {
		t.Errorf("%d hosts are remembered", len(d.s.hosts))
	}
}

func TestNetwork(t *testing.T) {
	for a, want := range map[string]string{
		"192.0.2.77": "192.0.2.0/24", "2001:db8:1:2::3": "2001:db8:1::/48", "::ffff:198.51.100.9": "198.51.100.0/24",
		"10.1.2.3": "", "127.0.0.1": "", "fe80::1": "", "fd00::1": "",
	} {
		if got := Network(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s is in %q, want %q", a, got, want)
		}
	}
}
