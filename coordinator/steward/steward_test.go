package steward

import (
	"context"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// fake is a group of which only what a steward asks is there.
type fake struct {
	api.Group
	crawls map[salvor.CrawlID]api.Crawl
	totals map[salvor.CrawlID]api.Totals
	away   bool
	adopts int
	reopen []api.Reopen
}

func newFake() *fake {
	return &fake{crawls: map[salvor.CrawlID]api.Crawl{}, totals: map[salvor.CrawlID]api.Totals{}}
}

func (f *fake) gone() error {
	if f.away {
		return salvor.Errorf(salvor.Unavailable, "away")
	}
	return nil
}

func (f *fake) Crawls(context.Context) (list []api.Crawl, err error) {
	for _, c := range f.crawls {
		list = append(list, c)
	}
	return list, f.gone()
}

func (f *fake) SetCrawl(_ context.Context, c api.Crawl) error {
	if f.away {
		return f.gone()
	}
	if was := f.crawls[c.ID]; c.Version != was.Version+1 {
		return salvor.Errorf(salvor.Conflict, "version %d after %d", c.Version, was.Version)
	}
	f.crawls[c.ID] = c
	return nil
}

func (f *fake) AdoptCrawl(_ context.Context, c api.Crawl) error {
	if f.away {
		return f.gone()
	}
	f.adopts++
	if was, ok := f.crawls[c.ID]; !ok || was.Version < c.Version {
		f.crawls[c.ID] = c
	}
	return nil
}

func (f *fake) Totals(_ context.Context, id salvor.CrawlID) (api.Totals, error) {
	if _, ok := f.crawls[id]; !ok {
		return api.Totals{}, salvor.Errorf(salvor.NotFound, "no crawl %d", id)
	}
	return f.totals[id], f.gone()
}

func (f *fake) Reopen(_ context.Context, r api.Reopen) (int64, error) {
	f.reopen = append(f.reopen, r)
	return 0, f.gone()
}

func (f *fake) CloseCrawl(_ context.Context, id salvor.CrawlID) error {
	if f.away {
		return f.gone()
	}
	if f.totals[id].Open() > 0 {
		return salvor.Errorf(salvor.Conflict, "open items")
	}
	c := f.crawls[id]
	c.State = salvor.CrawlFinished
	f.crawls[id] = c
	return nil
}

// cluster is a steward of some groups with one running crawl in group 0.
func cluster(n int) (*Steward, []*fake) {
	var fakes []*fake
	c := Config{Leads: func() bool { return true }, Now: func() time.Time { return time.UnixMilli(1000) }}
	for range n {
		f := newFake()
		fakes = append(fakes, f)
		c.Groups = append(c.Groups, f)
	}
	fakes[0].crawls[1] = api.Crawl{ID: 1, Name: "one", State: salvor.CrawlRunning, Version: 1}
	return New(c), fakes
}

func open(n, settled int64) api.Totals {
	t := api.Totals{Accepted: n + settled, Queued: n}
	t.Outcomes[salvor.Saved] = settled
	return t
}

func (f *fake) state() salvor.CrawlState { return f.crawls[1].State }

func TestDrivesCopies(t *testing.T) {
	s, f := cluster(3)
	f[2].away = true
	if err := s.Look(t.Context()); err == nil {
		t.Error("a group that is away was not missed")
	}
	if f[1].state() != salvor.CrawlRunning || f[1].adopts != 1 {
		t.Errorf("group 1 has %+v", f[1].crawls)
	}
	f[2].away = false
	for range 3 {
		_ = s.Look(t.Context())
	}
	if f[2].state() != salvor.CrawlRunning || f[2].adopts != 1 || f[1].adopts != 1 {
		t.Errorf("group 2 has %+v after %d calls, group 1 was told %d times", f[2].crawls, f[2].adopts, f[1].adopts)
	}
	c := f[0].crawls[1]
	c.Version, c.State = 2, salvor.CrawlPaused
	f[0].crawls[1] = c
	if err := s.Look(t.Context()); err != nil || f[1].state() != salvor.CrawlPaused || f[2].state() != salvor.CrawlPaused {
		t.Errorf("a pause came to %v and %v, %v", f[1].state(), f[2].state(), err)
	}
}

// TestFinishes: two looks in a row must find nothing open and nothing new in
// any group, then all close, the source last.
func TestFinishes(t *testing.T) {
	s, f := cluster(2)
	look := func(want salvor.CrawlState, why string) {
		t.Helper()
		_ = s.Look(t.Context())
		if f[0].state() != want {
			t.Errorf("%s: %v, want %v", why, f[0].state(), want)
		}
	}
	look(salvor.CrawlRunning, "nothing was offered yet")
	look(salvor.CrawlRunning, "nothing was offered yet")
	f[1].totals[1] = open(1, 4)
	look(salvor.CrawlRunning, "one is open in group 1")
	f[1].totals[1] = open(0, 5)
	look(salvor.CrawlRunning, "one look")
	f[0].totals[1] = open(0, 1)
	look(salvor.CrawlRunning, "one more was accepted between the looks")
	f[0].away = true
	_ = s.Look(t.Context())
	f[0].away = false
	look(salvor.CrawlFinished, "two looks")
	if f[1].state() != salvor.CrawlFinished {
		t.Errorf("group 1 is %v", f[1].state())
	}
	f[1].totals[1] = open(1, 5)
	look(salvor.CrawlRunning, "there is work again")
	if v := f[0].crawls[1].Version; v != 2 {
		t.Errorf("version %d after it was set running", v)
	}
}

// TestRefusedClose: a group that got an item between the look and the close
// keeps the source running.
func TestRefusedClose(t *testing.T) {
	s, f := cluster(2)
	f[0].totals[1], f[1].totals[1] = open(0, 1), open(0, 1)
	_ = s.Look(t.Context())
	s.c.Groups[1] = late{f[1]}
	if err := s.Look(t.Context()); salvor.ClassOf(err) != salvor.Conflict || f[0].state() != salvor.CrawlRunning {
		t.Errorf("%v, group 0 is %v", err, f[0].state())
	}
}

// late gets an item just before it is asked to close.
type late struct{ *fake }

func (l late) CloseCrawl(ctx context.Context, id salvor.CrawlID) error {
	l.totals[id] = open(1, 1)
	return l.fake.CloseCrawl(ctx, id)
}

func TestDeadline(t *testing.T) {
	s, f := cluster(2)
	c := f[0].crawls[1]
	c.Deadline = 1000
	f[0].crawls[1] = c
	f[1].totals[1] = open(7, 1)
	for range 3 {
		_ = s.Look(t.Context())
	}
	if f[0].state() != salvor.CrawlDraining || f[1].state() != salvor.CrawlDraining {
		t.Errorf("after the deadline: %v and %v", f[0].state(), f[1].state())
	}
}

// TestForgets: one that led and leads again drives every copy anew.
func TestForgets(t *testing.T) {
	s, f := cluster(2)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Look(t.Context()))
	s.forget()
	must(s.Look(t.Context()))
	if f[1].adopts != 2 {
		t.Errorf("told %d times", f[1].adopts)
	}
}
