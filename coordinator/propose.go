package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/semaphore"

	"salvor"
	"salvor/coordinator/frontier"
)

// Limits of protocol 9. They keep a log write short, so that heartbeats, which
// wait behind it, arrive in time.
const (
	aimEntry    = 24 << 10  // what a split aims at
	maxEntry    = 128 << 10 // what is refused
	maxInFlight = 1024
	maxBytes    = 32 << 20
)

// enqueueTime bounds how long an entry waits for Raft's main loop.
const enqueueTime = 10 * time.Second

// window bounds what is proposed and not yet answered.
type window struct{ entries, bytes *semaphore.Weighted }

func newWindow() *window {
	return &window{semaphore.NewWeighted(maxInFlight), semaphore.NewWeighted(maxBytes)}
}

func (w *window) enter(ctx context.Context, size int) error {
	if err := w.entries.Acquire(ctx, 1); err != nil {
		return err
	}
	if err := w.bytes.Acquire(ctx, int64(size)); err != nil {
		w.entries.Release(1)
		return err
	}
	return nil
}

func (w *window) leave(size int) {
	w.bytes.Release(int64(size))
	w.entries.Release(1)
}

// drain waits until nothing is under way and lets nothing in.
func (w *window) drain() {
	// Without a deadline Acquire of the whole weight cannot fail.
	_ = w.entries.Acquire(context.Background(), maxInFlight)
}

func (w *window) undrain() { w.entries.Release(maxInFlight) }

// propose commits one entry and returns what the machine said to it. It waits
// for the answer even when ctx ends meanwhile: an outcome is never guessed.
func (g *replica[M]) propose(ctx context.Context, data []byte) (any, error) {
	if len(data) > maxEntry {
		return nil, salvor.Errorf(salvor.Invalid, "a command of %d bytes, at most %d are allowed", len(data), maxEntry)
	}
	if err := g.window.enter(ctx, len(data)); err != nil {
		return nil, ctxError(err)
	}
	defer g.window.leave(len(data))
	var f raft.ApplyFuture
	err := g.use(func(r *raft.Raft) error {
		f = r.Apply(data, enqueueTime)
		return nil
	})
	if err == nil {
		err = f.Error()
	}
	if err != nil {
		return nil, raftError(err)
	}
	o, ok := f.Response().(frontier.Outcome)
	if !ok {
		return nil, salvor.Errorf(salvor.Internal, "raft answered %T", f.Response())
	}
	if o.Err != nil {
		return nil, fmt.Errorf("coordinator: %w", o.Err)
	}
	return o.Result, nil
}

// barrier returns once everything up to its own index was applied here.
func (g *replica[M]) barrier(ctx context.Context) (index uint64, err error) {
	err = g.ask(ctx, func(r *raft.Raft) raft.Future {
		f := r.Barrier(enqueueTime)
		return indexed{f, &index}
	})
	return index, err
}

// indexed notes the index of a future once it is answered.
type indexed struct {
	raft.Future
	index *uint64
}

func (i indexed) Error() error {
	err := i.Future.Error()
	if f, ok := i.Future.(raft.IndexFuture); ok && err == nil {
		*i.index = f.Index()
	}
	return err
}

// verify returns once a majority said that this node leads.
func (g *replica[M]) verify(ctx context.Context) error {
	return g.ask(ctx, func(r *raft.Raft) raft.Future { return r.VerifyLeader() })
}

func (g *replica[M]) ask(ctx context.Context, what func(*raft.Raft) raft.Future) error {
	if err := g.window.enter(ctx, 0); err != nil {
		return ctxError(err)
	}
	defer g.window.leave(0)
	var f raft.Future
	err := g.use(func(r *raft.Raft) error {
		f = what(r)
		return nil
	})
	if err == nil {
		err = f.Error()
	}
	if err != nil {
		return raftError(err)
	}
	return nil
}

// raftError gives Raft's errors their class. Unavailable means: the outcome is
// unknown, or certainly none; repeat the same call.
func raftError(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrEnqueueTimeout),
		errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrRaftShutdown),
		errors.Is(err, raft.ErrAbortedByRestore), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return salvor.Errorf(salvor.Unavailable, "coordinator: %w", err)
	}
	// An error of the log has its class; any other is none that time would mend.
	return fmt.Errorf("coordinator: raft: %w", err)
}

func ctxError(err error) error {
	return salvor.Errorf(salvor.Interrupted, "coordinator: %w", err)
}
