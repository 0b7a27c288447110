package fleet

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"salvor"
)

const (
	// lowWater is the free space of the worker's disk below which nothing new is
	// fetched: what is under way, seals and indexes still fit.
	lowWater = 64 << 20
	// roomEvery is how old an answer about room may be: it is asked before each
	// request.
	roomEvery = 50 * time.Millisecond
)

// room says whether there is any for more captures, on the disk and in the
// spools of all crawls together.
type room struct {
	fleet *Fleet

	mu   sync.Mutex
	at   time.Time
	err  error
	full bool // the spools are
}

// left is why nothing may start now; nil: there is room.
func (r *room) left() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() && time.Since(r.at) < roomEvery {
		return r.err
	}
	r.at, r.err = time.Now(), r.look()
	return r.err
}

func (r *room) look() error {
	f := r.fleet
	if free, known := f.c.free(f.c.Dir); known && free < lowWater {
		return salvor.Errorf(salvor.Exhausted, "only %d MB are free on the disk of %s", free>>20, f.c.Dir)
	}
	if f.c.Direct {
		return nil
	}
	// Once full, four fifths must be reached again: to stop and start at the
	// brim gets nowhere.
	limit, spooled := f.c.SpoolMax, f.spooled()
	if r.full {
		limit = limit / 5 * 4
	}
	if r.full = spooled >= limit; r.full {
		return salvor.Errorf(salvor.Exhausted, "%d MB of segments wait for the Store", spooled>>20)
	}
	return nil
}

// leftovers reports whether a crawl's directory holds captures of an earlier run.
func leftovers(dir string) bool {
	entries, err := os.ReadDir(filepath.Join(dir, segmentsDir))
	if err != nil {
		return false // there is none
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), ".warc.gz") && !strings.HasSuffix(e.Name(), ".lost") {
			return true
		}
	}
	return false
}
