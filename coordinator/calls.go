package coordinator

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// propose commits a command with the leader's time, if every node of the
// cluster can apply it.
func (g *Group) propose(ctx context.Context, e frontier.Envelope) (any, error) {
	e.Level = frontier.LevelOf(e.Command)
	if err := g.runsAt(e.Level); err != nil {
		return nil, err
	}
	e.Now = g.now()
	return g.replica.propose(ctx, frontier.Encode(e))
}

// runsAt refuses what not every node of the cluster knows.
func (g *Group) runsAt(level uint16) error {
	if in := g.inForce(); level > in {
		return salvor.Errorf(salvor.Unavailable, "coordinator: needs feature level %d, the cluster runs at %d", level, in).
			WithHint("Update every coordinator, then raise the cluster's level.")
	}
	return nil
}

// inForce is the cluster's feature level. A cluster has the first from its
// beginning, before it could say so.
func (g *Group) inForce() uint16 {
	if g.level == nil {
		return frontier.Level
	}
	return max(g.level(), 1)
}

// change1 commits one command that has no call and no answer.
func (g *Group) change1(ctx context.Context, c frontier.Command) error {
	_, err := commit[struct{}](ctx, g, api.Call{}, 0, c)
	return err
}

// commit proposes a piece of a call once this node leads, again if it lost the
// lead meanwhile, and gives the answer its type. An answer of nil is the zero
// value.
func commit[T any](ctx context.Context, g *Group, c api.Call, piece int, cmd frontier.Command) (T, error) {
	var zero T
	e := frontier.Envelope{Session: c.Session, Request: request(c, piece), Command: cmd}
	res, err := insist(ctx, g, harmless(e), func() (any, error) { return g.propose(ctx, e) })
	if err != nil || res == nil {
		return zero, err
	}
	t, ok := res.(T)
	if !ok {
		return zero, salvor.Errorf(salvor.Internal, "coordinator: %T was answered with %T", cmd, res)
	}
	return t, nil
}

// Defaults of a crawl whose maker left them open.
const (
	defaultCeiling = salvor.Pace(20_000)
	defaultStart   = salvor.Pace(2_000)
	defaultTries   = 8
)

// CreateCrawl implements api.Coordinator. Name, hash key and number are drawn
// here, since Apply knows no randomness.
func (g *Group) CreateCrawl(ctx context.Context, c api.Crawl) (api.Crawl, error) {
	if _, err := g.leader(ctx); err != nil {
		return api.Crawl{}, err
	}
	g.crawls.Lock()
	defer g.crawls.Unlock()
	all, err := g.Crawls(ctx)
	if err != nil {
		return api.Crawl{}, err
	}
	c.ID = 1
	for _, o := range all {
		if o.Name == c.Name {
			return o, nil
		}
		c.ID = max(c.ID, o.ID+1)
	}
	fillCrawl(&c, g.clock.Now().UnixMilli())
	if _, err := rand.Read(c.HashKey[:]); err != nil {
		return api.Crawl{}, fmt.Errorf("coordinator: draw hash key: %w", err)
	}
	return commit[api.Crawl](ctx, g, api.Call{}, 0, &frontier.CreateCrawl{Crawl: c})
}

func fillCrawl(c *api.Crawl, now int64) {
	if c.Ceiling == 0 {
		c.Ceiling = defaultCeiling
	}
	if c.Start == 0 {
		c.Start = min(defaultStart, c.Ceiling)
	}
	// Who lifts the ceiling does not want to wait for the rate to grow.
	if c.Ceiling >= salvor.Unlimited {
		c.Ceiling, c.Start = salvor.Unlimited, salvor.Unlimited
	}
	if c.Tries == 0 {
		c.Tries = defaultTries
	}
	if c.Created == 0 {
		c.Created = now
	}
}

// SetCrawl implements api.Coordinator. Finishing is refused while anything of
// the crawl is open (protocol 7).
func (g *Group) SetCrawl(ctx context.Context, c api.Crawl) error {
	return g.change1(ctx, &frontier.SetCrawl{Crawl: c})
}

// Register implements api.Coordinator.
func (g *Group) Register(ctx context.Context, worker string) (salvor.SessionID, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("coordinator: draw session: %w", err)
	}
	s := salvor.SessionID(binary.LittleEndian.Uint64(b[:]) | 1) // never 0
	if err := g.RegisterAs(ctx, worker, s); err != nil {
		return 0, err
	}
	return s, nil
}

// End implements api.Coordinator.
func (g *Group) End(ctx context.Context, s salvor.SessionID) error {
	return g.change1(ctx, &frontier.End{Session: s})
}

// maxItems are the things of one piece at most (protocol 5, 8).
const (
	maxOffers  = 1000
	maxSettles = 300
	maxExtends = 1000
	maxSweep   = 1000
)

