package coordinator

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"salvor/api"
	"salvor/coordinator/frontier"
)

func TestMembersChangeUnderLoad(t *testing.T) {
	virtual(t, 2, func(t *testing.T, f *fleet, m *memnet) {
		f.three()
		l := f.load()
		f.grow(3, 5)
		// The leader of group 0 goes: it hands over first, then loses its vote.
		gone := f.leader(0)
		f.announce(f.record(gone, api.NodeRemoved))
		f.away[gone] = true // it does not hear that it is out
		f.eventually("it is out of both groups", time.Minute, func() bool {
			for g := range f.groups {
				at := f.leader(g)
				if at < 0 {
					return false
				}
				s := f.nodes[at].Status()[g]
				if len(s.Voters)+len(s.Nonvoters) != 4 || slices.Contains(s.Voters, nodeName(gone)) {
					return false
				}
			}
			return true
		})
		f.crash(f.nodes[gone])
		// Another comes back at a new address.
		moved := (gone + 1) % 5
		f.crash(f.nodes[moved])
		x := f.record(moved, api.NodeActive)
		f.net = movedNet{m, moved}
		f.start(moved)
		x.Address = f.nodes[moved].c.Address
		f.announce(x)
		f.eventually("it votes at its new address", time.Minute, func() bool {
			ok, _ := f.nodes[moved].Ready()
			return ok && f.voters(4)
		})
		l.end()
		var up []int
		for i := range f.nodes {
			if f.up[i] {
				up = append(up, i)
			}
		}
		f.agree(up...)
	})
}

// movedNet gives one node another address.
type movedNet struct {
	*memnet
	node int
}

func (m movedNet) listen(node int) (net.Listener, string) {
	l, addr := m.memnet.listen(node)
	if node != m.node {
		return l, addr
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.ports, addr)
	m.ports["10.9.9.9:1"] = l.(*memListener)
	return l, "10.9.9.9:1"
}

func TestDrainingNodeLeadsNothing(t *testing.T) {
	virtual(t, 4, func(t *testing.T, f *fleet, m *memnet) {
		f.three()
		at := f.leader(0)
		f.announce(f.record(at, api.NodeDraining))
		f.eventually("it leads nothing and votes", 2*time.Minute, func() bool {
			for g := range f.groups {
				if l := f.leader(g); l < 0 || l == at {
					return false
				}
			}
			return f.voters(3)
		})
	})
}

// Dead voters lose their votes as long as three are left; they get them back.
func TestDeadVotersAreDemoted(t *testing.T) {
	virtual(t, 1, func(t *testing.T, f *fleet, m *memnet) {
		f.conf = func(c *NodeConfig) { c.DeadAfter = time.Minute }
		f.start(0)
		f.announce(f.record(0, api.NodeActive))
		f.grow(1, 4)
		var dead []int
		for i := range f.nodes {
			if i != f.leader(0) && len(dead) < 2 {
				dead = append(dead, i)
			}
		}
		f.crash(f.nodes[dead[0]])
		time.Sleep(50 * time.Second)
		if !f.voters(4) {
			t.Error("a voter was demoted before its time")
		}
		f.eventually("the dead one is demoted", 30*time.Second, func() bool { return f.voters(3) })
		f.crash(f.nodes[dead[1]])
		time.Sleep(5 * time.Minute)
		if !f.voters(3) {
			t.Error("fewer than three voters were left")
		}
		f.set("test", "still", []byte("1"))
		f.start(dead[0])
		f.start(dead[1])
		f.eventually("both vote", time.Minute, func() bool { return f.voters(4) })
	})
}

func TestLevelRises(t *testing.T) {
	virtual(t, 1, func(t *testing.T, f *fleet, m *memnet) {
		f.three()
		f.set(api.TableCluster, api.SettingsKey, []byte(`{"id":"x","level":1,"later":{"a":1}}`))
		old := f.record(2, api.NodeActive)
		old.Level = 1
		f.announce(old)
		time.Sleep(time.Minute)
		for i, n := range f.nodes {
			if n.Level() != 1 {
				t.Errorf("node %d runs at level %d beside one that has 1", i, n.Level())
			}
		}
		f.announce(f.record(2, api.NodeActive))
		f.eventually("all run at the newest level", time.Minute, func() bool {
			for _, n := range f.nodes {
				if n.Level() != frontier.Level {
					return false
				}
			}
			return true
		})
		if s := f.keys(api.TableCluster)[api.SettingsKey]; !strings.Contains(s, `"later":{"a":1}`) {
			t.Errorf("a field of a newer version is lost: %s", s)
		}
	})
}

