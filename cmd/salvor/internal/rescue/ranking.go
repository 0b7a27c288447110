package rescue

import (
	"context"

	"salvor"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/cmd/salvor/internal/progress"
)

// rank puts what is queued into the place of its value, where this run's value
// rules are others than those before.
func (r *rescue) rank(ctx context.Context) error {
	s, crawl := r.rules()
	moved, err := outfit.Ranking{
		Crawl: crawl.ID, Walk: r.node.Walk, Move: r.node.Rank,
		Band: func(it salvor.Item) salvor.Band { return s.Rank(it).Band },
	}.Run(ctx)
	if err != nil {
		return err
	}
	if moved > 0 {
		r.worker.Rest() // what is leased was chosen by the order of before
		r.notice(progress.Note, "ranked", "", progress.Counted(moved, "queued URL")+" put where the value rules want them")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.memory.Unranked = false
	return r.memory.save(r.job.Dir)
}
