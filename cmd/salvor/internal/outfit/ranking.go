package outfit

import (
	"context"

	"salvor"
	"salvor/api"
)

// Ranking puts what is known and has no outcome into the bands where the value
// rules of now want it. It may be ended at any moment and begun again: what is in
// its place is left alone, so that what was done costs a look, and no entry in any
// log. It holds a piece of items in memory.
type Ranking struct {
	Crawl salvor.CrawlID
	Band  func(it salvor.Item) salvor.Band // by the rules of now
	Walk  func(ctx context.Context, id salvor.CrawlID, outcomes []salvor.Outcome, f func(api.Known) error) error
	Move  func(ctx context.Context, id salvor.CrawlID, items []api.Ranked) (int64, error)
}

// rankPiece is how many items one call moves (docs/protocol.md 8).
const rankPiece = 1000

// Run moves first what is to come earlier: that is what somebody waits for. It
// returns how many items moved.
func (r Ranking) Run(ctx context.Context) (moved int64, err error) {
	for _, up := range []bool{true, false} {
		n, err := r.pass(ctx, up)
		moved += n
		if err != nil {
			return moved, err
		}
	}
	return moved, nil
}

func (r Ranking) pass(ctx context.Context, up bool) (moved int64, err error) {
	var piece []api.Ranked
	flush := func() error {
		if len(piece) == 0 {
			return nil
		}
		n, err := r.Move(ctx, r.Crawl, piece)
		moved += n
		piece = piece[:0]
		return err
	}
	err = r.Walk(ctx, r.Crawl, []salvor.Outcome{salvor.Open}, func(k api.Known) error {
		if k.State == api.StateSettled || k.Class == salvor.ClassRobots {
			return nil
		}
		b := r.Band(k.Item)
		if b == k.Band || b < k.Band != up {
			return nil
		}
		if piece = append(piece, api.Ranked{HostKey: api.HostKey{Host: k.Host, Key: k.Key}, Band: b}); len(piece) < rankPiece {
			return nil
		}
		return flush()
	})
	if err != nil {
		return moved, err
	}
	return moved, flush()
}