// Discover implements api.Coordinator.
func (g *Group) Discover(ctx context.Context, c api.Call, d api.Discovery) ([]api.Result, error) {
	ends, err := piecesOf(len(d.Items), maxOffers, func(i int) int { return offerSize(&d.Items[i]) })
	if err != nil {
		return nil, err
	}
	out := make([]api.Result, len(d.Items))
	err = g.each(ctx, len(ends), func(ctx context.Context, i int) error {
		from, to := span(ends, i)
		part := d
		part.Items = d.Items[from:to]
		res, err := commit[[]api.Result](ctx, g, c, i, &frontier.Discover{Discovery: part})
		if err == nil && len(res) != to-from {
			err = salvor.Errorf(salvor.Internal, "coordinator: %d results for %d offers", len(res), to-from)
		}
		copy(out[from:to], res)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// span is the i-th run of ends.
func span(ends []int, i int) (from, to int) {
	if i > 0 {
		from = ends[i-1]
	}
	return from, ends[i]
}

// Settle implements api.Coordinator. What was learned of robots.txt goes
// first: the items it lets go are granted with its rules.
func (g *Group) Settle(ctx context.Context, c api.Call, s api.Settlement) error {
	if err := g.knows(ctx, c.Session); err != nil {
		return err
	}
	pieces, err := settlePieces(inGroupTime(s, g.ahead()))
	if err != nil {
		return err
	}
	settle := func(ctx context.Context, i int) error {
		_, err := commit[frontier.SettleResult](ctx, g, c, i, &frontier.Settle{Settlement: pieces[i]})
		return err
	}
	first := 0
	for len(pieces) > 1 && first < len(pieces) && len(pieces[first].Robots) > 0 {
		if err := settle(ctx, first); err != nil {
			return err
		}
		first++
	}
	return g.each(ctx, len(pieces)-first, func(ctx context.Context, i int) error { return settle(ctx, first+i) })
}

// inGroupTime moves the times of retries; the caller's settlement stays as it
// is.
func inGroupTime(s api.Settlement, ahead int64) api.Settlement {
	if ahead == 0 {
		return s
	}
	s.Entries = slices.Clone(s.Entries)
	for i := range s.Entries {
		if e := &s.Entries[i]; e.Retry != 0 {
			e.Retry += ahead
		}
	}
	return s
}

// settlePieces cuts a settlement: whole if it is small, else its robots, then
// its entries.
func settlePieces(s api.Settlement) ([]api.Settlement, error) {
	size := 0
	robots, err := piecesOf(len(s.Robots), maxSettles, func(i int) int {
		size += robotsSize(&s.Robots[i])
		return robotsSize(&s.Robots[i])
	})
	if err != nil {
		return nil, err
	}
	ends, err := piecesOf(len(s.Entries), maxSettles, func(i int) int {
		size += entrySize(&s.Entries[i])
		return entrySize(&s.Entries[i])
	})
	if err != nil {
		return nil, err
	}
	if size <= 2*aimEntry && len(ends) <= 1 {
		return []api.Settlement{s}, nil
	}
	var pieces []api.Settlement
	for i := range robots {
		from, to := span(robots, i)
		pieces = append(pieces, api.Settlement{Crawl: s.Crawl, Robots: s.Robots[from:to]})
	}
	for i := range ends {
		from, to := span(ends, i)
		pieces = append(pieces, api.Settlement{Crawl: s.Crawl, Entries: s.Entries[from:to]})
	}
	return pieces, nil
}

// OpenSegment implements api.Coordinator.
func (g *Group) OpenSegment(ctx context.Context, c api.Call, name string) (salvor.SegmentID, error) {
	return commit[salvor.SegmentID](ctx, g, c, 0, &frontier.OpenSegment{Name: name})
}

// SetSegment implements api.Coordinator.
func (g *Group) SetSegment(ctx context.Context, s api.Segment) error {
	return g.change1(ctx, &frontier.SetSegment{Segment: s})
}

// Reopen implements api.Coordinator: piece after piece, each going on where
// the last ended.
func (g *Group) Reopen(ctx context.Context, r api.Reopen) (int64, error) {
	var total int64
	cmd := frontier.Reopen{Reopen: r, Limit: maxSweep}
	for {
		piece := cmd
		res, err := commit[frontier.ReopenResult](ctx, g, api.Call{}, 0, &piece)
		if err != nil {
			return total, err
		}
		total += res.N
		if res.Next == nil {
			return total, nil
		}
		cmd.After = res.Next
	}
}

// Exclude implements api.Coordinator.
func (g *Group) Exclude(ctx context.Context, crawl salvor.CrawlID, rule string, keys []api.HostKey) (int64, error) {
	ends, err := piecesOf(len(keys), maxSweep, func(i int) int { return 20 + len(keys[i].Host) })
	if err != nil {
		return 0, err
	}
	var total atomic.Int64
	err = g.each(ctx, len(ends), func(ctx context.Context, i int) error {
		from, to := span(ends, i)
		done, err := commit[int64](ctx, g, api.Call{}, 0, &frontier.Exclude{Crawl: crawl, Rule: rule, Items: keys[from:to]})
		total.Add(done)
		return err
	})
	return total.Load(), err
}

// Rank implements api.Coordinator.
func (g *Group) Rank(ctx context.Context, crawl salvor.CrawlID, items []api.Ranked) (int64, error) {
	ends, err := piecesOf(len(items), maxSweep, func(i int) int { return 21 + len(items[i].Host) })
	if err != nil {
		return 0, err
	}
	var total atomic.Int64
	err = g.each(ctx, len(ends), func(ctx context.Context, i int) error {
		from, to := span(ends, i)
		moved, err := commit[int64](ctx, g, api.Call{}, 0, &frontier.Rank{Crawl: crawl, Items: items[from:to]})
		total.Add(moved)
		return err
	})
	return total.Load(), err
}
