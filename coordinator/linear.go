package coordinator

import (
	"context"
	"sync"

	"github.com/hashicorp/raft"
)

// linearize returns once a read of the machine sees all that was committed
// when it was called.
//
// The first read of a term goes through a barrier: a new leader's commit index
// may be old until something of its own term is committed. Later ones need the
// leadership confirmed, and what was committed at the call applied here. With
// one voter nobody else can lead, and every answered call was applied before
// it was answered, so nothing is asked.
func (g *replica[M]) linearize(ctx context.Context) error {
	var term, commit uint64
	var voters int
	err := g.use(func(r *raft.Raft) error {
		term, commit = r.CurrentTerm(), r.CommitIndex()
		voters = len(r.GetConfiguration().Configuration().Servers)
		return nil
	})
	if err != nil {
		return raftError(err)
	}
	known, through := g.term.get(term)
	switch {
	case known && voters == 1:
		return nil
	case known && max(through, g.fsm.applied.Load()) >= commit:
		if err := g.verify(ctx); err != nil || g.newest.Load().CurrentTerm() == term {
			return err
		}
		// It led in term, lost that, and leads again: somebody else may have
		// committed in between what is not applied here yet.
		return g.linearize(ctx)
	}
	at, err := g.barrier(ctx)
	if err == nil {
		g.term.set(term, at)
	}
	return err
}

func (t *termGuard) get(term uint64) (known bool, through uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.term == term, t.through
}

func (t *termGuard) set(term, through uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.term, t.through = max(t.term, term), max(t.through, through)
}

// termGuard remembers the newest term that was read in, and up to which index
// a barrier showed that everything is applied.
type termGuard struct {
	mu      sync.Mutex
	term    uint64
	through uint64
}
