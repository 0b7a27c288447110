package coordinator

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
)

func startNode(t testing.TB, dir string) *Node {
	t.Helper()
	n, err := Start(t.Context(), Config{Dir: dir, CacheBytes: 32 << 20})
	must(t, err)
	t.Cleanup(func() { n.Close(context.Background()) })
	return n
}

// restart closes a node and opens its directory again.
func restart(t testing.TB, n *Node, dir string) *Node {
	t.Helper()
	must(t, n.Close(t.Context()))
	return startNode(t, dir)
}

// rescue is a running crawl with a session.
type rescue struct {
	t testing.TB
	*Node
	crawl   api.Crawl
	session salvor.SessionID
	request uint64
}

func newRescue(t testing.TB, n *Node) *rescue {
	t.Helper()
	r := &rescue{t: t, Node: n}
	var err error
	r.crawl, err = n.CreateCrawl(t.Context(), api.Crawl{Name: "rescue", State: salvor.CrawlRunning, Scope: 1})
	must(t, err)
	r.session, err = n.Register(t.Context(), "worker")
	must(t, err)
	return r
}

func (r *rescue) call() api.Call {
	r.request++
	return api.Call{Session: r.session, Request: r.request}
}

func (r *rescue) offers(host string, from, to int) (all []api.Offer) {
	for i := from; i < to; i++ {
		url := fmt.Sprintf("https://%s/page/%d", host, i)
		all = append(all, api.Offer{Item: salvor.Item{
			Key: salvor.ItemKey(r.crawl.HashKey, "GET", url, nil), Crawl: r.crawl.ID, Host: host, Origin: "https://" + host,
			URL: url, Class: salvor.ClassPage, Band: salvor.BandPage, Via: "https://" + host + "/",
		}})
	}
	return all
}

func (r *rescue) discover(host string, from, to int) {
	r.t.Helper()
	_, err := r.Discover(r.t.Context(), r.call(), api.Discovery{Crawl: r.crawl.ID, Scope: 1, Items: r.offers(host, from, to)})
	must(r.t, err)
}

func (r *rescue) lease(w api.Want) []api.Lease {
	r.t.Helper()
	l, err := r.Lease(r.t.Context(), r.call(), w)
	must(r.t, err)
	return l
}

func (r *rescue) totals() api.Totals {
	r.t.Helper()
	x, err := r.Totals(r.t.Context(), r.crawl.ID)
	must(r.t, err)
	return x
}

func saved(l api.Lease, i int, at int64) api.Entry {
	return api.Entry{
		Key: l.Items[i].Key, Host: l.Host, Lease: l.ID, Round: l.Items[i].Round, Outcome: salvor.Saved,
		Status: 200, Type: "text/html", Bytes: 1000, Place: salvor.Place{Segment: 1, Offset: at, Length: 10}, At: 1,
	}
}

