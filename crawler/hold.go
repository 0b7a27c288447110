package crawler

import (
	"context"
	"fmt"
	"sync"
	"time"

	"salvor"
	"salvor/api"
	"salvor/warc"
)

// Hold is how captures wait for a Store on another machine: an item settles
// only when its segment is there (protocol 5). Until then it stays held by the
// session, without pace, however long the Store is away. The zero value is for
// a Store on a disk of this machine: what is fsynced settles at once.
type Hold struct {
	On       bool
	MaxItems int          // captures that may wait; more, and nothing starts; default 250,000
	MaxSpool int64        // bytes of segments that may wait; 0 no bound
	Room     func() error // why nothing may start now, such as a full disk; nil: there is room. It counts where On is false, too
	// Idle: when nothing was asked of any server for so long, open segments go
	// to the Store, or the last captures would wait for their age; default 5 s.
	Idle time.Duration
}

const (
	holdItems = 250_000
	// holdEvery is how often the Store's progress is looked at.
	holdEvery = 100 * time.Millisecond
	holdIdle  = 5 * time.Second
)

// held is a capture that waits for its segment.
type held struct {
	entry    api.Entry
	receipt  warc.Receipt
	original *warc.Original
	lease    *lease // nil: captured by an earlier run
	host     *hostQueue
	counted  bool
}

func heldOf(f finished) held {
	return held{entry: f.entry, receipt: *f.receipt, original: f.original, lease: f.task.lease, host: f.task.host, counted: f.task.counted}
}

// finished is what is left of it to report.
func (h *held) finished() finished {
	t := task{lease: h.lease, host: h.host, counted: h.counted}
	t.Key = h.entry.Key
	return finished{task: t, entry: h.entry, receipt: &h.receipt, original: h.original}
}

// shelf is all that a worker holds, by segment.
type shelf struct {
	Hold
	mu    sync.Mutex
	items map[salvor.SegmentID][]held
	logs  map[salvor.SegmentID]int64 // where crawl.log has the first of them, or before
	n     int
	full  string        // why nothing may start; "" it may
	ended chan struct{} // nobody settles any more

	requests int64     // as last seen
	heldOn   time.Time // when earlier runs' captures were held last
	quiet    time.Time // since when nothing was asked of any server
}

func newShelf(h Hold) *shelf {
	if h.MaxItems <= 0 {
		h.MaxItems = holdItems
	}
	if h.Idle <= 0 {
		h.Idle = holdIdle
	}
	return &shelf{Hold: h, items: map[salvor.SegmentID][]held{}, logs: map[salvor.SegmentID]int64{}, heldOn: time.Now(), ended: make(chan struct{})}
}

// keep takes what must wait out of a batch, whose lines stand in crawl.log from
// log on, and returns the rest.
func (s *shelf) keep(batch []finished, log int64) (rest []finished) {
	if !s.On {
		return batch
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rest = batch[:0]
	for _, f := range batch {
		if !f.waits() {
			rest = append(rest, f)
			continue
		}
		if f.robots != nil { // the pages it rules need not wait
			rest = append(rest, finished{robots: f.robots, entry: f.entry.Held()})
		}
		s.put(f, log)
	}
	return rest
}

func (s *shelf) put(f finished, log int64) {
	id := f.receipt.Ticket.Segment
	if len(s.items[id]) == 0 {
		s.logs[id] = log
	}
	s.items[id] = append(s.items[id], heldOf(f))
	s.n++
}

// foreign are the captures of earlier runs.
func (s *shelf) foreign() (entries []api.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, hs := range s.items {
		for i := range hs {
			if hs[i].lease == nil {
				entries = append(entries, hs[i].entry)
			}
		}
	}
	return entries
}

// LogMark is where crawl.log begins to tell of what is not reported yet, given
// where it ends.
func (w *Worker) LogMark(end int64) int64 {
	w.shelf.mu.Lock()
	defer w.shelf.mu.Unlock()
	for _, at := range w.shelf.logs {
		end = min(end, at)
	}
	return end
}

// waits reports whether an attempt's outcome cites bytes.
func (f *finished) waits() bool {
	return f.receipt != nil && f.entry.Verb == api.VerbSettle
}

// take removes at most limit captures whose segment is stored.
func (s *shelf) take(limit int, stored func(salvor.SegmentID) bool) (out []finished) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, hs := range s.items {
		if !stored(id) {
			continue
		}
		n := min(limit-len(out), len(hs))
		for i := range hs[:n] {
			out = append(out, hs[i].finished())
		}
		if s.n -= n; n == len(hs) {
			delete(s.items, id)
			delete(s.logs, id)
		} else {
			s.items[id] = hs[n:]
		}
		if len(out) == limit {
			break
		}
	}
	return out
}

