package rescue

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"salvor"
	"salvor/cmd/salvor/internal/job"
)

const (
	// lowWater is the free space at which a crawl stops early and cleanly:
	// what is under way, the frontier's log, the indexes and the report
	// still fit (architecture 5.6).
	lowWater = 64 << 20
	// spaceEvery is how often the disk is asked.
	spaceEvery = time.Second
)

// roomLeft is an error of class Exhausted when the archive's disk is nearly
// full. A file system that does not tell is taken to have room.
func (r *rescue) roomLeft() error {
	var st unix.Statfs_t
	if err := unix.Statfs(r.job.Dir.Path(), &st); err != nil {
		return nil
	}
	free := int64(st.Bavail) * st.Bsize
	if free >= lowWater {
		return nil
	}
	return salvor.Errorf(salvor.Exhausted, "only %d MB are free on the disk of %s", free>>20, r.job.Dir.Path()).
		WithHint("make room (%d MB at least) and run the same command again: it goes on where it stopped", lowWater>>20)
}

// checkRoom looks at the disk once a second, and drains when it is nearly full.
func (w *watch) checkRoom() {
	if time.Since(w.roomAt) < spaceEvery {
		return
	}
	w.roomAt = time.Now()
	if err := w.roomLeft(); err != nil {
		w.detail = fmt.Sprintf("%v; %s", err, salvor.HintOf(err))
		w.drain(job.NoSpace)
	}
}