func TestNodeLifeOfItems(t *testing.T) {
	dir := t.TempDir()
	r := newRescue(t, startNode(t, dir))
	r.discover("a.example", 0, 30)
	leases := r.lease(api.Want{Hosts: 4, Items: 10})
	if len(leases) != 1 || len(leases[0].Items) != 10 || leases[0].Pace != defaultStart {
		t.Fatalf("leased %+v", leases)
	}
	l := leases[0]
	if more := r.lease(api.Want{Hosts: 4, Items: 10, Not: []string{"a.example"}}); len(more) != 0 {
		t.Errorf("a host the session has enough of was leased: %+v", more)
	}
	seg, err := r.OpenSegment(t.Context(), r.call(), "seg-1")
	must(t, err)
	must(t, r.SetSegment(t.Context(), api.Segment{ID: seg, Name: "seg-1", State: api.SegmentStored, Bytes: 99}))
	s := api.Settlement{Crawl: r.crawl.ID, Entries: []api.Entry{saved(l, 0, 1), saved(l, 1, 2)}}
	must(t, r.Settle(t.Context(), r.call(), s))
	ren, err := r.Extend(t.Context(), r.call(), api.Holdings{Seen: l.ID, Leases: []api.Extension{{Lease: l.ID, Pace: l.Pace}}})
	must(t, err)
	if len(ren.Granted) != 1 || ren.Granted[0].Pace != l.Pace {
		t.Errorf("extended to %+v", ren)
	}
	check := func(n *Node) {
		t.Helper()
		x, err := n.Totals(t.Context(), r.crawl.ID)
		must(t, err)
		if x.Accepted != 30 || x.Leased != 8 || x.Queued != 20 || x.Outcomes[salvor.Saved] != 2 {
			t.Errorf("totals %+v", x)
		}
		segs, err := n.Segments(t.Context())
		must(t, err)
		if len(segs) != 1 || segs[0].Bytes != 99 {
			t.Errorf("segments %+v", segs)
		}
	}
	check(r.Node)
	n := restart(t, r.Node, dir)
	check(n)
	// An extend that does not list a lease gives its items back.
	_, err = n.Extend(t.Context(), r.call(), api.Holdings{Seen: l.ID})
	must(t, err)
	if x, _ := n.Totals(t.Context(), r.crawl.ID); x.Leased != 0 || x.Queued != 28 {
		t.Errorf("after a lease was given back: %+v", x)
	}
}

func TestCreateCrawlIsOnce(t *testing.T) {
	n := startNode(t, t.TempDir())
	made := func(name string) api.Crawl {
		c, err := n.CreateCrawl(t.Context(), api.Crawl{Name: name})
		must(t, err)
		return c
	}
	a, b := made("a"), made("b")
	if again := made("a"); again.ID != a.ID || again.HashKey != a.HashKey || b.ID == a.ID || b.HashKey == a.HashKey {
		t.Errorf("crawls %v, %v and again %v", a, b, again)
	}
	if a.Ceiling != defaultCeiling || a.Start != defaultStart || a.Tries != defaultTries || a.Created == 0 || a.HashKey == (salvor.HashKey{}) {
		t.Errorf("defaults %+v", a)
	}
}

func TestBigCallsAreSplit(t *testing.T) {
	r := newRescue(t, startNode(t, t.TempDir()))
	c := r.call()
	d := api.Discovery{Crawl: r.crawl.ID, Scope: 1, Items: r.offers("a.example", 0, 5000)}
	d.Items[4321].URL += "?" + strings.Repeat("x", 30_000)
	d.Items = append(d.Items, d.Items[17]) // its second sight, in another piece
	for range 2 {                          // repeating a call gets its first answers
		res, err := r.Discover(t.Context(), c, d)
		must(t, err)
		for i, x := range res[:5000] {
			if x != api.New && i != 17 {
				t.Fatalf("offer %d: %d", i, x)
			}
		}
		// The pieces run at once, so either sight may be the first.
		if one := res[17] == api.New; one == (res[5000] == api.New) {
			t.Errorf("the same offer twice: %d and %d", res[17], res[5000])
		}
	}
	if x := r.totals(); x.Accepted != 5000 {
		t.Errorf("totals %+v", x)
	}
	if n, err := r.Exclude(t.Context(), r.crawl.ID, "rule", hostKeys(d.Items[:4000])); err != nil || n != 4000 {
		t.Errorf("excluded %d, %v", n, err)
	}
	n, err := r.Reopen(t.Context(), api.Reopen{Crawl: r.crawl.ID, Outcomes: []salvor.Outcome{salvor.Excluded}, Reason: "asked"})
	if err != nil || n != 4000 {
		t.Errorf("reopened %d, %v", n, err)
	}
	var all []api.Lease
	for len(all) == 0 || len(all[len(all)-1].Items) > 0 {
		l := r.lease(api.Want{Hosts: 1, Items: 1000})
		if len(l) == 0 {
			break
		}
		all = append(all, l...)
		var s api.Settlement
		s.Crawl = r.crawl.ID
		for i := range l[0].Items {
			s.Entries = append(s.Entries, saved(l[0], i, int64(i+1)))
		}
		s.Robots = []api.Robots{{Origin: "https://a.example", Rules: make([]byte, 16<<10), Fetched: int64(len(all))}}
		must(t, r.Settle(t.Context(), r.call(), s))
	}
	if x := r.totals(); x.Open() != 0 || x.Outcomes[salvor.Saved] != 5000 {
		t.Errorf("totals %+v", x)
	}
	if robots, err := r.Robots(t.Context(), r.crawl.ID, "a.example"); err != nil || len(robots) != 1 {
		t.Errorf("robots %v, %v", robots, err)
	}
}

