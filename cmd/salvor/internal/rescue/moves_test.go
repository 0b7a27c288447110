package rescue

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/job"
)

// TestManySeedsMove: thousands of seeds that redirect to other hosts cost what
// they cost once, and a kill loses none.
func TestManySeedsMove(t *testing.T) {
	const n = 4000
	dir := filepath.Join(t.TempDir(), "archive")
	j := testJob(t, dir, "http://a.test/")
	for i := range n {
		j.Seeds = append(j.Seeds, job.Seed{URL: fmt.Sprintf("http://s%d.test/", i)})
	}
	r, err := open(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(j.Dir.State(memoryFile))
	if err != nil {
		t.Fatal(err)
	}
	compiled, last := 0, r.compiled
	begin := time.Now()
	for i := range n {
		if _, _, err := r.seedMoved(t.Context(), fmt.Sprintf("http://s%d.test/", i), fmt.Sprintf("http://t%d.test/", i)); err != nil {
			t.Fatal(err)
		}
		if r.compiled != last {
			compiled, last = compiled+1, r.compiled
		}
	}
	t.Logf("%d moves in %v, %d scopes", n, time.Since(begin), compiled)
	if compiled > n/10 {
		t.Errorf("%d scopes were compiled for %d moves", compiled, n)
	}
	if now, err := os.ReadFile(j.Dir.State(memoryFile)); err != nil || string(now) != string(before) {
		t.Errorf("what a resume must know was written as often as seeds moved (%v)", err)
	}
	if err := r.scopeMoves(true); err != nil {
		t.Fatal(err)
	}
	belongs(t, r, "http://t3999.test/x")

	// As a process does that is killed in the middle of a line.
	f, err := os.OpenFile(j.Dir.State(movesFile), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, `{"from":"http://a.t`)
	f.Close()
	if err := r.close(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	j.Dir.Close()
	again := testJob(t, dir, "http://a.test/")
	again.Seeds = j.Seeds
	r = opened(t, again)
	if len(r.moves.list) != n || !r.memory.Widened {
		t.Errorf("%d moves are known, widened %v", len(r.moves.list), r.memory.Widened)
	}
	if r.crawl.Scope != 1 {
		t.Errorf("scope version %d: nobody asked for another scope", r.crawl.Scope)
	}
	belongs(t, r, "http://t3999.test/x")
	if _, _, err := r.seedMoved(t.Context(), "http://a.test/", "http://u.test/"); err != nil {
		t.Fatal(err)
	}
	if known, err := readMoves(r.job.Dir); err != nil || len(known) != n+1 || known[n].To != "http://u.test/" {
		t.Errorf("%d moves on disk, %v", len(known), err)
	}
}

func belongs(t *testing.T, r *rescue, url string) {
	t.Helper()
	s, _ := r.rules()
	if d := s.Recheck(salvor.Item{URL: url, Class: salvor.ClassPage}); !d.In {
		t.Errorf("%s: %+v", url, d)
	}
}

// TestMovesOfOlderArchives: they were kept with everything else.
func TestMovesOfOlderArchives(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "archive")
	j := testJob(t, dir, "http://a.test/")
	if err := (&memory{Moved: []move{{From: "http://a.test/", To: "http://b.test/"}}}).save(j.Dir); err != nil {
		t.Fatal(err)
	}
	r := opened(t, j)
	belongs(t, r, "http://b.test/x")
	if known, err := readMoves(r.job.Dir); err != nil || len(known) != 1 || r.memory.Moved != nil {
		t.Errorf("on disk %v, %v; left behind %v", known, err, r.memory.Moved)
	}
}
