package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/types"

	"salvor"
	"salvor/storage/durable"
)

// replica is this node's copy of one Raft group: the log, the snapshots, the machine
// and the Raft object between them, which the watchdog may replace.
type replica[M machine] struct {
	c     replicaConfig[M]
	log   *slog.Logger
	state *state[M]
	snaps *snapshots
	fsm   *fsm[M]

	mu   sync.RWMutex // held for reading by every use of raft and wal
	raft *raft.Raft
	wal  *logStore
	// newest is raft for those who must not wait while it is replaced, Raft's
	// own goroutines above all. It may be one that was shut down.
	newest atomic.Pointer[raft.Raft]
	link   *link
	wide   atomic.Bool // raft has the time-outs of several voters
	blank  atomic.Bool // see blank.go

	notices chan bool // Raft's word on leadership; Raft blocks until it is read
	leading chan bool // the newest of them
	ended   chan struct{}
	dirty   atomic.Bool
	grown   atomic.Int64 // bytes of log since the newest snapshot
	watch   *watchdog
	window  *window
	term    termGuard
	stop    context.CancelFunc
	loops   sync.WaitGroup
	once    sync.Once // ended is closed
}

// replicaConfig is what differs between one voter, a cluster and a test.
type replicaConfig[M machine] struct {
	Dir     string
	ID      raft.ServerID
	Peers   []raft.Server // voters a new group begins with
	Net     transport     // owned by the caller
	Open    func(dir string) (M, error)
	Timeout time.Duration // heartbeat and election (protocol 10)
	// Alone is the same while this node is the only server of the group; 0 is
	// Timeout.
	Alone time.Duration
	// Joins says that the group exists elsewhere: a new directory has to wait
	// until its leader takes this node in (blank.go).
	Joins bool
	// Sever ends all connections, so that Raft, when it is shut down, need not
	// wait for messages under way. nil where there are none.
	Sever func()
	// Stream makes the connections, and asks who may. nil in a test.
	Stream *stream

	SnapshotBytes int64
	SnapshotEvery time.Duration
	TrailingLogs  uint64
	SegmentSize   int
	LogFS         types.VFS // nil is the operating system's

	Clock   Clock
	Logger  *slog.Logger
	OnApply func()
	OnStop  func(error)
}

const (
	// soloTimeout is safe with one voter: nobody else can be elected.
	soloTimeout = 100 * time.Millisecond
	// trailingLogs and maxInFlight keep #697 away: its precondition is a
	// follower's uncommitted tail longer than the log kept behind a snapshot.
	trailingLogs = 10240
	// maxAppend entries of 128 KB, the largest there are, make 8 MB a message.
	maxAppend   = 64
	logSegment  = 16 << 20
	neverByRaft = 10 * 365 * 24 * time.Hour
)

