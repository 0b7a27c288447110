package rescue

import (
	"fmt"

	"golang.org/x/sys/unix"

	"salvor"
	"salvor/cmd/salvor/internal/job"
)

const (
	// lowWater is the free space at which a crawl stops early and cleanly:
	// what is under way, the frontier's log, the indexes and the report
	// still fit.
	lowWater = 64 << 20
	// looksAhead is how many looks' worth of bytes must fit beside that: at
	// hundreds of MB a second a disk fills between two looks.
	looksAhead = 3
)

// roomLeft is an error of class Exhausted when the archive's disk is nearly
// full: when less than the low water and soon is free. A file system that does
// not tell is taken to have room.
func (r *rescue) roomLeft(soon int64) error {
	free, known := r.free()
	need := lowWater + soon
	if !known || free >= need {
		return nil
	}
	return salvor.Errorf(salvor.Exhausted, "only %d MB are free on the disk of %s", free>>20, r.job.Dir.Path()).
		WithHint("make room (%d MB at least) and run the same command again: it goes on where it stopped", need>>20)
}

// free is how many bytes the archive's disk has left for this user.
func (r *rescue) free() (bytes int64, known bool) {
	var st unix.Statfs_t
	err := unix.Statfs(r.job.Dir.Path(), &st)
	return int64(st.Bavail) * int64(st.Bsize), err == nil
}

// spoolMax is what the spool may grow to before a crawl stops for want of
// room; 0 unknown.
func (r *rescue) spoolMax(spooled int64) int64 {
	free, known := r.free()
	if !known {
		return 0
	}
	return spooled + max(free-lowWater, 0)
}

// checkRoom looks at the disk, and drains when it is nearly full. bytes is what
// was captured so far.
func (w *watch) checkRoom(bytes int64) {
	grown := bytes - w.bytes
	w.bytes = bytes
	if err := w.roomLeft(looksAhead * max(grown, 0)); err != nil {
		w.detail = fmt.Sprintf("%v; %s", err, salvor.HintOf(err))
		w.drain(job.NoSpace)
	}
}
