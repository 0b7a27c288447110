package coordinator

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// NodeConfig says where one of a cluster's coordinators lives and how it
// reaches the others. Dir, ID, Address, Groups, Raft and Dial are needed.
type NodeConfig struct {
	// Dir holds the groups' directories. The caller holds the lock on it.
	Dir string
	// ID is the node's for good; it names the node in every group.
	ID string
	// Address, host:port, is where the other coordinators reach this one.
	Address string
	// Groups of the cluster, the same on every coordinator for ever.
	Groups int
	// Bootstrap makes a new cluster of this node alone. Without it a node whose
	// directory is new waits until the groups' leaders find it in the registry
	// and take it in. On a directory with state it does nothing.
	Bootstrap bool
	// Raft gives authenticated connections of other coordinators; the node
	// closes it.
	Raft net.Listener
	// Dial makes an authenticated connection to another coordinator's Raft.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// CacheBytes is Pebble's block cache for all groups together; 0 is 256 MB.
	CacheBytes int64
	// Logger, Clock, SnapshotBytes and SnapshotEvery are those of Config, for
	// each group.
	Logger        *slog.Logger
	Clock         Clock
	SnapshotBytes int64
	SnapshotEvery time.Duration
	// Level is the newest feature level the node runs at; 0 is the newest it
	// knows.
	Level uint16
	// DeadAfter is how long a voter may be silent before it loses its vote, if
	// enough others have one; 0 is 5 min.
	DeadAfter time.Duration

	timing timing // a test's
	tune   func(*replicaConfig[*frontier.Machine])
}

// timing is how often a node looks after its cluster.
type timing struct {
	election time.Duration // heartbeat and election time-out (protocol 10)
	alone    time.Duration // the same with one server
	members  time.Duration // between two looks at the members
	steady   time.Duration // how long a newcomer keeps up before it gets a vote
	balance  time.Duration // between two looks at who leads what
	level    time.Duration // between two looks at the feature level
}

const electionTimeout = 1500 * time.Millisecond

func (t timing) withDefaults() timing {
	return timing{
		election: cmp.Or(t.election, electionTimeout),
		alone:    cmp.Or(t.alone, soloTimeout),
		members:  cmp.Or(t.members, time.Second),
		steady:   cmp.Or(t.steady, 3*time.Second),
		balance:  cmp.Or(t.balance, 5*time.Second),
		level:    cmp.Or(t.level, time.Second),
	}
}

func (c NodeConfig) withDefaults() NodeConfig {
	one := Config{Logger: c.Logger, Clock: c.Clock, SnapshotBytes: c.SnapshotBytes, SnapshotEvery: c.SnapshotEvery}.withDefaults()
	c.Logger, c.Clock, c.SnapshotBytes, c.SnapshotEvery = one.Logger, one.Clock, one.SnapshotBytes, one.SnapshotEvery
	c.CacheBytes = cmp.Or(c.CacheBytes, 256<<20)
	c.Level = cmp.Or(c.Level, frontier.Level)
	c.DeadAfter = cmp.Or(c.DeadAfter, 5*time.Minute)
	c.timing = c.timing.withDefaults()
	return c
}

func (c NodeConfig) check() error {
	switch {
	case c.Dir == "" || c.ID == "" || c.Raft == nil || c.Dial == nil:
		return salvor.Errorf(salvor.Invalid, "coordinator: directory, id, listener and dialer are needed")
	case c.Groups < 1 || c.Groups > api.MaxGroups:
		return salvor.Errorf(salvor.Invalid, "coordinator: %d groups, 1 to %d are possible", c.Groups, api.MaxGroups)
	case c.Level > frontier.Level:
		return salvor.Errorf(salvor.Invalid, "coordinator: feature level %d is not known, the newest is %d", c.Level, frontier.Level)
	}
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return salvor.Errorf(salvor.Invalid, "coordinator: address %q: %w", c.Address, err)
	}
	return nil
}