// startReplica opens everything and starts Raft. At return it may not lead yet.
func startReplica[M machine](c replicaConfig[M]) (*replica[M], error) {
	g := &replica[M]{c: c, log: c.Logger, window: newWindow()}
	g.notices, g.leading, g.ended = make(chan bool, 16), make(chan bool), make(chan struct{})
	g.link = newLink(c.Net, c.Clock)
	if s := c.Stream; s != nil {
		s.knows, s.admit = g.knows, g.admit
	}
	go g.heed()
	go g.link.carry(g.ended)
	g.watch = &watchdog{clock: c.Clock, trip: make(chan struct{}, 1)}
	if err := g.open(); err != nil {
		err = errors.Join(err, g.closeFiles())
		g.once.Do(func() { close(g.ended) })
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.stop = cancel
	g.loops.Go(func() { g.snapshotLoop(ctx) })
	g.loops.Go(func() { g.watchLoop(ctx) })
	g.loops.Go(func() { g.blankLoop(ctx) })
	return g, nil
}

// open opens snapshots and state, mends the state, then starts Raft on them.
func (g *replica[M]) open() (err error) {
	if g.snaps, err = openSnapshots(filepath.Join(g.c.Dir, "snapshots")); err != nil {
		return err
	}
	if g.state, err = openState(filepath.Join(g.c.Dir, "state"), g.c.Open); err != nil {
		return err
	}
	if err = g.catchUp(); err != nil {
		return err
	}
	g.fsm = &fsm[M]{state: g.state, onApply: g.noteApplied, onStop: g.c.OnStop, restored: g.watch.restored}
	return g.startRaft()
}

// catchUp restores the newest snapshot if the state is older: Raft trusts a
// snapshot's index without looking and replays only what comes after it.
func (g *replica[M]) catchUp() error {
	d, ok, err := g.snaps.newest()
	if err != nil || !ok {
		return err
	}
	m, done := g.state.use()
	applied := m.AppliedIndex()
	done()
	if applied >= d.Applied {
		return nil
	}
	g.log.Warn("state is older than its snapshot, restoring", "applied", applied, "snapshot", d.Applied)
	_, r, err := g.snaps.Open(d.Raft.ID)
	if err != nil {
		return err
	}
	return errors.Join(g.state.restore(r), r.Close())
}

// startRaft opens the log and makes the Raft object. g.mu is held or not yet
// shared.
func (g *replica[M]) startRaft() error {
	dir := filepath.Join(g.c.Dir, "log")
	if err := durable.MkdirAll(dir); err != nil {
		return err
	}
	w, err := openLog(dir, g.c.LogFS, g.c.SegmentSize, raftLogger(g.log), g.c.OnStop)
	if err != nil {
		return err
	}
	g.wal = w
	if err := errors.Join(g.checkLog(), g.keepTerm()); err != nil {
		return err
	}
	if err := g.markBlank(); err != nil {
		return err
	}
	if err := g.bootstrap(); err != nil {
		return err
	}
	conf, err := g.timing()
	if err != nil {
		return err
	}
	if g.raft, err = raft.NewRaft(conf, g.fsm, w, w, g.snaps, g.link); err != nil {
		return durable.Error(err, "start raft in", g.c.Dir)
	}
	g.newest.Store(g.raft)
	return nil
}

// timing is Raft's configuration with the time-outs for the servers there are.
func (g *replica[M]) timing() (*raft.Config, error) {
	if g.c.Alone == 0 || g.wide.Load() {
		return g.raftConfig(g.c.Timeout), nil
	}
	have, err := raft.GetConfiguration(g.raftConfig(g.c.Timeout), g.fsm, g.wal, g.wal, g.snaps, g.link)
	if err != nil {
		return nil, durable.Error(err, "start raft in", g.c.Dir)
	}
	if len(have.Servers) == 1 && have.Servers[0].ID == g.c.ID {
		return g.raftConfig(g.c.Alone), nil
	}
	g.wide.Store(true)
	return g.raftConfig(g.c.Timeout), nil
}

// checkLog refuses a log that is shorter than the state: new entries would get
// indexes the state believes it has applied, and would be lost.
func (g *replica[M]) checkLog() error {
	last, err := g.wal.LastIndex()
	if err != nil {
		return durable.Error(err, "read log in", g.c.Dir)
	}
	d, _, err := g.snaps.newest()
	if err != nil {
		return err
	}
	m, done := g.state.use()
	defer done()
	if applied := m.AppliedIndex(); applied > max(last, d.Applied) {
		return salvor.Errorf(salvor.Internal, "the log ends at entry %d, but the state has applied %d", last, applied).
			WithHint("The directory %s was damaged or only partly copied; bring back the missing files.", g.c.Dir)
	}
	return nil
}

func (g *replica[M]) raftConfig(timeout time.Duration) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = g.c.ID
	c.Logger = raftLogger(g.log)
	c.NotifyCh = g.notices
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = timeout, timeout, timeout
	c.MaxAppendEntries = maxAppend
	// Unbuffered: an entry in a buffer at shutdown would never be answered.
	// Concurrent proposals share a log write all the same, since Raft takes
	// from all senders that are waiting.
	c.BatchApplyCh = false
	c.TrailingLogs = g.c.TrailingLogs
	// Snapshots are taken by snapshotLoop, by bytes and time (protocol 10).
	c.SnapshotInterval, c.SnapshotThreshold = neverByRaft, math.MaxUint64
	// The state is Pebble's and durable by itself; catchUp looked after it.
	c.NoSnapshotRestoreOnStart = true
	c.NoLegacyTelemetry = true
	return c
}

// bootstrap writes the first configuration of a new group.
func (g *replica[M]) bootstrap() error {
	if len(g.c.Peers) == 0 {
		return nil
	}
	old, err := raft.HasExistingState(g.wal, g.wal, g.snaps)
	if err != nil {
		return durable.Error(err, "start raft in", g.c.Dir)
	}
	if old {
		return nil
	}
	conf := g.raftConfig(g.c.Timeout)
	if err := raft.BootstrapCluster(conf, g.wal, g.wal, g.snaps, g.link, raft.Configuration{Servers: g.c.Peers}); err != nil {
		return durable.Error(err, "start raft in", g.c.Dir)
	}
	return nil
}

// noteApplied counts what the next snapshot is due for.
func (g *replica[M]) noteApplied(_ int, bytes int64) {
	g.dirty.Store(true)
	g.grown.Add(bytes)
	g.c.OnApply()
}

// use runs f with the present Raft object.
func (g *replica[M]) use(f func(r *raft.Raft) error) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.raft == nil {
		return raft.ErrRaftShutdown
	}
	return f(g.raft)
}

// heed passes Raft's word on leadership on, the newest only. It never waits for
// who reads it: Raft's main loop waits for this one, and the reader for Raft's
// main loop. It ends after Raft.
func (g *replica[M]) heed() {
	var word bool
	var to chan bool // nil while there is nothing new
	for {
		select {
		case word = <-g.notices:
			to = g.leading
		case to <- word:
			to = nil
		case <-g.ended:
			return
		}
	}
}

// close waits for the proposals under way, snapshots what changed, ends Raft
// and closes the files. Later proposals fail. Without a snapshot, on a full
// disk for one, nothing is lost: the next start applies more of the log.
func (g *replica[M]) close() error {
	g.stop()
	g.loops.Wait()
	g.window.drain()
	defer g.window.undrain()
	if g.dirty.Load() && g.fsm.err() == nil {
		if err := g.snapshot(); err != nil {
			g.log.Warn("no snapshot at the end", "error", err)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	err := errors.Join(g.stopRaft(), g.closeFiles())
	g.once.Do(func() { close(g.ended) })
	return err
}

// stopRaft ends Raft and its log. g.mu is held.
func (g *replica[M]) stopRaft() error {
	if g.raft == nil {
		return nil
	}
	f := g.raft.Shutdown()
	if g.c.Sever != nil {
		g.c.Sever()
	}
	err := f.Error()
	g.raft = nil
	return err
}

func (g *replica[M]) closeFiles() error {
	var err error
	if g.wal != nil {
		err = g.wal.Close()
		g.wal = nil
	}
	if g.state != nil {
		err = errors.Join(err, g.state.close())
	}
	return err
}
