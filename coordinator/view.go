package coordinator

import (
	"context"
	"sync"

	"github.com/hashicorp/raft"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// termGuard remembers the terms that were read in.
type termGuard struct {
	mu   sync.Mutex
	term uint64
}

// read lends the machine for a linearizable read.
//
// The first read of a term goes through a barrier: a new leader's commit index
// may be old until something of its own term is committed. Later ones need the
// leadership confirmed, and what was committed at the call applied here. With
// one voter nobody else can lead, and every answered call was applied before
// it was answered, so nothing is asked.
func (n *Node) read(ctx context.Context) (m *frontier.Machine, done func(), err error) {
	if _, err := n.leader(ctx); err != nil {
		return nil, nil, err
	}
	if err := n.linearize(ctx); err != nil {
		return nil, nil, err
	}
	m, done = n.group.state.use()
	return m, done, nil
}

func (n *Node) linearize(ctx context.Context) error {
	var term, commit uint64
	var voters int
	err := n.group.use(func(r *raft.Raft) error {
		term, commit = r.CurrentTerm(), r.CommitIndex()
		voters = len(r.GetConfiguration().Configuration().Servers)
		return nil
	})
	if err != nil {
		return raftError(err)
	}
	if first := n.term.enter(term); !first && voters == 1 {
		return nil
	} else if first || n.group.fsm.applied.Load() < commit {
		if err := n.group.barrier(ctx); err != nil {
			return err
		}
		n.term.leave(term)
		return nil
	}
	return n.group.verify(ctx)
}

// enter tells whether nobody finished a read in this term yet.
func (t *termGuard) enter(term uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.term != term
}

func (t *termGuard) leave(term uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.term = max(t.term, term)
}

// look reads one thing.
func look[T any](ctx context.Context, n *Node, f func(m *frontier.Machine) (T, error)) (T, error) {
	m, done, err := n.read(ctx)
	if err != nil {
		var zero T
		return zero, err
	}
	defer done()
	return f(m)
}

// Crawl implements api.View.
func (n *Node) Crawl(ctx context.Context, id salvor.CrawlID) (api.Crawl, error) {
	return look(ctx, n, func(m *frontier.Machine) (api.Crawl, error) { return m.Crawl(id) })
}

// Crawls implements api.View.
func (n *Node) Crawls(ctx context.Context) ([]api.Crawl, error) {
	return look(ctx, n, func(m *frontier.Machine) ([]api.Crawl, error) { return m.Crawls() })
}

// Totals implements api.View.
func (n *Node) Totals(ctx context.Context, id salvor.CrawlID) (api.Totals, error) {
	return look(ctx, n, func(m *frontier.Machine) (api.Totals, error) { return m.Totals(id) })
}

// Hosts implements api.View.
func (n *Node) Hosts(ctx context.Context, id salvor.CrawlID, limit int) ([]api.Host, error) {
	return look(ctx, n, func(m *frontier.Machine) ([]api.Host, error) { return m.Hosts(id, limit) })
}

// Types implements api.View.
func (n *Node) Types(ctx context.Context, id salvor.CrawlID) (map[string]api.Count, error) {
	return look(ctx, n, func(m *frontier.Machine) (map[string]api.Count, error) { return m.Types(id) })
}

// Codes implements api.View.
func (n *Node) Codes(ctx context.Context, id salvor.CrawlID) (map[int]api.Count, error) {
	return look(ctx, n, func(m *frontier.Machine) (map[int]api.Count, error) { return m.Codes(id) })
}

// Reasons implements api.View.
func (n *Node) Reasons(ctx context.Context, id salvor.CrawlID) (map[api.Reason]int64, error) {
	return look(ctx, n, func(m *frontier.Machine) (map[api.Reason]int64, error) { return m.Reasons(id) })
}

// Lookup implements api.View.
func (n *Node) Lookup(ctx context.Context, id salvor.CrawlID, host string, k salvor.Key) (api.Known, error) {
	return look(ctx, n, func(m *frontier.Machine) (api.Known, error) { return m.Lookup(id, host, k) })
}

// Walk implements api.View.
func (n *Node) Walk(ctx context.Context, id salvor.CrawlID, outcomes []salvor.Outcome, f func(api.Known) error) error {
	_, err := look(ctx, n, func(m *frontier.Machine) (struct{}, error) { return struct{}{}, m.Walk(ctx, id, outcomes, f) })
	return err
}

// Segments implements api.View.
func (n *Node) Segments(ctx context.Context) ([]api.Segment, error) {
	return look(ctx, n, func(m *frontier.Machine) ([]api.Segment, error) { return m.Segments() })
}

// Robots implements api.View.
func (n *Node) Robots(ctx context.Context, id salvor.CrawlID, host string) ([]api.Robots, error) {
	return look(ctx, n, func(m *frontier.Machine) ([]api.Robots, error) { return m.Robots(id, host) })
}
