package coordinator

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"salvor"
	"salvor/coordinator/frontier"
)

// reign is one term of leadership: what a leader keeps in memory only, and the
// loops that propose in its name.
type reign struct {
	leases  leaseClock
	budgets *budgets
	stop    context.CancelFunc
	loops   sync.WaitGroup
}

// govern starts a reign when Raft says that this node leads and ends it when
// Raft says otherwise.
func (g *Group) govern(ctx context.Context) {
	defer g.abdicate()
	for {
		select {
		case <-ctx.Done():
			return
		case leads := <-g.replica.leading:
			g.abdicate()
			if leads {
				g.accede(ctx)
			}
		}
	}
}

// accede begins a reign once everything committed before it is applied.
func (g *Group) accede(ctx context.Context) {
	// Raft says once that this node leads: who gives up while it does would
	// leave the node without a reign for good.
	leads := func() bool { return g.replica.stands() == raft.Leader }
	if err := g.patiently(ctx, leads, func() error { _, err := g.replica.barrier(ctx); return err }); err != nil {
		g.log.Info("elected, but lost it again", "error", err)
		return
	}
	m, done := g.replica.state.use()
	g.time.raise(g.clock.Now(), m.Clock())
	g.demand.reign(g.clock.Now(), m.Purses())
	done()
	ctx, cancel := context.WithCancel(ctx)
	r := &reign{stop: cancel, budgets: newBudgets(g.jitter)}
	r.leases.begin()
	r.loops.Go(func() { g.expireLoop(ctx, r) })
	r.loops.Go(func() { g.tickLoop(ctx) })
	if g.duties != nil {
		g.duties(ctx, r)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reign = r
	g.announce()
}

// abdicate ends the reign there is.
func (g *Group) abdicate() {
	g.mu.Lock()
	r := g.reign
	g.reign = nil
	g.announce()
	g.mu.Unlock()
	if r != nil {
		r.stop()
		r.loops.Wait()
	}
}

// expireEvery is how often leases are looked at, and with it how much later
// than TTL + 2 s one may end.
const expireEvery = 500 * time.Millisecond

// expireLoop ends the leases of sessions that went silent (protocol 4).
func (g *Group) expireLoop(ctx context.Context, r *reign) {
	var silent silence
	for wait(ctx, g.clock, expireEvery) {
		m, done := g.replica.state.use()
		leases := m.Leases()
		done()
		for _, e := range r.leases.overdue(g.clock.Now(), leases) {
			if _, err := g.propose(ctx, frontier.Envelope{Command: &e}); err != nil {
				g.log.Info("lease not ended yet", "lease", e.Lease, "error", err)
				break
			}
		}
		g.endSilent(ctx, &silent)
		r.budgets.forget(g.clock.Now())
	}
}

// leaseGrace is added to a lease's time before the leader ends it.
const leaseGrace = 2 * time.Second

// leaseClock knows how long ago, on this node's monotonic clock, each lease
// was renewed. A renewal is dated when it is first seen, which is later than
// when it was applied and so errs on the safe side. Leases of an earlier
// leader are dated from the beginning of the reign or later.
type leaseClock struct {
	seen map[salvor.LeaseID]renewed
}

type renewed struct {
	renewal uint64
	at      time.Time
}

func (l *leaseClock) begin() { l.seen = map[salvor.LeaseID]renewed{} }

// overdue dates the leases and returns the commands that end what is overdue.
func (l *leaseClock) overdue(now time.Time, leases []frontier.LeaseInfo) []frontier.Expire {
	var out []frontier.Expire
	next := make(map[salvor.LeaseID]renewed, len(leases))
	for _, i := range leases {
		s, ok := l.seen[i.ID]
		if !ok || s.renewal != i.Renewal {
			s = renewed{i.Renewal, now}
		}
		next[i.ID] = s
		if now.Sub(s.at) >= salvor.LeaseTTL+leaseGrace {
			out = append(out, frontier.Expire{Lease: i.ID, Renewal: i.Renewal})
		}
	}
	l.seen = next
	return out
}

// tickLoop moves the group clock when a waiting item comes due.
func (g *Group) tickLoop(ctx context.Context) {
	for wait(ctx, g.clock, tickLeast) {
		rung := g.wake.next()
		d := g.untilDue()
		if d > 0 {
			waitEither(ctx, g.clock, d, rung)
			continue
		}
		if _, err := g.propose(ctx, frontier.Envelope{Command: &frontier.Tick{}}); err != nil {
			g.log.Info("waiting items not woken yet", "error", err)
		}
	}
}

const (
	tickLeast = 100 * time.Millisecond // between two looks
	tickMost  = time.Hour              // so that a wall clock set back is noticed
)

// untilDue is the time until the earliest waiting item.
func (g *Group) untilDue() time.Duration {
	m, done := g.replica.state.use()
	defer done()
	due, ok := m.NextDue()
	if !ok {
		return tickMost
	}
	return min(time.Duration(due-g.now())*time.Millisecond, tickMost)
}

// waitEither waits for d, a ring or the end of ctx.
func waitEither(ctx context.Context, c Clock, d time.Duration, rung <-chan struct{}) {
	t, stop := c.After(d)
	defer stop()
	select {
	case <-t:
	case <-rung:
	case <-ctx.Done():
	}
}

// now is the time as commands carry it.
func (g *Group) now() int64 { return g.time.now(g.clock.Now()) }

// ahead is how many ms the group's time is ahead of the wall clock. What
// others say in wall time is moved by it, so that it lies as far off as they
// meant.
func (g *Group) ahead() int64 {
	t := g.clock.Now()
	return g.time.now(t) - t.UnixMilli()
}