func hostKeys(offers []api.Offer) (keys []api.HostKey) {
	for _, o := range offers {
		keys = append(keys, api.HostKey{Host: o.Host, Key: o.Key})
	}
	return keys
}

// In a synctest bubble the clock is the bubble's and jumps when all wait.
func inBubble(t *testing.T, f func(t *testing.T, r *rescue)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n, err := Start(t.Context(), Config{Dir: t.TempDir(), CacheBytes: 32 << 20})
		must(t, err)
		defer n.Close(context.Background())
		f(t, newRescue(t, n))
	})
}

func TestSilentSessionLosesItsLease(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		r.discover("a.example", 0, 5)
		l := r.lease(api.Want{Hosts: 1, Items: 5})[0]
		for range 10 {
			time.Sleep(salvor.ExtendEvery)
			_, err := r.Extend(t.Context(), r.call(), api.Holdings{Seen: l.ID, Leases: []api.Extension{{Lease: l.ID}}})
			must(t, err)
		}
		if r.totals().Leased != 5 {
			t.Fatal("an extended lease ended")
		}
		time.Sleep(salvor.LeaseTTL + leaseGrace - time.Second)
		if r.totals().Leased != 5 {
			t.Error("a lease ended before TTL + 2 s")
		}
		time.Sleep(2 * time.Second)
		if x := r.totals(); x.Leased != 0 || x.Queued != 5 {
			t.Errorf("after TTL + 3 s: %+v", x)
		}
	})
}

func TestInheritedLeaseIsDatedFromTheReign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		start := func() *Node {
			n, err := Start(t.Context(), Config{Dir: dir, CacheBytes: 32 << 20})
			must(t, err)
			return n
		}
		n := start()
		r := newRescue(t, n)
		r.discover("a.example", 0, 5)
		r.lease(api.Want{Hosts: 1, Items: 5})
		must(t, n.Close(t.Context()))
		time.Sleep(time.Hour) // the new leader does not know how long it was away
		r.Node = start()
		defer r.Close(t.Context())
		time.Sleep(salvor.LeaseTTL + leaseGrace - time.Second)
		if r.totals().Leased != 5 {
			t.Error("an inherited lease ended before its time")
		}
		time.Sleep(2 * time.Second)
		if r.totals().Leased != 0 {
			t.Error("an inherited lease never ended")
		}
	})
}

func TestLeaseWaitsForWork(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		began := time.Now()
		if l := r.lease(api.Want{Hosts: 1, Items: 1, Wait: 7 * time.Second}); len(l) != 0 || time.Since(began) != 7*time.Second {
			t.Errorf("no work: %v after %s", l, time.Since(began))
		}
		time.AfterFunc(3*time.Second, func() { r.discover("a.example", 0, 1) })
		began = time.Now()
		c := r.call()
		l, err := r.Lease(t.Context(), c, api.Want{Hosts: 1, Items: 1, Wait: time.Minute})
		must(t, err)
		if d := time.Since(began); len(l) != 1 || d < 3*time.Second || d > 3100*time.Millisecond {
			t.Errorf("work after 3 s: %d leases after %s", len(l), d)
		}
	})
}

