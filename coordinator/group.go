// Package coordinator carries the frontier's state machine on a Raft group and
// hands out its work: it is the control plane of a crawl.
//
// It is for the worker, which calls it through api.Coordinator, in process in
// `salvor save`. It guarantees that
//   - a call that changes something returns after the change is committed to
//     the log and fsynced there, and nothing acknowledged is ever lost;
//   - what a restart needs is found in its directory, whenever the process
//     ended: state and snapshots by hard links, the log behind them;
//   - the leader ends leases, lets waiting items come due and moves budgets by
//     commands, so that every replica, and the next leader, knows them.
//
// A Node carries the groups of a cluster on one of its coordinators; Start is a
// single group with one voter, without a network. Only a group's leader serves
// it, the others say who that is (api.NotLeader). That error means that the call
// was not carried out here, or may be repeated without harm. Rules, files and
// timings are those of docs/protocol.md 4, 9, 10.
package coordinator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/types"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
	"salvor/storage/durable"
)

// Config says where a node lives. Only Dir is needed.
type Config struct {
	// Dir holds the node's log, snapshots and state. The caller holds the
	// lock on it: one process at a time.
	Dir string
	// CacheBytes is Pebble's block cache; 0 is the frontier's default.
	CacheBytes int64
	// Logger takes what an operator may want to know; nil takes nothing.
	Logger *slog.Logger
	// Clock is the machine's when nil.
	Clock Clock
	// SnapshotBytes of log, or SnapshotEvery with changes, and a snapshot is
	// taken. 0 is 32 MB and 60 s.
	SnapshotBytes int64
	SnapshotEvery time.Duration

	cache *frontier.Cache // of several groups together; nil: its own
	level uint16          // the newest feature level to run at; 0: the newest there is
	logFS types.VFS       // a test's

	inForce func() uint16 // the cluster's feature level; a test's, since a Node tells its groups
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = systemClock{}
	}
	if c.SnapshotBytes == 0 {
		c.SnapshotBytes = 32 << 20
	}
	if c.SnapshotEvery == 0 {
		c.SnapshotEvery = time.Minute
	}
	return c
}

// Group is one Raft group as this node serves it: the coordinator of the hosts
// the group owns.
type Group struct {
	number  int
	cluster bool // other nodes can take over
	replica *replica[*frontier.Machine]
	net     carrier
	self    raft.Server
	duties  func(ctx context.Context, r *reign) // a leader's in a cluster; nil alone
	clock   Clock
	time    groupClock
	log     *slog.Logger

	wake    *bell      // rings when there may be new work
	crawls  sync.Mutex // one CreateCrawl at a time
	merges  sync.Mutex // one change of api.TableBudgets at a time
	grants  chan struct{}
	jitter  func() float64
	level   func() uint16 // the cluster's feature level; nil: the newest
	demand  demand
	unbegun unbegun

	mu     sync.Mutex
	reign  *reign // this node's leadership; nil while it does not lead
	course *course
	fatal  error
	change chan struct{} // closed and replaced when reign or fatal change

	stop  context.CancelFunc
	ended sync.WaitGroup
	once  sync.Once
	err   error // of Close
}

var _ api.Coordinator = (*Group)(nil)

// Start opens the directory, or makes it, and returns a node that leads and
// has applied everything its log holds.
func Start(ctx context.Context, c Config) (*Group, error) {
	c = c.withDefaults()
	if c.Dir == "" {
		return nil, salvor.Errorf(salvor.Invalid, "coordinator: no directory given")
	}
	g, err := newGroup(c)
	if err != nil {
		return nil, fmt.Errorf("coordinator: start: %w", err)
	}
	if _, err := g.leader(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("coordinator: start: %w", err), g.Close(context.WithoutCancel(ctx)))
	}
	return g, nil
}

// carrier is a transport that can be closed.
type carrier interface {
	transport
	Close() error
}

// newGroup starts a group with one voter, this node.
func newGroup(c Config) (*Group, error) {
	if err := durable.MkdirAll(c.Dir); err != nil {
		return nil, err
	}
	id, err := nodeID(c.Dir)
	if err != nil {
		return nil, err
	}
	self := raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(id), Address: raft.ServerAddress(id)}
	g := emptyGroup(c, self)
	g.net = loopback(self.Address)
	rc := g.replicaConfig(c)
	rc.Peers, rc.Timeout = []raft.Server{self}, soloTimeout
	if err := g.run(rc); err != nil {
		return nil, errors.Join(err, g.net.Close())
	}
	g.candidate()
	return g, nil
}

