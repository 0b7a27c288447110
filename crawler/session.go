package crawler

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"salvor"
	"salvor/api"
)

// session numbers a run's requests, and repeats those whose outcome is
// unknown until they are answered (protocol 4).
type session struct {
	c    api.Coordinator
	id   salvor.SessionID
	last atomic.Uint64
}

func openSession(ctx context.Context, c api.Coordinator, worker string) (*session, error) {
	s := &session{c: c}
	err := repeat(ctx, func() (err error) {
		s.id, err = c.Register(ctx, worker)
		return err
	})
	return s, err
}

// end gives back what the session holds.
func (s *session) end(ctx context.Context) error {
	return repeat(ctx, func() error { return s.c.End(ctx, s.id) })
}

func (s *session) call() api.Call {
	return api.Call{Session: s.id, Request: s.last.Add(1)}
}

// do runs f with one request number until its outcome is known.
func (s *session) do(ctx context.Context, f func(api.Call) error) error {
	c := s.call()
	return repeat(ctx, func() error { return f(c) })
}

// repeat calls f while it answers Unavailable, at jittered distances from
// 20 ms to 2 s.
func repeat(ctx context.Context, f func() error) error {
	wait := 20 * time.Millisecond
	for {
		err := f()
		if err == nil || salvor.ClassOf(err) != salvor.Unavailable || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait/2 + rand.N(wait/2)):
		}
		wait = min(2*wait, 2*time.Second)
	}
}
