package coordinator

import (
	"context"

	"golang.org/x/sync/errgroup"

	"salvor"
	"salvor/api"
)

// pieceBits of a request number tell its pieces apart: a call that was split
// is repeated piece by piece, and each piece gets its first answer.
const pieceBits = 10

const maxPieces = 1 << pieceBits

// request is the number of one piece of a call; 0 stays 0: not remembered.
func request(c api.Call, piece int) uint64 {
	if c.Request == 0 {
		return 0
	}
	return c.Request<<pieceBits | uint64(piece)
}

// piecesOf cuts n things into runs of about aimEntry bytes, at most most
// things each. It returns the end of each run.
func piecesOf(n, most int, size func(i int) int) ([]int, error) {
	var ends []int
	bytes, things := 0, 0
	for i := range n {
		s := size(i)
		if things > 0 && (bytes+s > aimEntry || things == most) {
			ends = append(ends, i)
			bytes, things = 0, 0
		}
		bytes += s
		things++
	}
	if things > 0 {
		ends = append(ends, n)
	}
	if len(ends) > maxPieces {
		return nil, salvor.Errorf(salvor.Invalid, "coordinator: a call of %d pieces, at most %d are allowed", len(ends), maxPieces)
	}
	return ends, nil
}

// Sizes are upper bounds of what the codec writes, in round numbers.

func offerSize(o *api.Offer) int {
	return 96 + len(o.Host) + len(o.Origin) + len(o.Method) + len(o.URL) + len(o.Body) + len(o.Hop.Path) + len(o.Via) + len(o.Excluded)
}

func entrySize(e *api.Entry) int {
	return 160 + len(e.Host) + len(e.Reason) + len(e.Type)
}

const extensionSize = 20 // a lease and its pace

func robotsSize(r *api.Robots) int { return 32 + len(r.Origin) + len(r.Rules) }

// piecesAtOnce is how many pieces of one call are under way together: enough
// to share log writes, and few beside everyone else's.
const piecesAtOnce = 16

// each runs f for 0..count-1, some at once; the first error ends it.
func (g *Group) each(ctx context.Context, count int, f func(ctx context.Context, i int) error) error {
	if count == 1 {
		return f(ctx, 0)
	}
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(piecesAtOnce)
	for i := range count {
		all.Go(func() error { return f(ctx, i) })
	}
	return all.Wait()
}
