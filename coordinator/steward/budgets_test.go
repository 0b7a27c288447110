package steward

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"salvor"
	"salvor/api"
	"salvor/api/merge"
	"salvor/coordinator/shares"
)

// raft is a Raft group of which only budgets are there. It counts shares as
// leases do: one that was lowered is in force until shares.Settle has passed.
type raft struct {
	api.Group
	rows    []api.Record
	crawls  []api.Crawl
	groups  map[string]*api.HostGroup
	ceiling salvor.Pace
	began   salvor.Pace // rate of a host that is new
	past    []bygone
	trouble func() (before, after error)
	calls   int
}

func (r *raft) enter() (after, before error) {
	r.calls++
	if r.trouble == nil {
		return nil, nil
	}
	before, after = r.trouble()
	return after, before
}

func (r *raft) Records(context.Context, string) ([]api.Record, error) { return r.rows, nil }
func (r *raft) Crawls(context.Context) ([]api.Crawl, error)           { return r.crawls, nil }

func (r *raft) HostGroups(context.Context) (list []api.HostGroup, err error) {
	after, err := r.enter()
	if err != nil {
		return nil, err
	}
	for _, g := range r.groups {
		x := *g
		x.Ceiling = min(r.ceiling, x.Ceiling)
		list = append(list, x)
	}
	return list, after
}

func (r *raft) MergeHosts(_ context.Context, x api.HostGroup) error {
	after, err := r.enter()
	if err != nil {
		return err
	}
	g := r.groups[x.Name]
	switch {
	case len(x.Hosts) == 0:
		r.past = nil // its leases are no longer the budget group's
		delete(r.groups, x.Name)
		return after
	case g == nil:
		if x.Crawl == 0 {
			return salvor.Errorf(salvor.NotFound, "no crawl 0")
		}
		g = &api.HostGroup{Name: x.Name, Rate: r.began, Ceiling: salvor.Unlimited}
		r.groups[x.Name] = g
	default:
		r.lower(g, x.Share)
	}
	g.Hosts, g.Share = x.Hosts, x.Share
	return after
}

func (r *raft) lower(g *api.HostGroup, share salvor.Pace) {
	if old := shareOf(*g); shareOf(api.HostGroup{Share: share}) < old {
		r.past = append(r.past, bygone{old, time.Now().Add(shares.Settle)})
	}
}

func (r *raft) SetShare(_ context.Context, name string, share salvor.Pace) error {
	after, err := r.enter()
	if err != nil {
		return err
	}
	g := r.groups[name]
	if g == nil {
		return salvor.Errorf(salvor.NotFound, "no hosts are merged as %s", name)
	}
	r.lower(g, share)
	g.Share = share
	return after
}

func (r *raft) SetLimits(_ context.Context, l api.GroupLimits) error {
	after, err := r.enter()
	if err != nil {
		return err
	}
	g := r.groups[l.Name]
	if l.Rate > 0 && (l.Rate < g.Rate || l.Was == g.Rate) {
		g.Rate = l.Rate
	}
	if l.Ceiling > 0 {
		g.Ceiling = l.Ceiling
	}
	g.Blocked = max(g.Blocked, l.Blocked)
	if l.Note != "" {
		g.Note = l.Note
	}
	return after
}

// inForce is the most that leases of the group "cdn" may have here.
func (r *raft) inForce(limit salvor.Pace) salvor.Pace {
	g := r.groups["cdn"]
	if g == nil {
		return 0
	}
	most := shareOf(*g)
	for _, b := range r.past {
		if time.Now().Before(b.until) {
			most = max(most, b.share)
		}
	}
	return min(most, limit)
}

// world is some Raft groups and the steward that looks after them.
type world struct {
	*budgets
	rafts []*raft
}

func newWorld(n int) *world {
	w := &world{}
	for range n {
		w.rafts = append(w.rafts, &raft{groups: map[string]*api.HostGroup{}, ceiling: 20_000, began: 2000})
	}
	w.rafts[0].crawls = []api.Crawl{{ID: 3, State: salvor.CrawlRunning, Start: 2000, Ceiling: 20_000}}
	w.elect()
	return w
}

// elect begins with a steward that remembers nothing.
func (w *world) elect() {
	c := &Config{Leads: func() bool { return true }, Now: time.Now, Every: time.Second}
	for _, r := range w.rafts {
		c.Groups = append(c.Groups, r)
	}
	w.budgets = newBudgets(c)
}

// hostIn is a host that a Raft group owns.
func hostIn(g, groups, nth int) string {
	for i := 0; ; i++ {
		if h := fmt.Sprintf("h%d.example", i); api.GroupOf(h, groups) == g {
			if nth--; nth < 0 {
				return h
			}
		}
	}
}

