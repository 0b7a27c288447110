package coordinator

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"salvor/storage/durable"
)

// upkeepEvery is how often a group looks whether a snapshot is due.
const upkeepEvery = time.Second

// snapshotLoop takes a snapshot when the log grew by SnapshotBytes, or
// SnapshotEvery passed with changes (protocol 10).
func (g *replica[M]) snapshotLoop(ctx context.Context) {
	last := g.c.Clock.Now()
	for wait(ctx, g.c.Clock, upkeepEvery) {
		now := g.c.Clock.Now()
		due := g.grown.Load() >= g.c.SnapshotBytes || now.Sub(last) >= g.c.SnapshotEvery
		if !due || !g.dirty.Load() || g.fsm.err() != nil {
			continue
		}
		last = now
		if err := g.snapshot(); err != nil {
			g.log.Warn("no snapshot this time", "error", err)
			g.endIfFull()
		}
	}
}

// snapshot takes one now. Marks are cleared first: what is applied while it
// runs belongs to the next.
func (g *replica[M]) snapshot() error {
	g.dirty.Store(false)
	grown := g.grown.Swap(0)
	err := g.use(func(r *raft.Raft) error { return r.Snapshot().Error() })
	if err != nil {
		g.dirty.Store(true)
		g.grown.Add(grown)
	}
	return err
}

// endIfFull ends the node when a snapshot found no room, which Raft tells as
// text only: Pebble would try to flush for ever, and soon nothing more would be
// applied. Other errors may pass, and the log has everything.
func (g *replica[M]) endIfFull() {
	if err := g.snaps.trouble(); full(err) {
		g.c.OnStop(durable.Error(err, "write snapshot in", g.c.Dir))
	}
}

// wait sleeps on a clock; false when ctx ended first.
func wait(ctx context.Context, c Clock, d time.Duration) bool {
	t, stop := c.After(d)
	defer stop()
	select {
	case <-t:
		return true
	case <-ctx.Done():
		return false
	}
}

// watchdog looks for a follower that is sent one snapshot after the other
// without getting on (hashicorp/raft#697, open): Raft does not drop the
// conflicting tail of its log. Starting Raft again on the same log does.
type watchdog struct {
	clock Clock
	trip  chan struct{}

	mu    sync.Mutex
	times []time.Time
}

const (
	watchInstalls = 3
	watchWindow   = time.Minute
)

// restored counts a snapshot installed while running.
func (w *watchdog) restored() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock.Now()
	w.times = append(w.times, now)
	for len(w.times) > 0 && now.Sub(w.times[0]) > watchWindow {
		w.times = w.times[1:]
	}
	if len(w.times) < watchInstalls {
		return
	}
	w.times = nil
	select {
	case w.trip <- struct{}{}:
	default:
	}
}

func (g *replica[M]) watchLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.watch.trip:
		}
		g.log.Warn("snapshots are installed again and again, starting raft anew")
		if err := g.rebuild(); err != nil {
			g.c.OnStop(err)
			return
		}
	}
}

// widen gives Raft the time-outs of a group of several; the old ones would end
// the leadership with every hiccup of another node.
func (g *replica[M]) widen() error {
	if g.wide.Swap(true) || g.c.Alone == 0 {
		return nil
	}
	return g.rebuild()
}

// rebuild replaces the Raft object and its log, on the same files and the same
// machine.
//
// Raft answers no future that is under way when it is shut down, hence the
// window is emptied first. It empties: a leader cut off from its followers
// steps down and answers.
func (g *replica[M]) rebuild() error {
	g.window.drain()
	defer g.window.undrain()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.raft == nil {
		return nil
	}
	if err := errors.Join(g.stopRaft(), g.wal.Close()); err != nil {
		return err
	}
	g.wal = nil
	return g.startRaft()
}
