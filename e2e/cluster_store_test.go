package e2e

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"salvor/e2e/rig"
)

// TestClusterStore: whatever becomes of the Store, the crawl goes on, and every
// page is there at the end: captured is not stored.
func TestClusterStore(t *testing.T) {
	f := newFleet(t, shape{nodes: 3, hands: 1, hosts: 3, pages: size(1000, 15_000)})
	f.web.Delay(time.Duration(size(1000, 500)) * time.Millisecond)
	f.crawl("one")
	f.reach(f.pages() / 50)
	short := time.Duration(size(6, 30)) * time.Second

	f.atMostQuiet(f.fault("the store answers 503", short, func() { f.b.weather.Set(rig.Unwilling) }), electionMost)
	f.atMostQuiet(f.fault("the store cuts uploads", short, func() { f.b.weather.Set(rig.Cutting) }), electionMost)
	hand := f.Nodes[len(f.Nodes)-1]
	f.atMostQuiet(f.fault("the store is stopped", time.Duration(size(15, 120))*time.Second, f.b.m.Kill), electionMost)
	at := time.Now()
	f.atMostQuiet(f.fault("a worker is killed and started while the store is away", short, func() {
		hand.Kill()
		f.start(hand)
	}), electionMost)
	asked := map[string]bool{}
	twice := 0
	for _, h := range f.web.Hits() {
		if key := h.Host + h.Path; h.At.After(at) && asked[key] {
			twice++
		} else {
			asked[key] = true
		}
	}
	t.Logf("%d pages were asked for again after the worker was killed", twice)
	if err := f.b.m.Start(); err != nil {
		t.Fatal(err)
	}
	f.atMostQuiet(f.fault("the store is slow", short, func() { f.b.weather.Set(rig.Slow) }), electionMost)
	f.b.weather.Set(rig.Fair)

	s := f.finish("one", 4*time.Minute)
	dups, a := f.saved("one", s)
	if n := f.b.unfinished(); n > 0 {
		t.Errorf("%d unfinished uploads are left", n)
	}
	t.Logf("%d requests for %d pages, %d saved twice, %d segments, %d requests in bad weather", f.web.Count(), f.pages(), dups, len(a.Segments), f.b.weather.Met.Load())
}

// TestClusterDisk: somebody else takes the last byte of a worker's disk: the
// others go on, and it does when there is room again.
func TestClusterDisk(t *testing.T) {
	f := newFleet(t, shape{nodes: 3, hosts: 3, pages: size(600, 8000)})
	hand := f.smallHand(120)
	f.web.Delay(time.Second)
	f.crawl("one")
	f.reach(f.pages() / 20)
	hog := filepath.Join(hand.Dir, "hog")
	f.atMostQuiet(f.fault("a worker's disk is full", time.Duration(size(15, 60))*time.Second, func() { fill(t, hog) }), electionMost)
	if !hand.Running() {
		t.Errorf("the worker with the full disk ended")
	}
	f.tells(hand)
	before := f.made(hand)
	if err := syscall.Unlink(hog); err != nil {
		t.Fatal(err)
	}
	eventuallySay(t, time.Minute, func() string { return "the worker works again" }, func() bool {
		return f.made(hand) > before || f.web.Count() >= f.pages()
	})
	s := f.finish("one", 2*time.Minute)
	dups, _ := f.saved("one", s)
	t.Logf("%d requests for %d pages, %d saved twice", f.web.Count(), f.pages(), dups)
}

// smallHand lets a worker join whose disk has so many MB.
func (f *fleet) smallHand(mb int) *rig.Node {
	f.t.Helper()
	disk := filepath.Join(f.Dir, "small")
	if err := errors.Join(syscall.Mkdir(disk, 0o755), mountTmpfs(disk, mb, 0)); errors.Is(err, syscall.EPERM) {
		f.t.Skip("NOT TESTED: mounting a tmpfs is not permitted here")
	} else if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		f.Close()
		_ = syscall.Unmount(disk, syscall.MNT_DETACH)
	})
	return f.join(rig.NodeSpec{Roles: "worker", Dir: disk})
}

// made is how many captures the cluster knows of this run of a node's.
func (f *fleet) made(n *rig.Node) (captures int64) {
	st, err := f.Status(f.t.Context())
	if err != nil {
		return 0
	}
	for _, x := range st.Nodes {
		for _, w := range x.Work {
			if x.Node.ID == n.ID {
				captures += w.Captures + w.Held
			}
		}
	}
	return captures
}

// tells fails the test unless the cluster says why a node does not work.
func (f *fleet) tells(n *rig.Node) {
	f.t.Helper()
	why := ""
	eventuallySay(f.t, 10*time.Second, func() string { return "status says why " + n.Name + " stands still, it says: " + why }, func() bool {
		st, err := f.Status(f.t.Context())
		if err != nil {
			return false
		}
		for _, x := range st.Nodes {
			for _, w := range x.Work {
				if x.Node.ID == n.ID && w.Why+w.Error != "" {
					why = w.Why + " " + w.Error
					return true
				}
			}
		}
		return false
	})
	f.t.Logf("%s: %s", n.Name, why)
}
