package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// randomShare spreads what would otherwise happen at once. It is drawn by the
// leader, never in Apply.
func randomShare() float64 { return mathrand.Float64() }

// budgets are the paces of all budgets that were reported of lately, by purse. A
// budget is a host's, or one of several merged hosts, whatever crawl asks
// (protocol 2).
type budgets struct {
	chance func() float64

	// told keeps what is told of a server from coming between what a report
	// says and the change it leads to.
	told sync.RWMutex

	mu    sync.Mutex
	hosts map[string]*pace
	ends  map[string]int64 // when a block ends, Unix ms
}

// purse names the budget of a host, as frontier.ReadyHost does.
func purse(h api.Host) string {
	if h.Group == "" {
		return h.Name
	}
	return groupPurse(h.Group)
}

func groupPurse(name string) string { return "group " + name }

func newBudgets(chance func() float64) *budgets {
	return &budgets{chance: chance, hosts: map[string]*pace{}, ends: map[string]int64{}}
}

// observe takes a report and says what is to be proposed; false is nothing.
func (b *budgets) observe(t moment, h api.Host, general salvor.Pace, f api.HostFeedback) (frontier.SetBudget, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := purse(h)
	p := b.hosts[name]
	if p == nil {
		p = &pace{}
		b.hosts[name] = p
	}
	s := p.observe(t, h, general, f, b.chance())
	s.Crawl, s.Host = f.Crawl, f.Host
	if s.Blocked != nil {
		b.ends[name] = *s.Blocked
	}
	return s, s.Rate != nil || s.Ceiling != nil || s.Blocked != nil || s.Note != nil
}

// idleHost is how long a silent host is remembered; its budget stays.
const idleHost = 10 * time.Minute

// forget drops hosts that fell silent and are not blocked.
func (b *budgets) forget(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, p := range b.hosts {
		if now.Sub(p.at) > idleHost && now.After(p.until) {
			delete(b.hosts, name)
		}
	}
}

// nextEnd is the time until the next block ends, at most most.
func (b *budgets) nextEnd(wall int64, most time.Duration) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, end := range b.ends {
		if end <= wall {
			delete(b.ends, name)
			continue
		}
		most = min(most, time.Duration(end-wall)*time.Millisecond)
	}
	return most
}

// Feedback implements api.Coordinator. Changed budgets are committed when it
// returns; leases over a fallen budget are cut by the next Extend.
func (g *Group) Feedback(ctx context.Context, reports []api.HostFeedback) error {
	r, err := g.leader(ctx)
	if err != nil {
		return err
	}
	r.budgets.told.RLock()
	defer r.budgets.told.RUnlock()
	changes, err := g.judge(r, reports)
	return errors.Join(err, g.each(ctx, len(changes), func(ctx context.Context, i int) error {
		return g.change1(ctx, &changes[i])
	}))
}

func (g *Group) judge(r *reign, reports []api.HostFeedback) ([]frontier.SetBudget, error) {
	m, done, err := g.replica.state.lend()
	if err != nil {
		return nil, err
	}
	defer done()
	var errs error
	var changes []frontier.SetBudget
	t := g.moment()
	for _, f := range reports {
		if f.RetryAfter != 0 {
			f.RetryAfter += t.ahead
		}
		c, err := m.Crawl(f.Crawl)
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("coordinator: feedback: %w", err))
			continue
		}
		h, err := m.Host(f.Crawl, f.Host)
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("coordinator: feedback: %w", err))
			continue
		}
		if s, ok := r.budgets.observe(t, h, c.Ceiling, f); ok {
			changes = append(changes, s)
		}
	}
	return changes, errs
}

func (g *Group) moment() moment {
	now := g.clock.Now()
	wall := g.time.now(now)
	return moment{mono: now, wall: wall, ahead: wall - now.UnixMilli()}
}

// take notes what a budget group was told. The bad news that is on its way here
// answers for the same mistake, and is not punished again.
func (b *budgets) take(t moment, x api.HostGroup, s frontier.SetBudget) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := groupPurse(x.Name)
	p := b.hosts[name]
	if p == nil {
		p = &pace{}
		b.hosts[name] = p
		p.begin(t.mono, api.Host{Rate: x.Rate, Note: x.Note, Ceiling: x.Ceiling})
	}
	if s.Blocked != nil {
		b.ends[name] = *s.Blocked
		p.until = latest(p.until, t.mono.Add(time.Duration(*s.Blocked-t.wall)*time.Millisecond))
	}
	if s.Ceiling != nil {
		p.delay = 0
	}
	if s.Rate == nil {
		return
	}
	if *s.Rate < x.Rate {
		p.settled = true
		p.until = latest(p.until, t.mono.Add(incident))
		p.forgive()
	}
	p.rate, p.rise = *s.Rate, latest(p.rise, t.mono)
}

// release forgets that a ceiling is the robots.txt's: somebody set it.
func (b *budgets) release(purse string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p := b.hosts[purse]; p != nil {
		p.delay = 0
	}
}

// SetCeiling implements api.Coordinator. For a host, 0 takes its own ceiling
// away. What stood there of a Crawl-delay was the reason of the ceiling before.
func (g *Group) SetCeiling(ctx context.Context, crawl salvor.CrawlID, host string, p salvor.Pace) error {
	if p == 0 && host == "" {
		return salvor.Errorf(salvor.Invalid, "coordinator: a ceiling of 0 requests a second would never end").
			WithHint("Pause the crawl instead.")
	}
	r, err := g.leader(ctx)
	if err != nil {
		return err
	}
	b := frontier.SetBudget{Crawl: crawl, Host: host, Ceiling: &p}
	var h api.Host // one that nobody offered has no budget yet
	if host != "" {
		if h, err = g.known(crawl, host); err != nil {
			return err
		}
	}
	if strings.HasPrefix(h.Note, delayNote) {
		b.Note = note("")
	}
	if err := g.change1(ctx, &b); err != nil {
		return err
	}
	r.budgets.release(cmp.Or(purse(h), host))
	return nil
}

// known is a host as this node has it; zero if nobody offered it yet.
func (g *Group) known(crawl salvor.CrawlID, host string) (api.Host, error) {
	m, done, err := g.replica.state.lend()
	if err != nil {
		return api.Host{}, err
	}
	defer done()
	h, err := m.Host(crawl, host)
	if salvor.ClassOf(err) == salvor.NotFound {
		return api.Host{}, nil
	}
	return h, err
}
