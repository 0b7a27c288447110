package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
