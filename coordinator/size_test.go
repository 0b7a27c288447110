package coordinator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// logged reads the sizes of a node's log from an index on.
func logged(t *testing.T, n *Group, from uint64) (most int, next uint64) {
	t.Helper()
	last, err := n.replica.wal.LastIndex()
	must(t, err)
	for i := from; i <= last; i++ {
		var l raft.Log
		must(t, n.replica.wal.GetLog(i, &l))
		most = max(most, len(l.Data))
	}
	return most, last + 1
}

// TestEntriesStaySmall makes the largest calls there are and reads the log: no
// entry is above the limit, and no call is refused for it (protocol 9).
func TestEntriesStaySmall(t *testing.T) {
	r := newRescue(t, startNode(t, t.TempDir()))
	_, from := logged(t, r.Group, 1)
	calls := largestCalls(t, r)
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		t.Run(name, func(t *testing.T) {
			if err := calls[name](); err != nil {
				t.Errorf("refused: %v", err)
			}
			var most int
			most, from = logged(t, r.Group, from)
			if most > maxEntry {
				t.Errorf("an entry of %d bytes", most)
			}
			t.Logf("at most %d bytes", most)
		})
	}
}

// longOffers are offers that are each as large as may be and unlike the last.
func longOffers(r *rescue, n int) (all []api.Offer) {
	long, _, _ := largest()
	for i := range n {
		o := long
		o.Crawl, o.Key = r.crawl.ID, salvor.Key{1, byte(i), byte(i >> 8)}
		o.Host = fmt.Sprintf("%0*d", frontier.MaxHost, i)
		o.Origin = fmt.Sprintf("%0*d", frontier.MaxOrigin, i)
		o.URL = fmt.Sprintf("%0*d", frontier.MaxURL, i)
		o.Via = fmt.Sprintf("%0*d", frontier.MaxURL, i+1)
		o.Excluded = fmt.Sprintf("%0*d", frontier.MaxReason, i)
		all = append(all, o)
	}
	return all
}

func largestCalls(t *testing.T, r *rescue) map[string]func() error {
	ctx := t.Context()
	long := longOffers(r, 40)
	var hosts []api.Offer
	for _, o := range longOffers(r, 300) {
		o.Excluded, o.URL, o.Via, o.Key[0] = "", "https://"+o.Host+"/", "", 2
		o.Class, o.Band = salvor.ClassPage, salvor.BandPage
		hosts = append(hosts, o)
	}
	_, e, x := largest()
	s := api.Settlement{Crawl: r.crawl.ID}
	keys := []api.HostKey{}
	for i := range 3000 {
		e.Key, e.Host = salvor.Key{3, byte(i), byte(i >> 8)}, fmt.Sprintf("%0*d", frontier.MaxHost, i)
		e.Reason, e.Type = fmt.Sprintf("%0*d", frontier.MaxReason, i), e.Host
		s.Entries = append(s.Entries, e)
		keys = append(keys, api.HostKey{Host: e.Host, Key: e.Key})
	}
	for i := range 20 {
		x.Origin = fmt.Sprintf("%0*d", frontier.MaxOrigin, i)
		s.Robots = append(s.Robots, x)
	}
	few := api.Settlement{Crawl: r.crawl.ID, Entries: s.Entries[:20], Robots: s.Robots[:1]}
	discover := func(offers []api.Offer) func() error {
		return func() error {
			_, err := r.Discover(ctx, r.call(), api.Discovery{Crawl: r.crawl.ID, Scope: 1, Items: offers})
			return err
		}
	}
	return map[string]func() error{
		"1 long URLs, vias and rules": discover(long),
		"2 many hosts":                discover(hosts),
		"3 lease of many hosts": func() error {
			l, err := r.Lease(ctx, r.call(), api.Want{Hosts: 1000, Items: 1 << 30})
			if len(l) != mostHosts {
				t.Errorf("%d leases", len(l))
			}
			return err
		},
		"4 settle with long reasons and rules": func() error { return r.Settle(ctx, r.call(), s) },
		"5 settle of few":                      func() error { return r.Settle(ctx, r.call(), few) },
		"6 extend": func() error {
			h := api.Holdings{Seen: 1<<64 - 2}
			for i := range 50_000 {
				h.Leases = append(h.Leases, api.Extension{Lease: 1<<64 - 2 - salvor.LeaseID(i), Pace: 1<<64 - 1})
			}
			_, err := r.Extend(ctx, r.call(), h)
			return err
		},
		"7 exclude": func() error {
			_, err := r.Exclude(ctx, r.crawl.ID, strings.Repeat("r", frontier.MaxReason), keys)
			return err
		},
		"8 reopen": func() error {
			_, err := r.Reopen(ctx, api.Reopen{Crawl: r.crawl.ID, Host: e.Host, Outcomes: []salvor.Outcome{salvor.Excluded}, Reason: strings.Repeat("r", frontier.MaxReason)})
			return err
		},
		"9 feedback": func() error {
			var f []api.HostFeedback
			for _, o := range hosts {
				f = append(f, api.HostFeedback{Crawl: r.crawl.ID, Host: o.Host, Requests: 10, Throttled: 5, RetryAfter: time.Now().Add(time.Hour).UnixMilli()})
			}
			return r.Feedback(ctx, f)
		},
	}
}