// A follower reads a snapshot on the loop that votes. If the leader vanishes in
// the middle of one, it must vote again soon.
func TestSnapshotThatNeverEnds(t *testing.T) {
	virtual(t, 1, func(t *testing.T, f *fleet, m *memnet) {
		f.conf = func(c *NodeConfig) {
			c.SnapshotBytes, c.SnapshotEvery = 256<<10, time.Hour
			c.tune = func(c *replicaConfig[*frontier.Machine]) { c.TrailingLogs, c.SegmentSize, c.LogFS = 16, 16<<10, f.disk }
		}
		f.three()
		lead := f.leader(0)
		behind := (lead + 1) % 3
		f.crash(f.nodes[behind])
		noise := rand.New(rand.NewPCG(1, 2))
		for i := range 60 {
			b := make([]byte, 60_000)
			for j := range b {
				b[j] = byte(noise.Uint32())
			}
			f.set("load", fmt.Sprint(i), b)
		}
		time.Sleep(5 * time.Second)
		m.cutAfter(lead, behind, 1<<20)
		f.start(behind)
		f.eventually("the link breaks", 10*time.Second, func() bool { return m.isCut(lead, behind) })
		if p := f.nodes[lead].Group(0).replica.link.heard.get(raft.ServerID(nodeName(behind))); p.sending == 0 {
			t.Error("no snapshot was on its way")
		}
		m.isolate(lead, 3, true)
		began := time.Now()
		f.away[lead] = true
		f.call(0, func(g *Group) error { _, err := g.Records(t.Context(), "test"); return err })
		t.Logf("served again after %s", time.Since(began))
		if d := time.Since(began); d > readTime+10*time.Second {
			t.Errorf("the others were held up for %s", d)
		}
		f.away[lead] = false
		m.isolate(lead, 3, false)
		f.agree(0, 1, 2)
	})
}

// The first node serves without a break while others join it.
func TestGrowthInterruptsNobody(t *testing.T) {
	virtual(t, 1, func(t *testing.T, f *fleet, m *memnet) {
		f.start(0)
		f.announce(f.record(0, api.NodeActive))
		first := f.nodes[0].Group(0)
		stop, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
				_, err := first.Register(t.Context(), fmt.Sprint(i))
				if err == nil {
					_, err = first.Crawls(t.Context())
				}
				if err != nil {
					t.Errorf("call %d: %v", i, err)
				}
			}
		}()
		f.grow(1, 3)
		close(stop)
		<-ended
	})
}

// A leader whose disk fails hands its group to the others by falling silent.
func TestFailedDiskMovesTheLead(t *testing.T) {
	virtual(t, 2, func(t *testing.T, f *fleet, m *memnet) {
		disks := map[string]*badDisk{}
		f.conf = func(c *NodeConfig) {
			d := newBadDisk()
			disks[c.ID] = d
			c.tune = func(c *replicaConfig[*frontier.Machine]) { c.SegmentSize, c.LogFS = 256<<10, d }
		}
		f.three()
		at := f.leader(0)
		n := f.nodes[at]
		f.set("test", "before", []byte("1"))
		disks[nodeName(at)].write.Store(ptr(syscall.EIO))
		_, err := n.Group(0).Register(t.Context(), "w")
		if notLeader(err) == nil || !errors.Is(err, syscall.EIO) {
			t.Errorf("a harmless call on the failed disk: %v", err)
		}
		<-n.Failed()
		if !errors.Is(n.Err(), syscall.EIO) || !strings.HasPrefix(n.Err().Error(), "group ") {
			t.Errorf("the node says %v", n.Err())
		}
		if ok, why := n.Ready(); ok {
			t.Errorf("it is ready: %q", why)
		}
		began := time.Now()
		f.set("test", "after", []byte("1"))
		if d := time.Since(began); d > 6*time.Second {
			t.Errorf("the others took %s", d)
		}
		if at := f.leader(0); f.nodes[at] == n {
			t.Error("it leads on")
		}
	})
}
