package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"

	"salvor/coordinator/frontier"
	"salvor/storage/durable"
)

// Node is one of a cluster's coordinators: its replica of every group, of which
// it leads some.
type Node struct {
	c       NodeConfig
	self    raft.Server
	cache   *frontier.Cache
	streams []*stream
	board   *switchboard
	groups  []*Group
	level   atomic.Uint32

	opened chan struct{} // closed when all groups are open
	failed chan struct{} // closed at the first error that ended a group
	first  error
	mu     sync.Mutex

	stop  context.CancelFunc
	loops sync.WaitGroup
	once  sync.Once
	err   error // of Close
}

// StartNode opens the node's groups. It returns when they are open, whoever
// leads them.
func StartNode(ctx context.Context, c NodeConfig) (*Node, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	n := &Node{
		c: c, self: raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(c.ID), Address: raft.ServerAddress(c.Address)},
		cache: frontier.NewCache(c.CacheBytes), groups: make([]*Group, c.Groups), stop: func() {}, opened: make(chan struct{}), failed: make(chan struct{}),
	}
	n.level.Store(1)
	for i := range c.Groups {
		n.streams = append(n.streams, newStream(i, n.self.Address, c.Dial))
	}
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("coordinator: start: %w", err), n.shut())
	}
	return n, nil
}

func (n *Node) open(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(4)
	for i := range n.c.Groups {
		all.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return ctxError(err)
			}
			n.groups[i], err = n.openGroup(i)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	close(n.opened)
	n.noteLevel()
	loops, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	n.loops.Go(func() { n.levelLoop(loops) })
	n.loops.Go(func() { n.balanceLoop(loops) })
	// Only now may the others come: they find every group open.
	n.board = newSwitchboard(n.c.Raft, n.c.Logger, n.streams)
	return nil
}

// openGroup opens one replica.
func (n *Node) openGroup(i int) (*Group, error) {
	c := Config{
		Dir: filepath.Join(n.c.Dir, groupDir(i)), CacheBytes: n.c.CacheBytes / int64(n.c.Groups), cache: n.cache, level: n.c.Level,
		Logger: n.c.Logger.With("group", i), Clock: n.c.Clock, SnapshotBytes: n.c.SnapshotBytes, SnapshotEvery: n.c.SnapshotEvery,
	}
	if err := durable.MkdirAll(c.Dir); err != nil {
		return nil, err
	}
	g := emptyGroup(c, n.self)
	g.number, g.cluster, g.level = i, true, n.Level
	net := n.carrier(n.streams[i], c.Logger)
	g.net = net
	g.duties = func(ctx context.Context, r *reign) { n.duties(ctx, g, r) }
	rc := g.replicaConfig(c)
	rc.Timeout, rc.Alone = n.c.timing.election, n.c.timing.alone
	rc.Sever = func() {
		net.CloseStreams()
		n.streams[i].sever()
	}
	rc.Stream = n.streams[i]
	rc.OnStop = func(err error) {
		g.fail(err)
		n.streams[i].silence()
		n.fail(fmt.Errorf("group %d: %w", i, err))
	}
	if n.c.Bootstrap {
		rc.Peers = []raft.Server{n.self}
	} else {
		rc.Joins = true
	}
	if n.c.tune != nil {
		n.c.tune(&rc)
	}
	if err := g.run(rc); err != nil {
		return nil, errors.Join(fmt.Errorf("group %d: %w", i, err), net.Close())
	}
	g.candidate()
	return g, nil
}

func (n *Node) carrier(s *stream, log *slog.Logger) *raft.NetworkTransport {
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: s, MaxPool: connPool, Timeout: messageTime, Logger: raftLogger(log),
	})
}

// duties starts what the leader of a group does for the cluster, once the
// registry, in group 0, is open.
func (n *Node) duties(ctx context.Context, g *Group, r *reign) {
	began := n.c.Clock.Now()
	start := func(loop func()) {
		r.loops.Go(func() {
			select {
			case <-n.opened:
				loop()
			case <-ctx.Done():
			}
		})
	}
	start(func() { n.membersLoop(ctx, g, began) })
	if g.number == 0 {
		start(func() { n.raiseLoop(ctx, g) })
	}
}

// fail notes that a group ended.
func (n *Node) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.first == nil {
		n.first = err
		close(n.failed)
	}
}

// Failed is closed when one of the groups can serve no more on this node, for
// want of a disk, say; the others go on. The process should end then, and be
// started again when the cause, which Err tells, is gone.
func (n *Node) Failed() <-chan struct{} { return n.failed }

// Err is why Failed is closed; nil while it is not.
func (n *Node) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.first
}

// Groups is how many groups the cluster has.
func (n *Node) Groups() int { return len(n.groups) }

// Group is this node's replica of a group, 0 to Groups()-1.
func (n *Node) Group(i int) *Group { return n.groups[i] }

// handOverTime is how long a clean stop waits for others to take the lead.
const handOverTime = 5 * time.Second

// Close hands the leads over, takes snapshots of what changed and closes the
// directories. When ctx ends, the handing over is left undone, not the rest.
func (n *Node) Close(ctx context.Context) error {
	n.once.Do(func() {
		n.stop()
		n.loops.Wait()
		ctx, cancel := context.WithTimeout(ctx, handOverTime)
		defer cancel()
		var all sync.WaitGroup
		for _, g := range n.groups {
			all.Go(func() { n.leave(ctx, g) })
		}
		all.Wait()
		n.err = n.shut()
	})
	return n.err
}

// shut closes what is open.
func (n *Node) shut() error {
	n.stop()
	n.loops.Wait()
	errs := make([]error, len(n.groups)+1)
	var all sync.WaitGroup
	for i, g := range n.groups {
		if g != nil {
			all.Go(func() { errs[i] = g.Close(context.Background()) })
		}
	}
	all.Wait()
	if n.board != nil {
		errs[len(n.groups)] = n.board.close()
	} else {
		errs[len(n.groups)] = n.c.Raft.Close()
	}
	for _, s := range n.streams {
		s.Close()
	}
	n.cache.Unref()
	return errors.Join(errs...)
}
