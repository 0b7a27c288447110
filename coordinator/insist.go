package coordinator

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"

	"salvor/coordinator/frontier"
)

// againEvery is the pause before something is tried again that failed for want
// of a leader. An election of one voter takes some 100 ms.
const againEvery = 20 * time.Millisecond

// lostPatience is how long a call in a cluster waits for a lead that was lost
// while it was under way: a transfer that failed leaves it where it was.
const lostPatience = 200 * time.Millisecond

// insist runs f once this node leads, and again when the lead was lost
// meanwhile, until ctx ends or the node serves no more. A leader cut off from
// its log for a moment is no reason to end a rescue. In a cluster somebody else
// leads soon, and the caller is sent there. Where the outcome is unknown, f is
// repeated only if that is harmless.
func insist[T any](ctx context.Context, g *Group, harmless bool, f func() (T, error)) (T, error) {
	var zero T
	var lost time.Time
	for {
		if _, err := g.leader(ctx); err != nil {
			return zero, err
		}
		v, err := f()
		if err != nil && g.failed() != nil {
			return zero, g.broken(err, harmless || unled(err))
		}
		if err == nil || !unled(err) && !(harmless && deposed(err)) {
			return v, err
		}
		g.log.Debug("lost the lead, trying again", "error", err)
		if lost.IsZero() {
			lost = g.clock.Now()
		} else if !g.replica.sole() && g.clock.Now().Sub(lost) > lostPatience {
			return zero, g.elsewhere(err)
		}
		if !wait(ctx, g.clock, againEvery) {
			return zero, err
		}
	}
}

// unled says that a proposal surely never came into the log.
func unled(err error) bool {
	return errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipTransferInProgress)
}

// deposed says that a proposal may or may not be applied one day.
func deposed(err error) bool {
	return errors.Is(err, raft.ErrLeadershipLost) || errors.Is(err, raft.ErrAbortedByRestore)
}

// harmless says whether a command may be applied twice: because the session
// remembers its first answer, or because what it sets is the same again.
func harmless(e frontier.Envelope) bool {
	if e.Session != 0 && e.Request != 0 {
		return true
	}
	switch e.Command.(type) {
	case *frontier.CreateCrawl, *frontier.SetCrawl, *frontier.SetBudget, *frontier.Register, *frontier.End,
		*frontier.OpenSegment, *frontier.SetSegment, *frontier.Exclude, *frontier.Expire, *frontier.Tick,
		*frontier.AdoptCrawl, *frontier.Close, *frontier.EndIdle, *frontier.SetGroup, *frontier.SetShare, *frontier.Rank:
		return true
	}
	return false
}

// patiently repeats f while it fails and going holds.
func (g *Group) patiently(ctx context.Context, going func() bool, f func() error) error {
	for {
		err := f()
		if err == nil || !going() || !wait(ctx, g.clock, againEvery) {
			return err
		}
	}
}
