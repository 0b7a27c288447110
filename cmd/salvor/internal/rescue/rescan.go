package rescue

import (
	"context"

	"salvor/api"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/cmd/salvor/internal/progress"
)

// rescan judges the links of every stored page by the scope of now: a scope
// that grew lets in what was left outside, and what was never offered
// (docs/protocol.md 3). Where metadata records were switched off there is nothing to read.
func (r *rescue) rescan(ctx context.Context) error {
	r.mu.Lock()
	grown, moved := r.widened, len(r.moves.list)
	r.mu.Unlock()
	r.notice(progress.Note, "rescan", "", "the scope grew: the links of all stored pages are judged again")
	if err := r.pool.Seal(ctx); err != nil { // pages of open segments have links too
		return err
	}
	if err := r.rescanAll(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.memory.Widened = r.widened != grown // it may have grown again meanwhile
	r.memory.Judged = moved
	return r.memory.save(r.job.Dir)
}

func (r *rescue) rescanAll(ctx context.Context) error {
	return outfit.Rescan{Store: r.store, Rules: r.rules, Lookup: r.node.Lookup, Discover: func(ctx context.Context, offers []api.Offer) error {
		_, err := r.discover(ctx, offers)
		return err
	}}.Run(ctx)
}
