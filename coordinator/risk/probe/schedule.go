package probe

import (
	"context"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"salvor/coordinator/risk"
)

// Recorder keeps what was seen.
type Recorder interface {
	Observe(ctx context.Context, seen []risk.Observation) error
}

// Schedule looks at many targets, each when its time has come. First looks are
// spread, so that a new leader does not ask everybody at once; the looks at one
// host are at even distances.
type Schedule struct {
	Lookers  []Looker
	Recorder Recorder
	Logger   *slog.Logger
	Now      func() time.Time
	AtOnce   bool // first looks are not spread: who asks may be gone in minutes

	next map[lookKey]time.Time
}

type lookKey struct {
	looker, host string
}

const (
	// atOnce looks are under way at a time, and one look may take lookWithin.
	atOnce     = 16
	lookWithin = time.Minute
	// MostTargets bounds how many hosts are looked at.
	MostTargets = 1000
)

// Round looks at all targets whose time has come, and returns when it is done.
func (s *Schedule) Round(ctx context.Context, targets []Target) {
	if len(targets) > MostTargets {
		targets = targets[:MostTargets]
	}
	type look struct {
		l Looker
		t Target
	}
	var due []look
	next := make(map[lookKey]time.Time, len(targets)*len(s.Lookers))
	now := s.Now()
	for _, t := range targets {
		for _, l := range s.Lookers {
			k := lookKey{l.Name(), t.Host}
			at, known := s.next[k]
			if !known {
				at = now.Add(s.first(k, l.Every()))
			}
			if !at.After(now) {
				due = append(due, look{l, t})
				at = now.Add(l.Every())
			}
			next[k] = at
		}
	}
	s.next = next // what is no target any more is forgotten
	var running sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, d := range due {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			running.Wait()
			return
		}
		running.Go(func() {
			defer func() { <-slots }()
			s.look(ctx, d.l, d.t)
		})
	}
	running.Wait()
}

func (s *Schedule) first(k lookKey, every time.Duration) time.Duration {
	if s.AtOnce {
		return 0
	}
	return spread(k, every)
}

// spread is when the first look is, from 0 to every.
func spread(k lookKey, every time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(k.looker + "\x00" + k.host))
	return time.Duration(h.Sum64() % uint64(every))
}

func (s *Schedule) look(ctx context.Context, l Looker, t Target) {
	within, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	seen, err := l.Look(within, t)
	if err != nil && ctx.Err() == nil {
		s.Logger.Info("a probe could not look", "probe", l.Name(), "host", t.Host, "error", err)
	}
	if len(seen) == 0 {
		return
	}
	if err := s.Recorder.Observe(ctx, seen); err != nil && ctx.Err() == nil {
		s.Logger.Info("what a probe saw was not kept", "probe", l.Name(), "host", t.Host, "error", err)
	}
}
