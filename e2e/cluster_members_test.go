package e2e

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"salvor/coordinator/frontier"
	"salvor/e2e/rig"
)

// TestClusterMembers: coordinators come, go, and lose their disks, while a crawl
// runs on.
func TestClusterMembers(t *testing.T) {
	f := newFleet(t, shape{groups: size(1, 4), nodes: 3, hands: 1, hosts: 3, pages: size(1300, 12_000)})
	f.web.Delay(time.Duration(size(1000, 250)) * time.Millisecond)
	f.crawl("one")
	f.reach(f.pages() / 50)
	watch := time.Duration(size(6, 12)) * time.Second

	r := f.fault("a fourth coordinator joins", watch, func() {
		f.join(rig.NodeSpec{IP: f.ip(9), Roles: "coordinator,worker", Keys: true})
	})
	f.atMostQuiet(r, electionMost)
	f.settled(time.Minute)

	leader, _ := f.leader(0)
	r = f.fault("the leader is removed from the cluster", watch, func() { f.remove(leader) })
	f.atMostQuiet(r, electionMost)
	f.settled(time.Minute)

	_, follower := f.leader(0)
	r = f.fault("a follower loses its frontier and comes back", watch, func() {
		follower.Kill()
		if err := os.RemoveAll(follower.Dir + "/coordinator"); err != nil {
			t.Fatal(err)
		}
		f.start(follower)
	})
	f.atMostQuiet(r, electionMost)
	f.settled(time.Minute)

	_, follower = f.leader(0)
	r = f.fault("a follower loses its disk and joins anew at its address", watch, func() {
		follower.Kill()
		if err := os.RemoveAll(follower.Dir); err != nil {
			t.Fatal(err)
		}
		f.types("node", "remove", follower.Name)
		f.join(rig.NodeSpec{Address: follower.Address, Roles: "coordinator,worker", Keys: true})
	})
	f.atMostQuiet(r, electionMost)
	f.settled(time.Minute)

	leader, _ = f.leader(0)
	r = f.fault("the leader is drained, and works again", watch, func() {
		f.types("node", "drain", leader.Name)
		eventuallySay(t, 20*time.Second, func() string { return "another leads" }, func() bool {
			st, err := f.Status(t.Context())
			return err == nil && st.Leader(0) != "" && st.Leader(0) != leader.Name
		})
		f.types("node", "drain", "--undo", leader.Name)
	})
	f.atMostQuiet(r, electionMost)

	s := f.finish("one", 4*time.Minute)
	dups, _ := f.saved("one", s)
	t.Logf("%d requests for %d pages, %d saved twice", f.web.Count(), f.pages(), dups)
}

// types is a command of an admin, which must do what it says.
func (f *fleet) types(args ...string) {
	f.t.Helper()
	at := time.Now()
	if _, err := f.Do(f.t.Context(), args...); err != nil {
		f.t.Error(err)
	}
	f.t.Logf("salvor %s took %s", strings.Join(args, " "), time.Since(at).Round(10*time.Millisecond))
}

// remove takes a node out of the cluster; its process must end by itself.
func (f *fleet) remove(n *rig.Node) {
	f.t.Helper()
	if _, err := f.Do(f.t.Context(), "node", "remove", n.Name); err != nil {
		f.t.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
	defer cancel()
	u, err := n.Process().Wait(ctx)
	if err != nil || u.Exit == 0 {
		f.t.Errorf("the removed node ended with exit code %d, %v", u.Exit, err)
	}
}

// TestClusterLevels: nodes of the level before, raised one at a time, each
// stopped cleanly: the new level is in force when the last one has it.
func TestClusterLevels(t *testing.T) {
	f := newFleet(t, shape{groups: 4, nodes: 3, hands: 1, hosts: 3, pages: size(1000, 3000), levels: []int{1, 1, 1}})
	f.web.Delay(time.Second)
	f.crawl("one")
	f.reach(f.pages() / 50)
	for i, n := range f.Nodes[:3] {
		if l := f.level(); l != 1 {
			t.Errorf("level %d with %d of 3 nodes raised", l, i)
		}
		r := f.fault("a node is stopped cleanly and raised to the next level", time.Duration(size(5, 20))*time.Second, func() {
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
			defer cancel()
			if code, err := n.Stop(ctx); err != nil || code != exitDone {
				t.Errorf("a clean stop: exit code %d, %v", code, err)
			}
			n.Args = []string{"--feature-level", "0"}
			f.start(n)
		})
		f.atMostQuiet(r, electionMost)
		f.settled(time.Minute)
	}
	eventuallySay(t, 30*time.Second, func() string { return "the new level in force" }, func() bool { return f.level() == int(frontier.Level) })
	s := f.finish("one", 2*time.Minute)
	dups, _ := f.saved("one", s)
	if dups > 0 {
		t.Errorf("%d pages were saved twice, and nobody was killed", dups)
	}
}

func (f *fleet) level() int {
	f.t.Helper()
	st, err := f.Status(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return int(st.Cluster.Level)
}
