package coordinator

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// A copy in another group follows its source, and works like it.
func TestAdoptedCrawl(t *testing.T) {
	source, group := startNode(t, t.TempDir()), startNode(t, t.TempDir())
	ctx := t.Context()
	c, err := source.CreateCrawl(ctx, api.Crawl{Name: "rescue", State: salvor.CrawlRunning, Scope: 1, Settings: []byte("{}")})
	must(t, err)
	if c.Version != 1 {
		t.Errorf("a new crawl has version %d", c.Version)
	}
	r := &rescue{t: t, Group: group, crawl: c, open: map[string]bool{}, session: 77}
	for range 2 {
		must(t, group.AdoptCrawl(ctx, c))
		must(t, group.RegisterAs(ctx, "worker", r.session))
	}
	got, err := group.Crawl(ctx, c.ID)
	must(t, err)
	if diff := cmp.Diff(c, got); diff != "" {
		t.Error(diff)
	}
	r.discover("a.example", 0, 5)
	if err := group.CloseCrawl(ctx, c.ID); salvor.ClassOf(err) != salvor.Conflict {
		t.Errorf("closed with open items: %v", err)
	}
	c.State, c.Version = salvor.CrawlPaused, 2
	must(t, source.SetCrawl(ctx, c))
	must(t, source.SetCrawl(ctx, c)) // its answer was lost
	c.State = salvor.CrawlRunning
	if err := source.SetCrawl(ctx, c); salvor.ClassOf(err) != salvor.Conflict {
		t.Errorf("a change of what was changed meanwhile: %v", err)
	}
	c, err = source.Crawl(ctx, c.ID)
	must(t, err)
	must(t, group.AdoptCrawl(ctx, c))
	if l := r.lease(api.Want{Hosts: 1, Items: 5}); len(l) != 0 {
		t.Errorf("granted though the crawl is paused: %v", l)
	}
	c.State, c.Version = salvor.CrawlRunning, 3
	must(t, group.AdoptCrawl(ctx, c))
	l := r.lease(api.Want{Hosts: 1, Items: 5})[0]
	s := api.Settlement{Crawl: c.ID}
	for i := range l.Items {
		s.Entries = append(s.Entries, saved(l, i, int64(i+1)))
	}
	must(t, group.Settle(ctx, r.call(), s))
	for range 2 {
		must(t, group.CloseCrawl(ctx, c.ID))
	}
	if got, _ := group.Crawl(ctx, c.ID); got.State != salvor.CrawlFinished || got.Version != 3 {
		t.Errorf("closed: %+v", got)
	}
}

// A command that not every node knows is not proposed, and the crawl goes on.
func TestLevelInForce(t *testing.T) {
	var inForce atomic.Uint32
	r := newRescue(t, startLevel(t, t.TempDir(), &inForce))
	new := &frontier.EndIdle{Session: 5}
	for _, l := range []uint16{0, 1} {
		inForce.Store(uint32(l))
		err := r.change1(t.Context(), new)
		if salvor.ClassOf(err) != salvor.Unavailable || salvor.HintOf(err) == "" {
			t.Errorf("at level %d: %v", l, err)
		}
		host := []string{"a.example", "b.example"}[l]
		r.discover(host, 0, 10)
		got := r.lease(api.Want{Hosts: 1, Items: 10})[0]
		_, err = r.Extend(t.Context(), r.call(), api.Holdings{Seen: got.ID, Leases: []api.Extension{{Lease: got.ID, Pace: 1000}}})
		must(t, err)
		must(t, r.Settle(t.Context(), r.call(), api.Settlement{Crawl: r.crawl.ID, Entries: []api.Entry{saved(got, 0, int64(l)+1)}}))
		must(t, r.Feedback(t.Context(), []api.HostFeedback{{Crawl: r.crawl.ID, Host: host, Requests: 5, Limited: true}}))
		must(t, r.AdoptCrawl(t.Context(), api.Crawl{ID: 9, Name: "far", Version: 4}))
		_, err = r.SetRecord(t.Context(), api.Record{Table: "t", Key: host, Value: []byte("x")})
		must(t, err)
	}
	inForce.Store(2)
	must(t, r.change1(t.Context(), new))
}