func TestRetryComesDue(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		r.discover("a.example", 0, 1)
		l := r.lease(api.Want{Hosts: 1, Items: 1})[0]
		e := api.Entry{Key: l.Items[0].Key, Host: l.Host, Lease: l.ID, Verb: api.VerbRetry, Reason: "timeout", Retry: time.Now().Add(30 * time.Second).UnixMilli()}
		must(t, r.Settle(t.Context(), r.call(), api.Settlement{Crawl: r.crawl.ID, Entries: []api.Entry{e}}))
		if x := r.totals(); x.Waiting != 1 {
			t.Fatalf("totals %+v", x)
		}
		began := time.Now()
		got := r.lease(api.Want{Hosts: 1, Items: 1, Wait: time.Minute})
		if d := time.Since(began); len(got) != 1 || d < 29*time.Second || d > 31*time.Second {
			t.Errorf("%d leases after %s", len(got), d)
		}
	})
}

func TestThrottledHostRestsAndSlows(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		r.discover("a.example", 0, 50)
		l := r.lease(api.Want{Hosts: 1, Items: 10})[0]
		until := time.Now().Add(20 * time.Second)
		must(t, r.Feedback(t.Context(), []api.HostFeedback{{Crawl: r.crawl.ID, Host: l.Host, Requests: 4, Throttled: 1, RetryAfter: until.UnixMilli()}}))
		ren, err := r.Extend(t.Context(), r.call(), api.Holdings{Seen: l.ID, Leases: []api.Extension{{Lease: l.ID, Pace: l.Pace}}})
		must(t, err)
		if ren.Granted[0].Pace != 0 {
			t.Errorf("a blocked host goes on at %s/s", perSecond(ren.Granted[0].Pace))
		}
		_, err = r.Extend(t.Context(), r.call(), api.Holdings{Seen: l.ID})
		must(t, err)
		got := r.lease(api.Want{Hosts: 1, Items: 1, Wait: time.Minute})
		if len(got) != 1 || time.Now().Before(until) || time.Since(until) > time.Second || got[0].Pace != defaultStart/2 {
			t.Errorf("leased %+v, %s after the server's time", got, time.Since(until))
		}
		hosts, err := r.Hosts(t.Context(), r.crawl.ID, 0)
		must(t, err)
		if !strings.Contains(hosts[0].Note, "Retry-After") {
			t.Errorf("note %q", hosts[0].Note)
		}
	})
}

func TestSetCeiling(t *testing.T) {
	r := newRescue(t, startNode(t, t.TempDir()))
	r.discover("a.example", 0, 1)
	r.discover("b.example", 0, 1)
	must(t, r.SetCeiling(t.Context(), r.crawl.ID, "a.example", 500))
	must(t, r.SetCeiling(t.Context(), r.crawl.ID, "", 900))
	hosts, err := r.Hosts(t.Context(), r.crawl.ID, 0)
	must(t, err)
	if hosts[0].Ceiling != 500 || hosts[1].Ceiling != 900 {
		t.Errorf("hosts %+v", hosts)
	}
	if err := r.SetCeiling(t.Context(), r.crawl.ID, "", 0); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("a ceiling of 0 gave %v", err)
	}
}

func TestClosedNodeSaysSo(t *testing.T) {
	before := runtime.NumGoroutine()
	n, err := Start(t.Context(), Config{Dir: t.TempDir(), CacheBytes: 32 << 20})
	must(t, err)
	r := newRescue(t, n)
	waiting := make(chan error)
	go func() {
		_, err := n.Lease(context.Background(), api.Call{Session: r.session}, api.Want{Hosts: 1, Items: 1, Wait: time.Hour})
		waiting <- err
	}()
	must(t, n.Close(t.Context()))
	must(t, n.Close(t.Context()))
	if err := <-waiting; salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("a waiting call got %v", err)
	}
	if _, err := n.Crawls(t.Context()); salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("a later call got %v", err)
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	t.Errorf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
}
