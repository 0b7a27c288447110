package server

import (
	"context"
	"testing"

	"salvor"
	"salvor/api"
	"salvor/coordinator"
)

// copyOf is a group as it was at the moment of its copy.
func copyOf(t *testing.T, crawls ...api.Crawl) *coordinator.Group {
	t.Helper()
	g, err := coordinator.Start(t.Context(), coordinator.Config{Dir: t.TempDir(), CacheBytes: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close(context.Background()) })
	for _, c := range crawls {
		if err := g.AdoptCrawl(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func crawlOf(id salvor.CrawlID, name string, version uint64, scope uint32) api.Crawl {
	return api.Crawl{ID: id, Name: name, State: salvor.CrawlRunning, HashKey: salvor.HashKey{byte(id)}, Version: version, Scope: scope}
}

// TestUnite: copies of groups are of different moments. What one of them is too
// old to know must not be given away again.
func TestUnite(t *testing.T) {
	ended := crawlOf(3, "ended", 4, 1)
	ended.State = salvor.CrawlFinished
	source := copyOf(t, crawlOf(1, "one", 3, 2), crawlOf(2, "two", 2, 1))
	later := copyOf(t, crawlOf(1, "one", 7, 5), ended)
	groups := []api.Group{source, later}
	if err := unite(t.Context(), groups); err != nil {
		t.Fatal(err)
	}
	got := map[salvor.CrawlID]api.Crawl{}
	all, err := source.Crawls(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		got[c.ID] = c
	}
	if c := got[1]; c.Version <= 7 || c.Scope <= 5 {
		t.Errorf("crawl 1 is at version %d and scope %d, and was at 7 and 5", c.Version, c.Scope)
	}
	if c := got[2]; c.Version <= 2 || c.Name != "two" {
		t.Errorf("crawl 2: %+v", c)
	}
	if c := got[3]; c.Name != "ended" || c.State != salvor.CrawlRunning {
		t.Errorf("crawl 3, which group 0 did not know: %+v", c)
	}
	for _, c := range all {
		if err := later.AdoptCrawl(t.Context(), c); err != nil {
			t.Errorf("the other group does not take crawl %d: %v", c.ID, err)
		}
	}
	c, err := later.Crawl(t.Context(), 1)
	if err != nil || c.Version != got[1].Version {
		t.Errorf("the other group has version %d: %v", c.Version, err)
	}
	// A crawl made now gets a number nobody had.
	made, err := source.CreateCrawl(t.Context(), api.Crawl{Name: "new", State: salvor.CrawlRunning, Scope: 1})
	if err != nil || made.ID != 4 {
		t.Fatalf("%+v: %v", made, err)
	}
	if err := later.AdoptCrawl(t.Context(), made); err != nil {
		t.Errorf("the new crawl: %v", err)
	}
	if err := unite(t.Context(), groups); err != nil { // again, after a crash
		t.Error(err)
	}
}