// A session asks for work of one crawl and gets no other's.
func TestLeaseOfOneCrawl(t *testing.T) {
	r := newRescue(t, startNode(t, t.TempDir()))
	first := r.crawl
	r.discover("a.example", 0, 10)
	r.discover("b.example", 0, 10)
	second, err := r.CreateCrawl(t.Context(), api.Crawl{Name: "other", State: salvor.CrawlRunning, Scope: 1})
	must(t, err)
	r.crawl, r.open = second, map[string]bool{}
	r.discover("b.example", 0, 10)
	if l := r.lease(api.Want{Crawl: 99, Hosts: 9, Items: 5}); len(l) != 0 {
		t.Errorf("of a crawl that is not: %v", l)
	}
	for _, c := range []api.Crawl{second, first} {
		for _, l := range r.lease(api.Want{Crawl: c.ID, Hosts: 9, Items: 5}) {
			if l.Crawl != c.ID || l.Items[0].Crawl != c.ID {
				t.Errorf("asked for crawl %d, got %d", c.ID, l.Crawl)
			}
		}
	}
	if x := r.totals(); x.Leased != 5 {
		t.Errorf("of the second crawl %+v", x)
	}
}

// Nothing is granted for a host that is blocked, and all of it afterwards.
func TestBlockedHost(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		r.discover("a.example", 0, 10)
		r.discover("b.example", 0, 10)
		until := time.Now().Add(30 * time.Second).UnixMilli()
		must(t, r.change1(t.Context(), &frontier.SetBudget{Crawl: r.crawl.ID, Host: "a.example", Blocked: &until}))
		l := r.lease(api.Want{Hosts: 9, Items: 5})
		if len(l) != 1 || l[0].Host != "b.example" {
			t.Errorf("granted %v", l)
		}
		began := time.Now()
		l = r.lease(api.Want{Hosts: 9, Items: 5, Wait: time.Minute, Not: []string{"b.example"}})
		if d := time.Since(began); len(l) != 1 || l[0].Host != "a.example" || d < 30*time.Second || d > 33*time.Second {
			t.Errorf("after %s: %v", d, l)
		}
	})
}

// Who vanished without a lease is forgotten after ten minutes; who extends, or
// holds anything, is not.
func TestSilentSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var level atomic.Uint32
		level.Store(uint32(frontier.Level))
		n := startLevel(t, t.TempDir(), &level)
		defer n.Close(t.Context())
		r := newRescue(t, n)
		gone, err := r.Register(t.Context(), "gone")
		must(t, err)
		extend := func() error {
			_, err := r.Extend(t.Context(), r.call(), api.Holdings{})
			return err
		}
		sessions := func() int {
			m, done := n.replica.state.use()
			defer done()
			return len(m.Sessions())
		}
		var s silence
		look := func(d time.Duration) {
			t.Helper()
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(expireEvery) {
				n.endSilent(t.Context(), &s)
				if time.Now().Second()%10 == 0 {
					must(t, extend())
				}
			}
		}
		look(silentFor - time.Second)
		if sessions() != 2 {
			t.Error("a session ended before its time")
		}
		level.Store(1)
		look(30 * time.Second)
		if sessions() != 2 {
			t.Error("a session ended at a level that does not know how")
		}
		level.Store(2)
		look(30 * time.Second)
		if sessions() != 1 {
			t.Error("a silent session never ends")
		}
		r.session = gone
		if err := extend(); salvor.ClassOf(err) != salvor.NotFound || salvor.HintOf(err) != "Register again." {
			t.Errorf("of a session that has ended: %v", err)
		}
	})
}

func TestSilence(t *testing.T) {
	at := func(s int) time.Time { return benchEpoch.Add(time.Duration(s) * time.Second) }
	var s silence
	for _, step := range []struct {
		at       int
		sessions []frontier.SessionInfo
		want     int
	}{
		{0, []frontier.SessionInfo{{ID: 1}, {ID: 2, Answers: 5}, {ID: 3, Leases: 1}}, 0},
		{300, []frontier.SessionInfo{{ID: 1}, {ID: 2, Answers: 6}, {ID: 3, Leases: 1}}, 0},
		{600, []frontier.SessionInfo{{ID: 1}, {ID: 2, Answers: 6}, {ID: 3}}, 1},
		{605, []frontier.SessionInfo{{ID: 1}, {ID: 2, Answers: 6}, {ID: 3}}, 0}, // not looked at
		{610, []frontier.SessionInfo{{ID: 1}, {ID: 2, Answers: 6}, {ID: 3}}, 1}, // it failed, so again
		{899, []frontier.SessionInfo{{ID: 2, Answers: 6, Leases: 1}, {ID: 3}}, 0},
		{910, []frontier.SessionInfo{{ID: 2, Answers: 6}, {ID: 3}}, 0}, // it held something since
		{1200, []frontier.SessionInfo{{ID: 2, Answers: 6}, {ID: 3}}, 1},
	} {
		got := s.over(at(step.at), func() []frontier.SessionInfo { return step.sessions })
		if len(got) != step.want {
			t.Errorf("at %d s: %v, want %d", step.at, got, step.want)
		}
	}
}
