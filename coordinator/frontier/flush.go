package frontier

import (
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// flushes lets a flush fail. Pebble tries one that failed again and again for
// as long as it is open, and whoever waits for it waits on: on a full disk, for
// ever. Here the first failure after its begin ends the wait; what was not
// flushed is still in the log.
type flushes struct {
	mu     sync.Mutex
	failed chan struct{} // closed and replaced at each failure
	err    error         // the last one
}

// listen makes Pebble tell its failures.
func (f *flushes) listen(o *pebble.Options) {
	f.failed = make(chan struct{})
	o.EventListener = &pebble.EventListener{BackgroundError: f.fail}
}

func (f *flushes) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	close(f.failed)
	f.failed = make(chan struct{})
}

func (f *flushes) run(db *pebble.DB) error {
	f.mu.Lock()
	failed := f.failed
	f.mu.Unlock()
	done, err := db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-failed:
		f.mu.Lock()
		defer f.mu.Unlock()
		return fmt.Errorf("flush state: %w", f.err)
	}
}
