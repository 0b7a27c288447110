package coordinator

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	walfs "github.com/hashicorp/raft-wal/fs"

	"salvor/api"
	"salvor/coordinator/frontier"
)

// virtual runs a test of a fleet on a network in memory and a clock of its own.
func virtual(t *testing.T, groups int, test func(t *testing.T, f *fleet, m *memnet)) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemnet()
		f := newFleet(t, groups, m)
		f.disk = looseDisk{walfs.New()}
		defer f.close()
		test(t, f, m)
	})
}

// three starts a cluster of three voters.
func (f *fleet) three() {
	f.t.Helper()
	f.start(0)
	f.announce(f.record(0, api.NodeActive))
	f.grow(1, 3)
}

// keys lists a table through its leader.
func (f *fleet) keys(table string) map[string]string {
	f.t.Helper()
	all := map[string]string{}
	f.call(0, func(g *Group) error {
		rows, err := g.Records(f.t.Context(), table)
		clear(all)
		for _, r := range rows {
			all[r.Key] = string(r.Value)
		}
		return err
	})
	return all
}

func TestGrowingKeepsEverything(t *testing.T) {
	virtual(t, 4, func(t *testing.T, f *fleet, m *memnet) {
		f.start(0)
		f.announce(f.record(0, api.NodeActive))
		if f.nodes[0].Group(0).replica.wide.Load() {
			t.Error("a single node runs with the time-outs of a cluster")
		}
		for i := range 50 {
			f.set("test", fmt.Sprint(i), []byte("x"))
		}
		began := time.Now()
		f.grow(1, 3)
		t.Logf("three voters in four groups after %s", time.Since(began))
		if n := len(f.keys("test")); n != 50 {
			t.Errorf("%d of 50 records", n)
		}
		for i, n := range f.nodes {
			for g := range f.groups {
				if r := n.Group(g).replica; !r.wide.Load() || r.blank.Load() {
					t.Errorf("node %d, group %d: cluster time-outs %t, blank %t", i, g, r.wide.Load(), r.blank.Load())
				}
			}
		}
		f.eventually("no node leads more than two of four groups", 2*time.Minute, func() bool {
			lead := map[int]int{}
			for g := range f.groups {
				lead[f.leader(g)]++
			}
			return lead[-1] == 0 && lead[0] <= 2 && lead[1] <= 2 && lead[2] <= 2
		})
		// And so it stays.
		terms := func() (all [4]uint64) {
			for g := range f.groups {
				all[g] = f.nodes[0].Status()[g].Term
			}
			return all
		}
		before := terms()
		time.Sleep(5 * time.Minute)
		if after := terms(); after != before {
			t.Errorf("leads moved with nothing wrong: terms %v, then %v", before, after)
		}
		for i, n := range f.nodes {
			if ok, why := n.Ready(); !ok {
				t.Errorf("node %d: %q", i, why)
			}
		}
	})
}

func TestPartitionedLeaderStepsDown(t *testing.T) {
	for _, c := range []struct {
		name string
		cut  func(m *memnet, at int, cut bool)
	}{
		{"both ways", func(m *memnet, at int, cut bool) { m.isolate(at, 3, cut) }},
		{"it is not heard", func(m *memnet, at int, cut bool) {
			m.set(at, (at+1)%3, cut)
			m.set(at, (at+2)%3, cut)
		}},
		{"it does not hear", func(m *memnet, at int, cut bool) {
			m.set((at+1)%3, at, cut)
			m.set((at+2)%3, at, cut)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			virtual(t, 1, func(t *testing.T, f *fleet, m *memnet) {
				f.three()
				old := f.leader(0)
				f.set("test", "before", []byte("1"))
				c.cut(m, old, true)
				began := time.Now()
				// A write of the old leader's that cannot be committed.
				_, err := f.nodes[old].Group(0).SetRecord(t.Context(), api.Record{Table: "test", Key: "lost?", Value: []byte("1")})
				if err == nil {
					t.Error("a leader without followers took a write")
				}
				if d := time.Since(began); d > 4*time.Second {
					t.Errorf("the old leader took %s to give up", d)
				}
				f.away[old] = true
				f.set("test", "during", []byte("2"))
				d := time.Since(began)
				t.Logf("the others took a write after %s", d)
				if d > 8*time.Second { // the rule is 5 s, see TestFailoverTime
					t.Errorf("the others took %s", d)
				}
				f.away[old] = false
				began = time.Now()
				if _, err := f.nodes[old].Group(0).Records(t.Context(), "test"); notLeader(err) == nil {
					t.Errorf("a read of the old leader: %v", err)
				}
				if d := time.Since(began); d > 100*time.Millisecond {
					t.Errorf("it took %s to refuse", d)
				}
				c.cut(m, old, false)
				f.eventually("it follows again", 15*time.Second, func() bool {
					ok, _ := f.nodes[old].Ready()
					return ok && f.leader(0) >= 0
				})
				got := f.keys("test")
				if got["before"] != "1" || got["during"] != "2" {
					t.Errorf("acknowledged writes are lost: %v", got)
				}
			})
		})
	}
}

func TestCloseHandsOver(t *testing.T) {
	virtual(t, 4, func(t *testing.T, f *fleet, m *memnet) {
		f.three()
		time.Sleep(time.Minute) // spread
		for i := range 3 {
			began := time.Now()
			f.up[i] = false
			must(t, f.nodes[i].Close(context.Background()))
			for g := range f.groups {
				f.call(g, func(g *Group) error {
					_, err := g.Records(t.Context(), "test")
					return err
				})
			}
			if d := time.Since(began); d > time.Second {
				t.Errorf("a clean stop of node %d took the leads away for %s", i, d)
			}
			f.start(i)
			f.eventually("it is back", 20*time.Second, func() bool { ok, _ := f.nodes[i].Ready(); return ok })
		}
	})
}

