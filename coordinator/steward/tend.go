package steward

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/merge"
	"salvor/coordinator/shares"
)

// tending is one look after one budget group.
type tending struct {
	b     *budgets
	s     *spread
	m     merge.Group
	there []have
	begin start

	owners []int                 // Raft groups with hosts of it
	hosts  map[int][]string      // of these
	parts  map[int]api.HostGroup // of these, those that have it and were read
}

func (t *tending) tend(ctx context.Context) error {
	now := time.Now()
	t.hosts, t.parts = map[int][]string{}, map[int]api.HostGroup{}
	late := t.b.began.Add(shares.Settle)
	for g, h := range t.there {
		if hosts := t.m.In(g, len(t.there)); len(hosts) > 0 {
			t.owners = append(t.owners, g)
			t.hosts[g] = hosts
		}
		if h.err != nil {
			continue
		}
		share := salvor.Pace(0)
		if x, ok := h.groups[t.m.Name]; ok {
			share = shareOf(x)
			if t.hosts[g] != nil {
				t.parts[g] = x
			}
		}
		t.s.parts[g].read(now, share, late)
	}
	budget, err := t.agree(ctx)
	return errors.Join(err, t.join(ctx), t.share(ctx, now, budget))
}

// join merges the hosts that a row got meanwhile, where it has others already.
func (t *tending) join(ctx context.Context) error {
	return t.each(ctx, func(ctx context.Context, g int, x api.HostGroup) error {
		if len(x.Hosts) == len(t.hosts[g]) { // tidy took out what is too much
			return nil
		}
		x.Hosts, x.Crawl = t.hosts[g], t.begin.crawl
		return t.b.groups[g].MergeHosts(ctx, asked(x))
	})
}

// each calls f for all parts at once.
func (t *tending) each(ctx context.Context, f func(ctx context.Context, g int, x api.HostGroup) error) error {
	var wait sync.WaitGroup
	errs := make([]error, len(t.there))
	for g, x := range t.parts {
		wait.Go(func() {
			if err := tell(ctx, func(ctx context.Context) error { return f(ctx, g, x) }); err != nil {
				errs[g] = fmt.Errorf("budget group %s in group %d: %w", t.m.Name, g, err)
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

// drift is by how much the ends of one block differ in several Raft groups,
// whose clocks do.
const drift = 250 * time.Millisecond

// agree tells every part what the others learned: a rate that fell or grew, and
// a block. It returns the budget of all together.
func (t *tending) agree(ctx context.Context) (salvor.Pace, error) {
	limit := salvor.Unlimited
	if t.m.Ceiling > 0 {
		limit = min(limit, t.m.Ceiling)
	}
	rates := map[int]salvor.Pace{}
	var slow, stopped api.HostGroup // whose notes say why
	for g, x := range t.parts {
		limit = min(limit, x.Ceiling)
		rates[g] = x.Rate
		if slow.Name == "" || x.Rate < slow.Rate {
			slow = x
		}
		if x.Blocked > stopped.Blocked {
			stopped = x
		}
	}
	if len(rates) == 0 {
		return min(limit, t.begin.rate), nil
	}
	rate := t.s.settle(rates, limit)
	t.s.agreed = rate
	news := t.news(rate, slow, stopped)
	for g, r := range rates {
		t.s.parts[g].rate = r
	}
	var mu sync.Mutex
	err := t.each(ctx, func(ctx context.Context, g int, _ api.HostGroup) error {
		l, ok := news[g]
		if !ok {
			return nil
		}
		if err := t.b.groups[g].SetLimits(ctx, l); err != nil {
			return err
		}
		if l.Rate > 0 {
			mu.Lock()
			defer mu.Unlock()
			t.s.parts[g].rate = l.Rate
		}
		return nil
	})
	return rate, err
}

// news is what each part does not know. A part that has the budget group alone
// is only told its ceiling.
func (t *tending) news(rate salvor.Pace, slow, stopped api.HostGroup) map[int]api.GroupLimits {
	out := map[int]api.GroupLimits{}
	for g, x := range t.parts {
		l := api.GroupLimits{Name: x.Name}
		if t.m.Ceiling > 0 && x.Ceiling != t.m.Ceiling {
			l.Ceiling = t.m.Ceiling
		}
		if len(t.owners) > 1 && x.Rate != rate {
			l.Rate, l.Was, l.Note = rate, x.Rate, slow.Note
		}
		if stopped.Blocked > x.Blocked+drift.Milliseconds() && stopped.Blocked > t.b.c.Now().UnixMilli() {
			l.Blocked, l.Note = stopped.Blocked, stopped.Note
		}
		if l != (api.GroupLimits{Name: x.Name}) {
			out[g] = l
		}
	}
	return out
}

// share takes the steps of a plan that can be taken now. Those that must wait
// are planned again at a later look, when what they wait for is over.
func (t *tending) share(ctx context.Context, now time.Time, budget salvor.Pace) error {
	if t.begin.crawl == 0 {
		return nil // no host is known, nor how one begins
	}
	if len(t.owners) == 1 || budget >= salvor.Unlimited {
		return t.whole(ctx, now)
	}
	old, open := make([]shares.Share, len(t.owners)), map[int]int64{}
	for i, g := range t.owners {
		p := &t.s.parts[g]
		old[i] = shares.Share{Now: p.share, Most: p.most()}
		if t.there[g].err != nil {
			old[i] = shares.Share{Now: salvor.Unlimited, Most: salvor.Unlimited}
		}
		open[g] = t.parts[g].Open
	}
	weights := t.s.weigh(now, t.owners, open, len(t.parts) == len(t.owners))
	var errs []error
	for _, step := range shares.Plan(budget, old, weights) {
		g := t.owners[step.Group]
		if step.After > 0 || step.Share > old[step.Group].Now && t.leftover() {
			break
		}
		if t.there[g].err == nil {
			errs = append(errs, t.set(ctx, now, g, step.Share))
		}
	}
	return errors.Join(errs...)
}

// leftover says that a Raft group may still have the budget group, though no
// host of it any more.
func (t *tending) leftover() bool {
	for g := range t.there {
		if p := &t.s.parts[g]; t.hosts[g] == nil && (p.share > 0 || !p.met) {
			return true
		}
	}
	return false
}

// whole gives all of the budget to every part: there is one only, or no limit.
func (t *tending) whole(ctx context.Context, now time.Time) error {
	t.s.weights = nil
	var errs []error
	for _, g := range t.owners {
		x, ok := t.parts[g]
		if t.there[g].err == nil && (!ok || x.Share != 0) && !t.leftover() {
			errs = append(errs, t.set(ctx, now, g, salvor.Unlimited))
		}
	}
	return errors.Join(errs...)
}

// set gives a Raft group a share, and with it the budget group if it has none.
func (t *tending) set(ctx context.Context, now time.Time, g int, share salvor.Pace) error {
	stored := share
	if share >= salvor.Unlimited {
		stored = 0
	}
	_, has := t.parts[g]
	err := tell(ctx, func(ctx context.Context) error {
		if has {
			return t.b.groups[g].SetShare(ctx, t.m.Name, stored)
		}
		return t.b.groups[g].MergeHosts(ctx, api.HostGroup{Name: t.m.Name, Hosts: t.hosts[g], Crawl: t.begin.crawl, Share: stored})
	})
	t.s.parts[g].told(now, share, err)
	if err != nil {
		return fmt.Errorf("budget group %s in group %d: %w", t.m.Name, g, err)
	}
	return nil
}
