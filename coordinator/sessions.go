package coordinator

import (
	"context"
	"time"

	"salvor"
	"salvor/coordinator/frontier"
)

const (
	// silentFor is how long a session may hold nothing and say nothing. Its
	// answers are remembered that long, in case a request comes again.
	silentFor = 10 * time.Minute
	// silentEvery is how often a leader looks.
	silentEvery = 10 * time.Second
)

// silence knows since when each session that holds no lease was not heard of,
// on this node's monotonic clock. As with leases, silence is dated from when it
// is first seen, in this reign or later, which errs on the safe side. The zero
// value begins a reign.
type silence struct {
	looked time.Time
	seen   map[salvor.SessionID]heard
}

type heard struct {
	answers uint64
	at      time.Time
}

// over dates the sessions and returns the commands that end the silent ones. It
// looks now and then only.
func (s *silence) over(now time.Time, list func() []frontier.SessionInfo) (out []frontier.EndIdle) {
	if s.seen != nil && now.Sub(s.looked) < silentEvery {
		return nil
	}
	s.looked = now
	next := map[salvor.SessionID]heard{}
	for _, i := range list() {
		if i.Leases > 0 {
			continue
		}
		h, ok := s.seen[i.ID]
		if !ok || h.answers != i.Answers {
			h = heard{i.Answers, now}
		}
		next[i.ID] = h
		if now.Sub(h.at) >= silentFor {
			out = append(out, frontier.EndIdle{Session: i.ID, Answers: i.Answers})
		}
	}
	s.seen = next
	return out
}

// endSilent ends the sessions of workers that vanished, with all the answers
// that the state remembers for them. A leader calls it in its loop.
func (g *Group) endSilent(ctx context.Context, s *silence) {
	if g.inForce() < frontier.LevelOf(&frontier.EndIdle{}) {
		return
	}
	m, done := g.replica.state.use()
	ended := s.over(g.clock.Now(), m.Sessions)
	done()
	for i := range ended {
		if _, err := g.propose(ctx, frontier.Envelope{Command: &ended[i]}); err != nil {
			g.log.Info("silent session not ended yet", "session", ended[i].Session, "error", err)
			return
		}
	}
}

// EndSessions ends all sessions of a group that was restored from a copy: what
// their workers know to be accepted may have been so after the copy. They
// register again and report anew what they hold.
func (g *Group) EndSessions(ctx context.Context) error {
	m, done, err := g.replica.state.lend()
	if err != nil {
		return err
	}
	all := m.Sessions()
	done()
	for _, s := range all {
		if err := g.End(ctx, s.ID); err != nil {
			return err
		}
	}
	return nil
}

// knows refuses a call of a session that has ended. What it reports may rest on
// links that were accepted by a state of which this one is an older copy: its
// worker registers again, and then sends the links of all it holds. Without a
// session nothing is refused.
func (g *Group) knows(ctx context.Context, id salvor.SessionID) error {
	if id == 0 {
		return nil
	}
	m, done, err := g.replica.state.lend()
	if err != nil {
		return err
	}
	ok := m.HasSession(id)
	done()
	if ok { // the leader's state may be behind what it committed, never ahead
		return nil
	}
	ok, err = look(ctx, g, func(m *frontier.Machine) (bool, error) { return m.HasSession(id), nil })
	if err == nil && !ok {
		err = salvor.Errorf(salvor.NotFound, "session %d has ended", id).WithHint("Register again.")
	}
	return err
}
