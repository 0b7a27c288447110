package outfit

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"salvor"
	"salvor/api"
)

// queued is a crawl of which only bands are there.
type queued struct {
	items []api.Known
	moves [][]api.Ranked
	most  int // calls that are answered; negative: all
}

func newQueued(n int) *queued {
	q := &queued{most: -1}
	for i := range n {
		k := api.Known{Item: salvor.Item{URL: fmt.Sprintf("http://a.test/%d", i), Host: "a.test", Key: salvor.Key{byte(i), byte(i >> 8)}, Band: salvor.BandPage}}
		k.State = api.ItemState(i % 3)
		q.items = append(q.items, k)
	}
	return q
}

func (q *queued) Walk(_ context.Context, _ salvor.CrawlID, _ []salvor.Outcome, f func(api.Known) error) error {
	for _, k := range append([]api.Known(nil), q.items...) {
		if err := f(k); err != nil {
			return err
		}
	}
	return nil
}

var errKilled = errors.New("killed")

func (q *queued) Rank(_ context.Context, _ salvor.CrawlID, items []api.Ranked) (n int64, err error) {
	if len(q.moves) == q.most {
		return 0, errKilled
	}
	q.moves = append(q.moves, append([]api.Ranked(nil), items...))
	to := map[salvor.Key]salvor.Band{}
	for _, x := range items {
		to[x.Key] = x.Band
	}
	for i := range q.items {
		if b, ok := to[q.items[i].Key]; ok && q.items[i].Band != b {
			q.items[i].Band = b
			n++
		}
	}
	return n, nil
}

func (q *queued) ranking(band func(salvor.Item) salvor.Band) Ranking {
	return Ranking{Crawl: 1, Band: band, Walk: q.Walk, Move: q.Rank}
}

// thirds puts a third up and a third down.
func thirds(it salvor.Item) salvor.Band {
	return salvor.BandPage + salvor.Band(it.Key[0]%3) - 1
}

// TestRankingMovesUpFirst, in pieces, and nothing that is in its place.
func TestRankingMovesUpFirst(t *testing.T) {
	q := newQueued(4500)
	moved, err := q.ranking(thirds).Run(t.Context())
	if err != nil || moved == 0 {
		t.Fatalf("%d moved, %v", moved, err)
	}
	down := false
	for _, m := range q.moves {
		if len(m) > rankPiece || len(m) == 0 {
			t.Errorf("a piece of %d", len(m))
		}
		for _, x := range m {
			switch {
			case x.Band == salvor.BandPage:
				t.Fatal("what is in its place is moved")
			case x.Band > salvor.BandPage:
				down = true
			case down:
				t.Fatal("something is moved up after something was moved down")
			}
		}
	}
	q.moves = nil
	if moved, err := q.ranking(thirds).Run(t.Context()); moved != 0 || err != nil || len(q.moves) != 0 {
		t.Errorf("the second time: %d moved, %d calls, %v", moved, len(q.moves), err)
	}
}

// TestRankingGoesOn: killed after any number of calls and begun again, all ends in
// its place, and no item is moved twice.
func TestRankingGoesOn(t *testing.T) {
	for most := range 8 {
		q := newQueued(6000)
		q.most = most
		first, err := q.ranking(thirds).Run(t.Context())
		if most < 5 && !errors.Is(err, errKilled) {
			t.Fatalf("killed after %d calls: %v", most, err)
		}
		q.most = -1
		second, err := q.ranking(thirds).Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := int64(0)
		for _, k := range q.items {
			if k.Band != thirds(k.Item) {
				t.Fatalf("%s is in %#x", k.URL, k.Band)
			}
			if k.Band != salvor.BandPage {
				want++
			}
		}
		if first+second != want {
			t.Errorf("killed after %d calls: %d and %d moved, want %d together", most, first, second, want)
		}
	}
}

// TestRankingLeavesRobots: what gates a host stays, and so does what has ended
// meanwhile.
func TestRankingLeavesRobots(t *testing.T) {
	q := newQueued(2)
	q.items[0].Class, q.items[1].State = salvor.ClassRobots, api.StateSettled
	if moved, err := q.ranking(func(salvor.Item) salvor.Band { return salvor.BandPage - 1 }).Run(t.Context()); moved != 0 || err != nil {
		t.Errorf("%d moved, %v", moved, err)
	}
}
