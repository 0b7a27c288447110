package fleet

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"salvor/api"
)

// TestOwes: what was stored is taken over for every crawl that was there before
// the cluster was brought back, once, whatever its state: one made after the
// oldest copy may have been known to another group.
func TestOwes(t *testing.T) {
	f := &Fleet{c: Config{Dir: t.TempDir()}}
	dir := filepath.Join(f.c.Dir, "1-one")
	at := time.Now().Add(-time.Hour)
	made := func(d time.Duration) api.Crawl { return api.Crawl{ID: 1, Name: "one", Created: at.Add(d).UnixMilli()} }
	if f.owes(made(-time.Hour), dir) {
		t.Error("a cluster that was not brought back owes")
	}
	if err := Carry(f.c.Dir, at); err != nil {
		t.Fatal(err)
	}
	for d, want := range map[time.Duration]bool{-time.Hour: true, 10 * time.Minute: true, 2 * time.Hour: false} {
		if f.owes(made(d), dir) != want {
			t.Errorf("a crawl made %s after the copy: owed is %t", d, !want)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, carriedFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f.owes(made(0), dir) {
		t.Error("it is owed twice")
	}
}
