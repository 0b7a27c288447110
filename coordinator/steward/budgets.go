package steward

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/merge"
)

// budgets brings every Raft group to the rows of api.TableBudgets: which hosts
// are merged, what part of a budget each Raft group may book, and what one of
// them learned of the server. It has a loop of its own, so that a throttle seen
// in one Raft group is in the others within two seconds whatever else is to do.
//
// It alone changes shares, and never trusts what it remembers: each look reads
// the shares that are, and one that is new to it may have been higher a moment
// ago, set by the steward before (shares.Settle).
type budgets struct {
	c      *Config
	groups []api.Budgets // none where they cannot be told
	began  time.Time     // of the first look; zero before
	spread map[string]*spread
}

const (
	// answerWithin bounds a call, so that a Raft group without a leader holds
	// up what concerns the others by no more.
	answerWithin = 800 * time.Millisecond
	// atOnce is how many budget groups are looked after at a time.
	atOnce = 8
)

func newBudgets(c *Config) *budgets {
	b := &budgets{c: c}
	for _, g := range c.Groups {
		x, ok := g.(api.Budgets)
		if !ok {
			b.groups = nil
			break
		}
		b.groups = append(b.groups, x)
	}
	b.forget()
	return b
}

func (b *budgets) forget() { b.began, b.spread = time.Time{}, map[string]*spread{} }

// run looks after the budgets until ctx ends.
func (b *budgets) run(ctx context.Context) {
	if len(b.groups) == 0 {
		return
	}
	tick := time.NewTicker(b.c.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !b.c.Leads() {
			b.forget()
			continue
		}
		if err := b.look(ctx); err != nil && ctx.Err() == nil {
			b.c.Logger.Info("not all merged hosts were looked after", "error", err)
		}
	}
}

// have is what a Raft group has at this look.
type have struct {
	groups map[string]api.HostGroup
	err    error // then it is not known
}

// look goes once over all budget groups.
func (b *budgets) look(ctx context.Context) error {
	if b.began.IsZero() {
		b.began = time.Now()
	}
	rows, err := b.rows(ctx)
	if err != nil {
		return err
	}
	there := b.read(ctx)
	if len(rows) == 0 && !slices.ContainsFunc(there, func(h have) bool { return len(h.groups) > 0 }) {
		b.spread = map[string]*spread{}
		return nil // what could not be read is looked at again
	}
	errs := b.tidy(ctx, rows, there)
	crawls, err := within(ctx, b.c.Groups[0].Crawls)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	return errors.Join(append(errs, b.tend(ctx, rows, there, startOf(crawls))...)...)
}

// within asks with a limit of time.
func within[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return f(ctx)
}

// tell is within for what answers nothing.
func tell(ctx context.Context, f func(context.Context) error) error {
	_, err := within(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
}

func (b *budgets) rows(ctx context.Context) ([]merge.Group, error) {
	rows, err := within(ctx, func(ctx context.Context) ([]api.Record, error) { return b.c.Groups[0].Records(ctx, api.TableBudgets) })
	if err != nil {
		return nil, err
	}
	return merge.All(rows)
}

func (b *budgets) read(ctx context.Context) []have {
	out := make([]have, len(b.groups))
	var wait sync.WaitGroup
	for g := range b.groups {
		wait.Go(func() {
			list, err := within(ctx, b.groups[g].HostGroups)
			out[g] = have{map[string]api.HostGroup{}, err}
			for _, x := range list {
				out[g].groups[x.Name] = x
			}
		})
	}
	wait.Wait()
	return out
}

// tidy takes out of every Raft group what no row wants there. What is added
// comes after it: a host may have moved from one row to another.
func (b *budgets) tidy(ctx context.Context, rows []merge.Group, there []have) (errs []error) {
	want := map[string]merge.Group{}
	for _, m := range rows {
		want[m.Name] = m
	}
	for g, h := range there {
		for name, x := range h.groups {
			keep := want[name].In(g, len(there))
			stay := slices.DeleteFunc(slices.Clone(x.Hosts), func(host string) bool { return !slices.Contains(keep, host) })
			if len(stay) == len(x.Hosts) {
				continue
			}
			x.Hosts = stay
			if err := tell(ctx, func(ctx context.Context) error { return b.groups[g].MergeHosts(ctx, asked(x)) }); err != nil {
				errs = append(errs, fmt.Errorf("budget group %s in group %d: %w", name, g, err))
				continue
			}
			if h.groups[name] = x; len(stay) == 0 {
				delete(h.groups, name)
			}
		}
	}
	return errs
}

// asked is the part of a group that MergeHosts heeds.
func asked(x api.HostGroup) api.HostGroup {
	return api.HostGroup{Name: x.Name, Hosts: x.Hosts, Crawl: x.Crawl, Share: x.Share}
}

// start is how a host begins that nobody offered yet.
type start struct {
	crawl salvor.CrawlID
	rate  salvor.Pace
}

// startOf takes the most careful crawl that runs, or else of any.
func startOf(crawls []api.Crawl) (s start) {
	for _, running := range []bool{true, false} {
		for _, c := range crawls {
			if c.State >= salvor.CrawlDeleting || running && c.State != salvor.CrawlRunning {
				continue
			}
			if r := min(c.Start, c.Ceiling); s.crawl == 0 || r < s.rate {
				s = start{c.ID, r}
			}
		}
		if s.crawl != 0 {
			break
		}
	}
	return s
}

// tend looks after each budget group, some at a time.
func (b *budgets) tend(ctx context.Context, rows []merge.Group, there []have, begin start) []error {
	next := map[string]*spread{}
	errs := make([]error, len(rows))
	var wait sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, m := range rows {
		s := b.spread[m.Name]
		if s == nil {
			s = newSpread(len(there))
		}
		next[m.Name] = s
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			t := tending{b: b, s: s, m: m, there: there, begin: begin}
			errs[i] = t.tend(ctx)
		})
	}
	wait.Wait()
	b.spread = next
	return errs
}