func emptyGroup(c Config, self raft.Server) *Group {
	return &Group{
		clock: c.Clock, log: c.Logger, wake: newBell(), jitter: randomShare, self: self,
		grants: make(chan struct{}, 1), change: make(chan struct{}), level: c.inForce,
	}
}

// run starts the replica and what follows its leadership.
func (g *Group) run(rc replicaConfig[*frontier.Machine]) (err error) {
	if g.replica, err = startReplica(rc); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.stop = cancel
	g.ended.Go(func() { g.govern(ctx) })
	return nil
}

// replicaConfig lacks the voters and the time-outs.
func (g *Group) replicaConfig(c Config) replicaConfig[*frontier.Machine] {
	return replicaConfig[*frontier.Machine]{
		Dir: c.Dir, ID: g.self.ID, Net: g.net,
		Open: func(dir string) (*frontier.Machine, error) {
			return frontier.Open(dir, frontier.Options{CacheBytes: c.CacheBytes, Cache: c.cache, Level: c.level})
		},
		SnapshotBytes: c.SnapshotBytes, SnapshotEvery: c.SnapshotEvery,
		TrailingLogs: trailingLogs, SegmentSize: logSegment, LogFS: c.logFS,
		Clock: c.Clock, Logger: c.Logger,
		OnApply: g.wake.ring, OnStop: g.fail,
	}
}

// candidate spares the only voter the wait for a leader that cannot come: it
// tells itself what a leader that hands over tells its heir. On a busy machine
// the election timeout may have been faster; a leader that is told so steps
// down, hence only a follower is told.
func (g *Group) candidate() {
	if g.replica.sole() && g.replica.stands() == raft.Follower {
		g.replica.link.nudge(g.self)
	}
}

// nodeID is the node's own name in the group, drawn at its first start.
func nodeID(dir string) (string, error) {
	path := filepath.Join(dir, "node")
	b, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", durable.Error(err, "read", path)
	}
	var raw [8]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return "", fmt.Errorf("name node: %w", err)
	}
	id := hex.EncodeToString(raw[:])
	return id, durable.WriteFile(path, func(w io.Writer) error {
		_, err := io.WriteString(w, id+"\n")
		return err
	})
}

// Close stops the loops, takes a snapshot of what changed and closes the
// directory. Calls under way end first; later ones fail.
func (g *Group) Close(context.Context) error {
	g.once.Do(func() {
		g.fail(errClosed)
		g.stop()
		g.ended.Wait()
		g.err = errors.Join(g.replica.close(), g.net.Close())
	})
	return g.err
}

// fail ends the node's service: every call from now on gets err.
func (g *Group) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fatal != nil {
		return
	}
	g.fatal = err
	if g.reign != nil {
		g.reign.stop()
	}
	g.announce()
	g.wake.ring()
}

// failed is why the node serves no more; nil while it does.
func (g *Group) failed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.fatal
}

// announce tells everyone waiting for a change of leadership. g.mu is held.
func (g *Group) announce() {
	close(g.change)
	g.change = make(chan struct{})
}

// leader returns this node's reign. Alone the node waits until it leads; in a
// cluster it says at once who does, and waits only for the end of its own
// accession.
func (g *Group) leader(ctx context.Context) (*reign, error) {
	for {
		g.mu.Lock()
		r, err, change := g.reign, g.fatal, g.change
		g.mu.Unlock()
		if err != nil {
			return nil, g.broken(err, true)
		}
		if r != nil {
			return r, nil
		}
		again := againEvery
		if g.replica.sole() {
			again = tickMost
		} else if g.replica.stands() != raft.Leader {
			return nil, g.elsewhere(nil)
		}
		waitEither(ctx, g.clock, again, change)
		if err := ctx.Err(); err != nil {
			return nil, salvor.Errorf(salvor.Unavailable, "coordinator: no leader: %w", err)
		}
	}
}

// broken is the answer of a node that serves no more. Where others can take
// over, that is no reason for the caller to give up.
func (g *Group) broken(err error, harmless bool) error {
	switch {
	case !g.cluster:
		return err
	case harmless:
		return g.elsewhere(err)
	}
	return salvor.Errorf(salvor.Unavailable, "coordinator: %w", err)
}

// elsewhere is the answer of a node that does not lead; cause may be nil.
func (g *Group) elsewhere(cause error) error {
	e := &api.NotLeader{Group: g.number}
	if r := g.replica.newest.Load(); r != nil {
		if at, id := r.LeaderWithID(); id != g.self.ID && g.failed() == nil {
			e.Leader = string(at)
		}
	}
	if cause != nil {
		return salvor.Errorf(salvor.Unavailable, "coordinator: %w (%w)", e, cause)
	}
	return salvor.Errorf(salvor.Unavailable, "coordinator: %w", e)
}