// load writes records all the time, through whoever leads, and remembers what
// was acknowledged.
type load struct {
	f     *fleet
	acked []string
	stop  chan struct{}
	ended chan struct{}
}

func (f *fleet) load() *load {
	l := &load{f: f, stop: make(chan struct{}), ended: make(chan struct{})}
	go l.run()
	return l
}

func (l *load) run() {
	defer close(l.ended)
	for i, at := 0, 0; ; {
		select {
		case <-l.stop:
			return
		case <-time.After(5 * time.Millisecond):
		}
		key := fmt.Sprintf("%06d", i)
		at++
		_, err := l.f.some(at).Group(0).SetRecord(context.Background(), api.Record{Table: "load", Key: key, Value: []byte(key)})
		switch {
		case err == nil:
			l.acked = append(l.acked, key)
			i++
		case notLeader(err) == nil:
			i++ // it may have been written
		}
	}
}

// end stops it and looks whether everything acknowledged is there.
func (l *load) end() {
	l.f.t.Helper()
	close(l.stop)
	<-l.ended
	got := l.f.keys("load")
	for _, key := range l.acked {
		if got[key] != key {
			l.f.t.Fatalf("record %s was acknowledged and is lost (%d of %d are there)", key, len(got), len(l.acked))
		}
	}
	l.f.t.Logf("%d acknowledged, %d written", len(l.acked), len(got))
	if len(l.acked) < 20 {
		l.f.t.Errorf("only %d writes were acknowledged", len(l.acked))
	}
}

// agree waits until all replicas of group 0 hold the same load.
func (f *fleet) agree(nodes ...int) {
	f.t.Helper()
	f.eventually("the replicas agree", 30*time.Second, func() bool {
		var first []api.Record
		for i, at := range nodes {
			rows, err := f.nodes[at].table("load")
			must(f.t, err)
			if i == 0 {
				first = rows
			}
			if len(rows) != len(first) || len(rows) > 0 && rows[len(rows)-1].Version != first[len(first)-1].Version {
				return false
			}
		}
		return true
	})
}

// A follower that was away for longer than the log goes back is sent a
// snapshot, through the real transport.
func TestSnapshotGoesOverTheNetwork(t *testing.T) {
	virtual(t, 1, func(t *testing.T, f *fleet, m *memnet) {
		f.conf = func(c *NodeConfig) {
			c.SnapshotBytes, c.SnapshotEvery = 64<<10, time.Hour
			c.tune = func(c *replicaConfig[*frontier.Machine]) { c.TrailingLogs, c.SegmentSize, c.LogFS = 16, 16<<10, f.disk }
		}
		f.three()
		behind := (f.leader(0) + 1) % 3
		f.crash(f.nodes[behind])
		for i := range 300 {
			f.set("load", fmt.Sprint(i), make([]byte, 1000))
		}
		time.Sleep(5 * time.Second)
		n := f.start(behind)
		f.agree(0, 1, 2)
		if dir := filepath.Base(n.Group(0).replica.state.now.dir); dir != "000002" {
			t.Errorf("the state is in %s: no snapshot was installed", dir)
		}
		f.eventually("it is ready", 10*time.Second, func() bool { ok, _ := n.Ready(); return ok })
	})
}

// A node that lost its disk and comes back under its old name has no vote
// until it has everything again.
func TestEmptyDiskRejoins(t *testing.T) {
	virtual(t, 2, func(t *testing.T, f *fleet, m *memnet) {
		f.three()
		for i := range 100 {
			f.set("load", fmt.Sprint(i), []byte("x"))
		}
		lost := (f.leader(0) + 1) % 3
		f.crash(f.nodes[lost])
		must(t, os.RemoveAll(f.nodes[lost].c.Dir))
		first := lost == 0
		n := f.start(lost)
		if first {
			t.Skip("the node that made the cluster would make another one")
		}
		if ok, why := n.Ready(); ok || len(why) != 2 {
			t.Errorf("an empty node is ready: %q", why)
		}
		f.eventually("it votes again", time.Minute, func() bool {
			for g := range n.groups {
				if n.groups[g].replica.blank.Load() {
					return false
				}
			}
			ok, _ := n.Ready()
			return ok && f.voters(3)
		})
		f.agree(0, 1, 2)
	})
}

// Without the leader that could take its vote, an empty node elects nobody.
func TestEmptyVoterElectsNobody(t *testing.T) {
	virtual(t, 1, func(t *testing.T, f *fleet, m *memnet) {
		f.three()
		f.eventually("node 0 leads", time.Minute, func() bool {
			if l := f.leader(0); l > 0 {
				_ = f.nodes[l].handOver(t.Context(), f.nodes[l].Group(0), f.nodes[l].heirs(f.nodes[l].Group(0)))
			}
			return f.leader(0) == 0
		})
		// Node 2 misses a write that 0 and 1 acknowledge.
		m.isolate(2, 3, true)
		f.set("test", "precious", []byte("1"))
		f.crash(f.nodes[0])
		f.crash(f.nodes[1])
		must(t, os.RemoveAll(f.nodes[1].c.Dir))
		m.isolate(2, 3, false)
		f.start(1)
		time.Sleep(time.Minute)
		if l := f.leader(0); l >= 0 {
			t.Fatalf("node %d was elected with the vote of an empty one", l)
		}
		f.start(0)
		f.eventually("all is well", time.Minute, func() bool { return f.voters(3) && f.keys("test")["precious"] == "1" })
	})
}
