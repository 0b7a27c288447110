// Package steward does what one node of a cluster must do for all of its
// groups: it brings every group's copy of a crawl up to group 0's, drains
// crawls whose deadline has passed, has what failed tried again before it, and
// finishes those with nothing left. It merges hosts in every group as an operator
// wants it, and divides the budget of those that live in several groups (budgets).
//
// It is for the nodes that coordinate: each runs one, and it acts while its
// node leads group 0. Two that act at once, around an election, do no harm:
// every change is compared with what it replaces, or repeatable.
//
// What it remembers is soft: a new leader's steward drives every copy again,
// and looks twice before it finishes anything (protocol 2, 7).
package steward

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"salvor"
	"salvor/api"
)

// Config says what a steward looks after.
type Config struct {
	Groups []api.Group   // as this node reaches them; group 0 is the source
	Leads  func() bool   // whether this node leads group 0
	Every  time.Duration // between two looks; default 1 s
	Now    func() time.Time
	// Settled is asked before a crawl with nothing open is finished: false while
	// something is left to do that may find more. Nil is true.
	Settled func(ctx context.Context, c api.Crawl) (bool, error)
	Logger  *slog.Logger
}

// Steward looks after the crawls of a cluster.
type Steward struct {
	c       Config
	copied  map[copyOf]uint64            // version that a group acknowledged
	looks   map[salvor.CrawlID]look      // the look before
	revived map[salvor.CrawlID]time.Time // when a finished one was looked at
	tried   map[salvor.CrawlID]*tries    // what failed and may be fetched yet

	budgets *budgets
}

type copyOf struct {
	crawl salvor.CrawlID
	group int
}

// look is what all groups together said of a crawl.
type look struct{ accepted, open, leased, failed int64 }

// New makes a steward; Run sets it to work.
func New(c Config) *Steward {
	if c.Every == 0 {
		c.Every = time.Second
	}
	if c.Settled == nil {
		c.Settled = func(context.Context, api.Crawl) (bool, error) { return true, nil }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Steward{c: c}
	s.budgets = newBudgets(&s.c)
	s.forget()
	return s
}

func (s *Steward) forget() {
	s.copied, s.looks, s.revived = map[copyOf]uint64{}, map[salvor.CrawlID]look{}, map[salvor.CrawlID]time.Time{}
	s.tried = map[salvor.CrawlID]*tries{}
}

// Run looks after the crawls and the merged hosts until ctx ends. What fails is tried again at the
// next look.
func (s *Steward) Run(ctx context.Context) {
	var loop sync.WaitGroup
	defer loop.Wait()
	loop.Go(func() { s.budgets.run(ctx) })
	tick := time.NewTicker(s.c.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !s.c.Leads() {
			s.forget()
			continue
		}
		within, cancel := context.WithTimeout(ctx, 10*s.c.Every)
		if err := s.Look(within); err != nil && ctx.Err() == nil {
			s.c.Logger.Info("not all crawls were looked after", "error", err)
		}
		cancel()
	}
}

// Look goes once over all crawls.
func (s *Steward) Look(ctx context.Context) error {
	crawls, err := s.c.Groups[0].Crawls(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range crawls { // first, so that slow counts keep no pause from its group
		errs = append(errs, s.drive(ctx, c))
	}
	for _, c := range crawls {
		errs = append(errs, s.tend(ctx, c))
	}
	return errors.Join(errs...)
}

// drive brings the copies of the other groups up to group 0's.
func (s *Steward) drive(ctx context.Context, c api.Crawl) error {
	var errs []error
	for g := 1; g < len(s.c.Groups); g++ {
		k := copyOf{c.ID, g}
		if v, ok := s.copied[k]; ok && v >= c.Version {
			continue
		}
		if err := s.c.Groups[g].AdoptCrawl(ctx, c); err != nil {
			errs = append(errs, err)
			continue
		}
		s.copied[k] = c.Version
	}
	return errors.Join(errs...)
}

// tend moves a crawl on in its life.
func (s *Steward) tend(ctx context.Context, c api.Crawl) error {
	switch c.State {
	case salvor.CrawlRunning:
		if s.over(c) {
			return s.setState(ctx, c, salvor.CrawlDraining)
		}
		return s.finish(ctx, c)
	case salvor.CrawlDraining:
		return s.finish(ctx, c)
	case salvor.CrawlFinished:
		return s.revive(ctx, c)
	}
	delete(s.looks, c.ID)
	delete(s.tried, c.ID)
	return nil
}

// setState changes a crawl in group 0; the next look drives the copies.
func (s *Steward) setState(ctx context.Context, c api.Crawl, to salvor.CrawlState) error {
	s.c.Logger.Info("crawl changes", "crawl", c.Name, "from", c.State, "to", to)
	c.State = to
	c.Version++
	return s.c.Groups[0].SetCrawl(ctx, c)
}

// finish closes a crawl of which two looks in a row found nothing open and
// nothing new. A group that got an item in between refuses, or takes the crawl
// up again by itself.
func (s *Steward) finish(ctx context.Context, c api.Crawl) error {
	now, err := s.count(ctx, c.ID)
	if err != nil {
		delete(s.looks, c.ID)
		return err
	}
	if more, err := s.retry(ctx, c, now); more || err != nil {
		delete(s.looks, c.ID)
		return err
	}
	before, looked := s.looks[c.ID]
	s.looks[c.ID] = now
	nothing := now.open == 0 || s.over(c) && now.leased == 0 // what is left is out of time
	if !looked || before != now || !nothing || now.accepted == 0 {
		return nil
	}
	delete(s.looks, c.ID)
	if ok, err := s.c.Settled(ctx, c); err != nil || !ok {
		return err
	}
	for g := len(s.c.Groups) - 1; g >= 0; g-- { // the source last: until then the next steward goes on
		if err := s.c.Groups[g].CloseCrawl(ctx, c.ID); err != nil {
			return err
		}
	}
	s.c.Logger.Info("crawl finished", "crawl", c.Name, "urls", now.accepted)
	return nil
}

// over says that a crawl's deadline has passed.
func (s *Steward) over(c api.Crawl) bool {
	return c.Deadline != 0 && s.c.Now().UnixMilli() >= c.Deadline
}

// reviveEvery is how often a finished crawl is looked at.
const reviveEvery = 15 * time.Second

// revive sets a finished crawl running that got work again in some group. After
// the deadline what is open is out of time.
func (s *Steward) revive(ctx context.Context, c api.Crawl) error {
	at := s.c.Now()
	if s.over(c) || at.Sub(s.revived[c.ID]) < reviveEvery {
		return nil
	}
	s.revived[c.ID] = at
	now, err := s.count(ctx, c.ID)
	if err != nil || now.open == 0 {
		return err
	}
	return s.setState(ctx, c, salvor.CrawlRunning)
}

// count asks all groups; each answer is linearizable.
func (s *Steward) count(ctx context.Context, id salvor.CrawlID) (l look, err error) {
	for _, g := range s.c.Groups {
		t, err := g.Totals(ctx, id)
		if err != nil { // NotFound too: its copy is on the way
			return l, err
		}
		l.accepted += t.Accepted
		l.open += t.Open()
		l.leased += t.Leased
		l.failed += t.Outcomes[salvor.Failed]
	}
	return l, nil
}
