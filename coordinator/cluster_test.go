package coordinator

import (
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/types"
)

// cluster is three groups on in-memory transports, with logs in small segments
// so that what is deleted is gone.
type cluster struct {
	t      *testing.T
	confs  []replicaConfig[*ledger]
	nets   []*raft.InmemTransport
	peers  []raft.Server
	groups []*replica[*ledger]
}

// clusterTimeout lets a busy machine with the race detector keep its leaders.
const clusterTimeout = 400 * time.Millisecond

func newCluster(t *testing.T, trailing uint64, disk types.VFS) *cluster {
	c := &cluster{t: t}
	for i := range 3 {
		addr := raft.ServerAddress(fmt.Sprintf("node-%d", i))
		_, net := raft.NewInmemTransport(addr)
		c.nets = append(c.nets, net)
		c.peers = append(c.peers, raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(addr), Address: addr})
		t.Cleanup(func() { net.Close() })
	}
	for i := range 3 {
		c.connect(i)
	}
	for i := range 3 {
		conf := soloConfig(t, t.TempDir())
		conf.ID, conf.Peers, conf.Net, conf.Timeout = c.peers[i].ID, c.peers, c.nets[i], clusterTimeout
		conf.TrailingLogs, conf.SegmentSize = trailing, 8<<10
		conf.LogFS = disk
		conf.Logger = slog.New(slog.DiscardHandler)
		g, err := startReplica(conf)
		must(t, err)
		t.Cleanup(func() { c.groups[i].close() })
		c.groups, c.confs = append(c.groups, g), append(c.confs, conf)
	}
	return c
}

func (c *cluster) connect(i int) {
	for j := range c.nets {
		if i != j {
			c.nets[i].Connect(c.peers[j].Address, c.nets[j])
			c.nets[j].Connect(c.peers[i].Address, c.nets[i])
		}
	}
}

func (c *cluster) cut(i int) {
	for j := range c.nets {
		if i != j {
			c.nets[i].Disconnect(c.peers[j].Address)
			c.nets[j].Disconnect(c.peers[i].Address)
		}
	}
}

// leader waits for one that is not among but.
func (c *cluster) leader(but ...int) int {
	c.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		for i, g := range c.groups {
			state := raft.Follower
			_ = g.use(func(r *raft.Raft) error { state = r.State(); return nil })
			if state == raft.Leader && !slices.Contains(but, i) {
				return i
			}
		}
	}
	c.t.Fatal("no leader")
	return -1
}

// await waits until a group's machine holds want.
func (c *cluster) await(i int, want []string) {
	c.t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if slices.Equal(entriesOf(c.groups[i]), want) {
			return
		}
	}
	c.t.Fatalf("node %d never caught up:\n%s", i, cmp.Diff(want, entriesOf(c.groups[i])))
}

func TestFarBehindFollowerGetsSnapshot(t *testing.T) {
	c := newCluster(t, 1, nil)
	lead := c.leader()
	behind := (lead + 1) % 3
	c.cut(behind)
	lead = c.leader(behind)
	var want []string
	for i := range 400 { // over the small segments, so that the log is really cut
		e := fmt.Sprintf("entry %d %0100d", i, i)
		_, err := c.groups[lead].propose(t.Context(), []byte(e))
		must(t, err)
		want = append(want, e)
	}
	must(t, c.groups[lead].snapshot())
	c.connect(behind)
	c.await(behind, want)

	// What arrived is on disk as a state and as a snapshot of its own.
	g := c.groups[behind]
	d, ok, err := g.snaps.newest()
	must(t, err)
	m, done := g.state.use()
	defer done()
	if !ok || d.Applied == 0 || d.Applied > m.AppliedIndex() {
		t.Errorf("the follower's snapshot has applied %d, its state %d", d.Applied, m.AppliedIndex())
	}
}

func TestReadsAreLinearizable(t *testing.T) {
	c := newCluster(t, trailingLogs, nil)
	lead := c.leader()
	g := c.groups[lead]
	for i := range 3 {
		must(t, g.linearize(t.Context()))
		last, err := g.wal.LastIndex()
		must(t, err)
		if i == 0 {
			continue
		}
		must(t, g.linearize(t.Context()))
		if after, _ := g.wal.LastIndex(); after != last {
			t.Error("a later read of a term wrote to the log")
		}
		_, err = g.propose(t.Context(), []byte("x"))
		must(t, err)
	}
	for i, f := range c.groups {
		if i != lead && f.linearize(t.Context()) == nil {
			t.Error("a follower confirmed a read")
		}
	}
	c.cut(lead)
	_ = g.linearize(t.Context()) // a heartbeat under way at the cut may confirm one
	if g.linearize(t.Context()) == nil {
		t.Error("a leader that was cut off confirmed a read")
	}
	must(t, c.groups[c.leader(lead)].linearize(t.Context()))
}

// TestWatchdogEndsSnapshotLivelock reproduces hashicorp/raft#697: a leader is
// cut off with entries nobody else has, the others go on, snapshot and cut
// their logs behind the fork. Healed, it is sent snapshot after snapshot.
func TestWatchdogEndsSnapshotLivelock(t *testing.T) {
	c := newCluster(t, 1, nil)
	old := c.leader()
	var want []string
	add := func(lead int, n int) {
		for range n {
			e := fmt.Sprintf("entry %d %0300d", len(want), 0)
			_, err := c.groups[lead].propose(t.Context(), []byte(e))
			must(t, err)
			want = append(want, e)
		}
	}
	add(old, 3)
	c.cut(old)
	var lost atomic.Int64
	for range 200 { // go into its log, and nowhere else
		go func() {
			if _, err := c.groups[old].propose(t.Context(), make([]byte, 300)); err != nil {
				lost.Add(1)
			}
		}()
	}
	lead := c.leader(old)
	add(lead, 60)
	must(t, c.groups[lead].snapshot())
	for i := range c.groups {
		if i != old && i != lead {
			c.await(i, want)
			must(t, c.groups[i].snapshot())
		}
	}
	c.connect(old)
	c.await(old, want)
	add(c.leader(), 5)
	c.await(old, want)
	t.Logf("%d proposals of the old leader failed", lost.Load())
}
