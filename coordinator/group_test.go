package coordinator

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

func startNode(t testing.TB, dir string) *Group {
	t.Helper()
	n, err := Start(t.Context(), Config{Dir: dir, CacheBytes: 32 << 20})
	must(t, err)
	t.Cleanup(func() { n.Close(context.Background()) })
	return n
}

// startLevel starts a node of a cluster whose feature level is changed later.
func startLevel(t testing.TB, dir string, level *atomic.Uint32) *Group {
	t.Helper()
	n, err := Start(t.Context(), Config{Dir: dir, CacheBytes: 32 << 20, inForce: func() uint16 { return uint16(level.Load()) }})
	must(t, err)
	t.Cleanup(func() { n.Close(context.Background()) })
	return n
}

// restart closes a node and opens its directory again.
func restart(t testing.TB, n *Group, dir string) *Group {
	t.Helper()
	must(t, n.Close(t.Context()))
	return startNode(t, dir)
}

// rescue is a running crawl with a session.
type rescue struct {
	t testing.TB
	*Group
	crawl   api.Crawl
	session salvor.SessionID
	request uint64
	open    map[string]bool // hosts whose robots.txt is saved
}

func newRescue(t testing.TB, n *Group) *rescue {
	t.Helper()
	r := &rescue{t: t, Group: n, open: map[string]bool{}}
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

// admit saves a host's robots.txt, so that its pages are granted.
func (r *rescue) admit(host string) {
	r.t.Helper()
	if r.open[host] {
		return
	}
	r.open[host] = true
	o := r.offers(host, 0, 1)[0]
	o.URL = o.Origin + "/robots.txt"
	o.Key = salvor.ItemKey(r.crawl.HashKey, "", o.URL, nil)
	o.Class, o.Band = salvor.ClassRobots, salvor.BandRobots
	_, err := r.Discover(r.t.Context(), r.call(), api.Discovery{Crawl: r.crawl.ID, Scope: 1, Items: []api.Offer{o}})
	must(r.t, err)
	e := api.Entry{Key: o.Key, Host: host, Outcome: salvor.Saved, Status: 200, Type: "text/plain", Place: salvor.Place{Segment: 1, Offset: 1 << 40}}
	must(r.t, r.Settle(r.t.Context(), r.call(), api.Settlement{Crawl: r.crawl.ID, Entries: []api.Entry{e}}))
}

// discover offers pages of a host whose robots.txt is saved.
func (r *rescue) discover(host string, from, to int) {
	r.t.Helper()
	r.admit(host)
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
	check := func(n *Group) {
		t.Helper()
		x, err := n.Totals(t.Context(), r.crawl.ID)
		must(t, err)
		if x.Accepted != 31 || x.Leased != 8 || x.Queued != 20 || x.Outcomes[salvor.Saved] != 3 {
			t.Errorf("totals %+v", x)
		}
		segs, err := n.Segments(t.Context())
		must(t, err)
		if len(segs) != 1 || segs[0].Bytes != 99 {
			t.Errorf("segments %+v", segs)
		}
	}
	check(r.Group)
	n := restart(t, r.Group, dir)
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
	r.admit("a.example")
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
	if x := r.totals(); x.Accepted != 5001 {
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
	if x := r.totals(); x.Open() != 0 || x.Outcomes[salvor.Saved] != 5001 {
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

// TestReadyInHalfASecond takes the best of three: others use this machine too.
func TestReadyInHalfASecond(t *testing.T) {
	best := map[string]time.Duration{"new": time.Hour, "cleanly stopped": time.Hour}
	for range 3 {
		dir := t.TempDir()
		for _, what := range []string{"new", "cleanly stopped"} {
			began := time.Now()
			n := startNode(t, dir)
			best[what] = min(best[what], time.Since(began))
			r := newRescue(t, n)
			r.discover("a.example", int(r.totals().Accepted), 500)
			must(t, n.Close(t.Context()))
		}
	}
	for what, d := range best {
		t.Logf("%s directory: %s", what, d)
		if d > 500*time.Millisecond {
			t.Errorf("ready %s after the start in a %s directory", d, what)
		}
	}
}

// TestUnknownCommandStopsNode: it is never skipped, at its commit or later.
func TestUnknownCommandStopsNode(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir)
	newRescue(t, n).discover("a.example", 0, 5)
	if _, err := n.replica.propose(t.Context(), []byte{1, 0, 0, 0, 0, 200}); salvor.ClassOf(err) != salvor.TooNew {
		t.Errorf("an unknown command answered %v", err)
	}
	if _, err := n.Crawls(t.Context()); salvor.ClassOf(err) != salvor.TooNew {
		t.Errorf("the call after it answered %v", err)
	}
	must(t, n.Close(t.Context()))
	if _, err := Start(t.Context(), Config{Dir: dir}); salvor.ClassOf(err) != salvor.TooNew {
		t.Errorf("a start behind it gave %v", err)
	}
}

func TestCloseEndsWalk(t *testing.T) {
	r := newRescue(t, startNode(t, t.TempDir()))
	r.discover("a.example", 0, 100)
	closed := make(chan error, 1)
	seen := 0
	err := r.Walk(t.Context(), r.crawl.ID, nil, func(api.Known) error {
		if seen++; seen == 3 {
			go func() { closed <- r.Close(context.Background()) }()
			for r.failed() == nil {
				runtime.Gosched()
			}
		}
		return nil
	})
	if salvor.ClassOf(err) != salvor.Unavailable || seen != 3 {
		t.Errorf("a walk during the close saw %d items and got %v", seen, err)
	}
	must(t, <-closed)
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

// A capture without a media type is counted all the same.
func TestUnknownTypeIsCounted(t *testing.T) {
	r := newRescue(t, startNode(t, t.TempDir()))
	r.discover("a.example", 0, 2)
	l := r.lease(api.Want{Hosts: 1, Items: 2})[0]
	s := api.Settlement{Crawl: r.crawl.ID, Entries: []api.Entry{saved(l, 0, 1), saved(l, 1, 2)}}
	s.Entries[1].Type = ""
	must(t, r.Settle(t.Context(), r.call(), s))
	types, err := r.Types(t.Context(), r.crawl.ID)
	must(t, err)
	if types[""].URLs != 1 || types["text/html"].URLs != 1 {
		t.Errorf("types %v", types)
	}
}