// putBack keeps what could not be settled.
func (s *shelf) putBack(batch []finished) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range batch {
		s.put(f, 0)
	}
}

func (s *shelf) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// Held is how many captures wait for the Store, and why nothing may start
// meanwhile; "" it may.
func (w *Worker) Held() (n int, full string) {
	w.shelf.mu.Lock()
	defer w.shelf.mu.Unlock()
	return w.shelf.n, w.shelf.full
}

// settleStored reports what reached the Store, and looks after the room there
// is, until ctx ends.
func (w *Worker) settleStored(ctx context.Context) error {
	defer close(w.shelf.ended)
	if !w.shelf.On && w.shelf.Room == nil {
		return nil
	}
	tick := time.NewTicker(holdEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := w.settleNow(ctx); err != nil {
			return stopped(ctx, err)
		}
		if err := w.tend(ctx, time.Now()); err != nil {
			return stopped(ctx, err)
		}
	}
}

// settleNow reports all that is in the Store now.
func (w *Worker) settleNow(ctx context.Context) error {
	for {
		batch := w.shelf.take(commitBatch, w.c.Pool.Stored)
		if len(batch) == 0 {
			return nil
		}
		if err := w.settle(ctx, batch); err != nil {
			w.shelf.putBack(batch)
			return err
		}
		if err := w.released(ctx, batch); err != nil {
			return err
		}
	}
}

// tend stops the intake before the spool overflows, lets it go on when there
// is room again, and sends open segments on their way when nothing else is.
func (w *Worker) tend(ctx context.Context, at time.Time) error {
	s := w.shelf
	why := s.crowded(w.c.Pool.Spooled())
	s.mu.Lock()
	was, held := s.full, s.n
	s.full = why
	s.mu.Unlock()
	w.sched.stall(why != "")
	if why != "" && was == "" {
		w.tell("spool_full", why+": nothing new is fetched until "+s.relief())
	}
	if at.Sub(s.heldOn) >= holdAgain {
		s.heldOn = at
		if err := w.holdOn(ctx, s.foreign()); err != nil {
			return err
		}
	}
	idle := s.idle(at, w.stats.requests.Load(), w.stats.busy.Load())
	if held > 0 && (idle || why != "" && was == "") {
		return w.c.Pool.Rotate(ctx)
	}
	return nil
}

// tell tells the operator of something that is no host's affair.
func (w *Worker) tell(code, text string) {
	if w.c.Notice != nil {
		w.c.Notice(code, "", "", text)
	}
}

// crowded says why nothing may start. Once it does, four fifths must be
// reached again: a crawl that stops and starts at the brim gets nowhere.
func (s *shelf) crowded(spooled int64) string {
	s.mu.Lock()
	n, was := int64(s.n), s.full != ""
	s.mu.Unlock()
	limit := func(most int64) int64 {
		if was {
			return most / 5 * 4
		}
		return most
	}
	switch {
	case n >= limit(int64(s.MaxItems)):
		return fmt.Sprintf("%d captures wait for the Store", n)
	case s.MaxSpool > 0 && spooled >= limit(s.MaxSpool):
		return fmt.Sprintf("%d MB of segments wait for the Store", spooled>>20)
	}
	if s.Room != nil {
		if err := s.Room(); err != nil {
			return err.Error()
		}
	}
	return ""
}

// relief is what makes room again.
func (s *shelf) relief() string {
	if s.On {
		return "segments have reached the Store"
	}
	return "there is room again"
}

// idle reports whether no server was asked anything for a while.
func (s *shelf) idle(at time.Time, requests, busy int64) bool {
	if requests != s.requests || busy > 0 || s.quiet.IsZero() {
		s.requests, s.quiet = requests, at
	}
	return at.Sub(s.quiet) >= s.Idle
}

// empty waits until nothing is held any more: what a drain ends with. While the
// Store is away it waits; ctx or Leave ends that, and the next run reports the
// rest.
func (w *Worker) empty(ctx context.Context) error {
	for w.shelf.len() > 0 {
		if err := w.c.Pool.Rotate(ctx); err != nil {
			return stopped(ctx, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.shelf.ended: // it failed, and Run says so
			return nil
		case <-w.left.Done():
			return nil
		case <-time.After(holdEvery):
		}
	}
	return nil
}
