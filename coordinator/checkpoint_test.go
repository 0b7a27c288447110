package coordinator

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"salvor"
	"salvor/api"
)

// TestCheckpoint: a copy of a node opens elsewhere with all it had, goes on,
// and survives being closed and opened again.
func TestCheckpoint(t *testing.T) {
	ctx := t.Context()
	n, err := Start(ctx, Config{Dir: filepath.Join(t.TempDir(), "a")})
	if err != nil {
		t.Fatal(err)
	}
	c, err := n.CreateCrawl(ctx, api.Crawl{Name: "x", State: salvor.CrawlRunning, Scope: 1})
	if err != nil {
		t.Fatal(err)
	}
	offer := func(n *Group, from, to int) {
		t.Helper()
		d := api.Discovery{Crawl: c.ID, Scope: 1}
		for i := from; i < to; i++ {
			it := salvor.Item{Crawl: c.ID, Host: "h", Origin: "http://h", URL: fmt.Sprintf("http://h/%d", i), Class: salvor.ClassSeed, Band: salvor.BandSeed}
			if i == from {
				it.URL, it.Class, it.Band = "http://h/robots.txt", salvor.ClassRobots, salvor.BandRobots
			}
			it.Key = salvor.ItemKey(c.HashKey, "", it.URL, nil)
			d.Items = append(d.Items, api.Offer{Item: it})
		}
		if _, err := n.Discover(ctx, api.Call{}, d); err != nil {
			t.Fatal(err)
		}
	}
	accepted := func(n *Group) int64 {
		t.Helper()
		t2, err := n.Totals(ctx, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		return t2.Accepted
	}
	offer(n, 0, 500)
	var copied bytes.Buffer
	if err := n.Checkpoint(ctx, &copied); err != nil {
		t.Fatal(err)
	}
	offer(n, 500, 600) // known to the old node only
	if err := n.Close(ctx); err != nil {
		t.Fatal(err)
	}

	dir := filepath.Join(t.TempDir(), "b")
	if err := Restore(dir, bytes.NewReader(copied.Bytes()[:copied.Len()/2])); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("half a checkpoint: %v", err)
	}
	if err := Restore(dir, bytes.NewReader(copied.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := Restore(dir, bytes.NewReader(copied.Bytes())); salvor.ClassOf(err) != salvor.Conflict {
		t.Errorf("restored over a node: %v", err)
	}
	for round := range 3 {
		m, err := Start(ctx, Config{Dir: dir})
		if err != nil {
			t.Fatal(round, err)
		}
		want := int64(500 + 100*round)
		if got := accepted(m); got != want {
			t.Errorf("round %d: %d accepted, not %d", round, got, want)
		}
		offer(m, 1000*(round+1), 1000*(round+1)+101) // robots.txt is known
		if err := m.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
}
