package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDirectoryInTheWay: a worker that cannot open its tools says so, and works
// once it can.
func TestDirectoryInTheWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pages)
	id := w.crawl("one", nil)
	c := w.config("ant")
	stone := filepath.Join(c.Dir, fmt.Sprintf("%d-one", id), segmentsDir)
	if err := os.MkdirAll(filepath.Dir(stone), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stone, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r := w.run(c)
	w.until("the failure is told", func() bool { return len(w.told("worker_failed")) > 0 })
	if text := w.told("worker_failed")[0]; !strings.Contains(text, stone) {
		t.Errorf("%q does not name %s", text, stone)
	}
	if err := os.Remove(stone); err != nil {
		t.Fatal(err)
	}
	w.finish(id)
	r.gone()
	r.stop()
	w.whole(id, "one", pages+1)
}

func TestSealAge(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	for left, want := range map[time.Duration]time.Duration{
		31 * time.Minute: 0, 30 * time.Minute: 3 * time.Minute, 5 * time.Minute: 30 * time.Second, 20 * time.Second: 5 * time.Second, -time.Minute: 5 * time.Second,
	} {
		if got := sealAge(at.Add(left), at); got != want {
			t.Errorf("%v before the deadline a segment is sealed at %v, want %v", left, got, want)
		}
	}
	if got := sealAge(time.Time{}, at); got != 0 {
		t.Errorf("without a deadline at %v", got)
	}
}
