package rescue

import (
	"fmt"

	"salvor"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/outfit"
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
func (r *rescue) free() (bytes int64, known bool) { return outfit.Free(r.job.Dir.Path()) }

// spoolMax is what the spool may grow to before a crawl stops for want of
// room; 0 unknown.
func (r *rescue) spoolMax(spooled int64) int64 {
	free, known := r.free()
	if r.elsewhere() {
		return r.job.Settings.SpoolMax
	}
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
	if w.elsewhere() {
		w.checkSpool()
		return
	}
	if err := w.roomLeft(looksAhead * max(grown, 0)); err != nil {
		w.detail = fmt.Sprintf("%v; %s", err, salvor.HintOf(err))
		w.drain(job.NoSpace)
	}
}

const (
	// spoolWater is the free space of the spool's disk below which nothing new
	// is fetched, where segments leave for a Store elsewhere: what is under way
	// and the seals still fit.
	spoolWater = 32 << 20
	// stateWater is what the state needs to be closed.
	stateWater = 16 << 20
)

// spoolRoom is an error while the spool's disk is nearly full. Segments that
// reach the Store make room again.
func (r *rescue) spoolRoom() error {
	if free, known := outfit.Free(r.job.Dir.Spool()); known && free < spoolWater {
		return salvor.Errorf(salvor.Exhausted, "only %d MB are free on the spool's disk", free>>20)
	}
	return nil
}

// checkSpool drains when there is no room and nothing that could make some.
func (w *watch) checkSpool() {
	held, full := w.worker.Held()
	free, known := w.free()
	switch {
	case known && free < stateWater:
		w.detail = fmt.Sprintf("only %d MB are free on the disk of %s; make room and run the same command again", free>>20, w.job.Dir.Path())
	case full != "" && held == 0 && w.pool.Spooled() == 0:
		w.detail = full + ", and nothing in the spool could make room; make some and run the same command again"
	default:
		return
	}
	w.drain(job.NoSpace)
}
