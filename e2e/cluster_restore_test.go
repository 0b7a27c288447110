package e2e

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"salvor/e2e/rig"
)

// TestClusterRestore: every node and every disk is lost in the midst of a crawl;
// the cluster comes back from the bucket, and what was stored is not lost.
func TestClusterRestore(t *testing.T) {
	f := newFleet(t, shape{groups: size(1, 4), nodes: 3, hands: 1, hosts: 3, pages: size(700, 5000), args: []string{"--checkpoint-every", "3s"}})
	f.web.Delay(500 * time.Millisecond)
	f.crawl("one")
	f.reach(f.pages() / 2)
	f.Close()
	f.burnt = true
	for _, n := range f.Nodes {
		if err := os.RemoveAll(n.Dir); err != nil {
			t.Fatal(err)
		}
	}
	dir := f.b.copied() + "/crawls/one"
	f.dropOrphans(dir)
	stored, err := rig.ReadArchive(dir)
	if err != nil {
		t.Fatal(err)
	}
	asked := f.web.Count()
	if len(stored.Segments) == 0 || asked >= f.pages() {
		t.Fatalf("%d segments stored after %d requests: the crawl was not under way", len(stored.Segments), asked)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := f.Restore(ctx, rig.NodeSpec{IP: f.ip(21), Keys: true}, ""); err != nil {
		t.Fatal(err)
	}
	for i := 22; i <= 23; i++ {
		f.join(rig.NodeSpec{IP: f.ip(i), Roles: "coordinator,worker", Keys: true})
	}
	f.join(rig.NodeSpec{Roles: "worker"})
	f.settled(time.Minute)
	s := f.finish("one", 4*time.Minute)
	dups, a := f.saved("one", s)
	by := a.ByURI()
	twice := 0
	for _, c := range stored.Captures {
		if c.Status == 200 && len(by[c.URI]) > 1 {
			twice++
		}
	}
	t.Logf("%d captures were stored when all was lost, after %d requests; %d of them were fetched again, %d pages are there twice", len(stored.Captures), asked, twice, dups)
	if twice > len(stored.Captures)/20 {
		t.Errorf("%d of %d captures that were stored were fetched again", twice, len(stored.Captures))
	}
}

// TestClusterRestoreKept: all coordinators and their disks are lost, but somebody
// has kept the authority: the worker that is left goes on with what it holds, and
// the admin's key is good.
func TestClusterRestoreKept(t *testing.T) {
	f := newFleet(t, shape{nodes: 3, hands: 1, hosts: 3, pages: size(700, 5000), args: []string{"--checkpoint-every", "3s"}})
	f.web.Delay(500 * time.Millisecond)
	f.crawl("one")
	f.reach(f.pages() / 2)
	backup := t.TempDir()
	for _, name := range []string{"ca.crt", "ca.key"} {
		copyFile(t, filepath.Join(f.Nodes[0].Dir, "identity", name), filepath.Join(backup, name))
	}
	f.burnt = true
	for _, n := range f.Nodes[:3] {
		n.Kill()
		if err := os.RemoveAll(n.Dir); err != nil {
			t.Fatal(err)
		}
	}
	asked := f.web.Count()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := f.Restore(ctx, rig.NodeSpec{Address: f.Nodes[0].Address, Keys: true}, backup); err != nil {
		t.Fatal(err)
	}
	for i := 22; i <= 23; i++ {
		f.join(rig.NodeSpec{IP: f.ip(i), Roles: "coordinator,worker", Keys: true})
	}
	f.settled(time.Minute)
	hand := f.Nodes[3]
	before := f.made(hand)
	eventuallySay(t, time.Minute, func() string { return "the worker that was left goes on" }, func() bool { return f.made(hand) > before })
	s := f.finish("one", 4*time.Minute)
	dups, _ := f.saved("one", s)
	if !hand.Running() {
		t.Error("the worker that was left ended")
	}
	t.Logf("%d requests before the loss, %d after, for %d pages; %d are there twice", asked, f.web.Count()-asked, f.pages(), dups)
}