// want writes the row; without hosts it removes it.
func (w *world) want(ceiling salvor.Pace, hosts ...string) {
	w.rafts[0].rows = nil
	if len(hosts) > 0 {
		r, err := merge.Group{Name: "cdn", Hosts: hosts, Ceiling: ceiling}.Record()
		if err != nil {
			panic(err)
		}
		w.rafts[0].rows = []api.Record{r}
	}
}

func (w *world) run(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		_ = w.look(context.Background())
	}
}

func (w *world) shares() (list []salvor.Pace) {
	for _, r := range w.rafts {
		s := salvor.Pace(0)
		if g := r.groups["cdn"]; g != nil {
			s = shareOf(*g)
		}
		list = append(list, s)
	}
	return list
}

func (w *world) wantShares(t *testing.T, why string, want ...salvor.Pace) {
	t.Helper()
	if d := cmp.Diff(want, w.shares()); d != "" {
		t.Errorf("%s: %s", why, d)
	}
}

// ready is a world whose steward has been at work for a while.
func ready(n int) *world {
	w := newWorld(n)
	w.run(shares.Settle + time.Second)
	return w
}

func spanning(n int) (hosts []string) {
	for g := range n {
		hosts = append(hosts, hostIn(g, n, 0))
	}
	return hosts
}

// TestMergesAndSplits: every Raft group is brought to the row, and to nothing
// when it is gone.
func TestMergesAndSplits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := ready(4)
		hosts := spanning(4)
		w.want(0, hosts...)
		w.rafts[3].trouble = func() (error, error) { return salvor.Errorf(salvor.Unavailable, "away"), nil }
		w.run(time.Second)
		w.wantShares(t, "one is away", 0, 0, 0, 0)
		if c := w.rafts[1].calls; c == 0 {
			t.Error("the others were not asked")
		}
		w.rafts[3].trouble = nil
		w.run(time.Second)
		w.wantShares(t, "all are there", 500, 500, 500, 500)

		// A host more in the same Raft group is in it at once, another is out.
		more := append([]string{hostIn(1, 4, 1)}, hosts[:3]...)
		w.want(0, more...)
		w.run(time.Second)
		if g := w.rafts[1].groups["cdn"]; len(g.Hosts) != 2 || w.rafts[3].groups["cdn"] != nil {
			t.Errorf("%+v, %+v", g, w.rafts[3].groups["cdn"])
		}
		// One Raft group alone has it whole.
		w.want(0, more[0], more[2])
		w.run(3 * time.Second)
		w.wantShares(t, "in one Raft group", 0, salvor.Unlimited, 0, 0)
		w.want(0)
		w.run(time.Second)
		w.wantShares(t, "split", 0, 0, 0, 0)
	})
}

// TestShareFollowsDemand, and nothing is raised before what was lowered has
// ended; nor by a steward that cannot know.
func TestShareFollowsDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := ready(2)
		for _, r := range w.rafts {
			r.began = 20_000
		}
		w.want(0, spanning(2)...)
		w.run(2 * time.Second)
		w.wantShares(t, "a rate of 20/s", 10_000, 10_000)
		w.rafts[0].groups["cdn"].Open, w.rafts[1].groups["cdn"].Open = 1000, 0
		w.run(shares.Settle + 2*time.Second)
		w.wantShares(t, "one has work, the other gave up its share", 10_000, 500)
		w.run(shares.Settle)
		w.wantShares(t, "and that is over", 19_500, 500)
		w.rafts[1].groups["cdn"].Open = 1000
		w.run(shares.Settle - 3*time.Second)
		w.wantShares(t, "the first gave up its share", 10_000, 500)
		w.elect()
		w.run(shares.Settle - time.Second)
		if got := w.shares(); got[1] != 500 {
			t.Errorf("a new steward does not know what was before, and raises: %v", got)
		}
		w.run(shares.Settle)
		w.wantShares(t, "both have", 10_000, 10_000)
	})
}

// TestWhatOneLearns the others know at the next look.
func TestWhatOneLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := ready(3)
		for _, r := range w.rafts {
			r.began = 12_000
		}
		w.want(0, spanning(3)...)
		w.run(3 * time.Second)
		w.wantShares(t, "at rest", 4000, 4000, 4000)

		g := w.rafts[2].groups["cdn"]
		g.Rate, g.Blocked, g.Note = 6000, time.Now().Add(time.Minute).UnixMilli(), "slowed"
		w.rafts[1].trouble = func() (error, error) { return salvor.Errorf(salvor.Unavailable, "away"), nil }
		w.run(time.Second)
		w.rafts[1].trouble = nil
		if x := w.rafts[0].groups["cdn"]; x.Rate != 6000 || x.Blocked != g.Blocked || x.Note != "slowed" || x.Share != 2000 {
			t.Errorf("it fell in another, and here it is %+v", x)
		}
		w.run(time.Second)
		for i, r := range w.rafts {
			if x := r.groups["cdn"]; x.Rate != 6000 || x.Blocked != g.Blocked || x.Share != 2000 {
				t.Errorf("Raft group %d: %+v", i, x)
			}
		}
		before := w.rafts[0].calls
		w.run(5 * time.Second)
		if n := w.rafts[0].calls - before; n != 5 {
			t.Errorf("%d calls in 5 looks where nothing changes", n)
		}
		// It grows in one, where there is work.
		w.rafts[0].groups["cdn"].Rate = 7000
		w.run(time.Second)
		if r := w.rafts[2].groups["cdn"].Rate; r != 7000 {
			t.Errorf("it grew, and is %v elsewhere", r)
		}
		// Growing here and falling there at the same time is falling.
		w.rafts[0].groups["cdn"].Rate, w.rafts[1].groups["cdn"].Rate = 8000, 3500
		w.run(time.Second)
		for i, r := range w.rafts {
			if x := r.groups["cdn"]; x.Rate != 3500 {
				t.Errorf("Raft group %d: %+v", i, x)
			}
		}
		// So does what a new steward finds.
		w.rafts[0].groups["cdn"].Rate = 5000
		w.elect()
		w.run(time.Second)
		if x := w.rafts[0].groups["cdn"]; x.Rate != 3500 {
			t.Errorf("a new steward leaves %+v", x)
		}
		// The row's ceiling is everybody's.
		w.want(1500, spanning(3)...)
		w.run(shares.Settle + 2*time.Second)
		w.wantShares(t, "with a ceiling", 500, 500, 500)
		for i, r := range w.rafts {
			if x := r.groups["cdn"]; x.Rate != 1500 || x.Ceiling != 1500 {
				t.Errorf("Raft group %d: %+v", i, x)
			}
		}
	})
}

// TestSharesInForce: whatever demand does, wherever calls fail, before or after
// they took effect, and whenever another steward begins: what leases may have,
// of shares that are or were, is never more than the budget.
func TestSharesInForce(t *testing.T) {
	runs := uint64(300)
	if testing.Short() {
		runs = 60
	}
	moved := 0
	for seed := range runs {
		synctest.Test(t, func(t *testing.T) { moved += randomWorld(t, seed) })
	}
	if moved < int(runs) {
		t.Errorf("shares moved %d times in %d runs", moved, runs)
	}
	t.Logf("shares moved %d times in %d runs", moved, runs)
}

func randomWorld(t *testing.T, seed uint64) (moved int) {
	rng := rand.New(rand.NewPCG(seed, 11))
	n := 2 + rng.IntN(4)
	w := ready(n)
	budget := salvor.Pace(5000 + rng.IntN(15_000))
	hosts := spanning(n)
	sick := 0 // calls in a hundred that fail
	for g, r := range w.rafts {
		own := rand.New(rand.NewPCG(seed, uint64(g)))
		r.began, r.ceiling = 20_000, budget
		r.trouble = func() (before, after error) {
			err := salvor.Errorf(salvor.Unavailable, "lost")
			switch k := own.IntN(200); {
			case k < sick:
				return err, nil
			case k < 2*sick:
				return nil, err
			}
			return nil, nil
		}
	}
	w.want(0, hosts...)
	last := w.shares()
	for range 150 {
		if rng.IntN(8) == 0 {
			sick = []int{0, 10, 60}[rng.IntN(3)]
		}
		if rng.IntN(15) == 0 {
			w.elect()
		}
		if rng.IntN(20) == 0 {
			w.want(0, hosts[:1+rng.IntN(n)]...)
		}
		if rng.IntN(10) == 0 {
			for _, r := range w.rafts {
				if g := r.groups["cdn"]; g != nil {
					g.Open = int64(max(0, rng.IntN(3000)-1000))
				}
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		_ = w.look(ctx)
		cancel()
		var sum salvor.Pace
		for _, r := range w.rafts {
			sum += r.inForce(budget)
		}
		if sum > budget {
			t.Fatalf("seed %d: %d in force of %d: %v", seed, sum, budget, w.shares())
		}
		if now := w.shares(); !slices.Equal(now, last) {
			moved, last = moved+1, now
		}
		time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond)
	}
	return moved
}
