// Package fleet is the worker role of a cluster's node: one crawler.Worker for
// each crawl that is running.
//
// It is for the command that runs a node. It asks the coordinators which crawls
// there are, and starts, changes, rests, drains and restarts a worker for each.
// It guarantees that one crawl's trouble never stops another; that what was
// captured is reported, whatever ended a worker: a lost session, a full disk, a
// kill; and that the node never asks over more connections than it was given,
// but for one for each crawl.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/time/rate"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/crawler/fetch"
	"salvor/storage"
	"salvor/storage/durable"
	"salvor/warc"
)

// Config says for whom a fleet works, and with what. Coordinator, Store, Dir and
// Node must be given.
type Config struct {
	Coordinator api.Coordinator
	Store       storage.Store // of the cluster; a crawl's archive lies below outfit.Prefix of its name
	// Direct says that the Store is a disk of this very machine: what is fsynced
	// in the open segment there is durable. Else captures are held until stored.
	Direct bool
	Dir    string // the node's worker directory; a fleet locks it
	// Node is the node's pseudonym: part of worker ids and of file names. Letters,
	// digits, - and _.
	Node        string
	Version     string        // of this program
	Connections int           // over all crawls; default 64
	MaxRate     float64       // requests a second over all crawls; 0 no bound
	MaxEgress   int64         // bytes received a second over all crawls; 0 no bound
	SpoolMax    int64         // bytes of segments that may wait for the Store; default 10 GB
	Poll        time.Duration // between looks at the list of crawls; default 2 s
	DrainFor    time.Duration // a clean stop takes at most as long; default 1 min
	// Drain, once closed, starts nothing more: what is under way is finished,
	// stored and settled, as far as DrainFor allows, and Run returns.
	Drain  <-chan struct{}
	Events func(Event) // hears what operators want to know; must not block; may be nil
	Logger *slog.Logger

	// Tests only.
	fs   warc.FS                                    // of spools
	free func(dir string) (bytes int64, known bool) // of a disk
	idle time.Duration                              // crawler.Hold.Idle
	wait time.Duration                              // before the first restart
}

// Event is something that happened once, for people.
type Event struct {
	At    time.Time
	Crawl string // its name; "" of the node
	Code  string // as a notice of `salvor save`: seed_moved, invalid_certificate, ...
	Host  string
	URL   string
	Text  string
	Error bool
}

func (c Config) withDefaults() (Config, error) {
	if c.Coordinator == nil || c.Store == nil || c.Dir == "" || c.Node == "" {
		return c, salvor.Errorf(salvor.Invalid, "fleet: a coordinator, a Store, a directory and a node's name are needed")
	}
	setDefault(&c.Connections, 64)
	setDefault(&c.SpoolMax, 10<<30)
	setDefault(&c.Poll, 2*time.Second)
	setDefault(&c.DrainFor, time.Minute)
	setDefault(&c.wait, firstWait)
	if c.Events == nil {
		c.Events = func(Event) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.free == nil {
		c.free = outfit.Free
	}
	return c, nil
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Fleet is all crews of a node.
type Fleet struct {
	c     Config
	hurry chan struct{} // look at the list of crawls now
	room  room
	all   *rate.Limiter // of all crawls' starts; nil none
	line  *fetch.Limit  // of what all crawls receive; nil none

	mu        sync.Mutex
	crews     map[salvor.CrawlID]*crew
	done      map[salvor.CrawlID]bool // of ended crawls nothing is left here
	past      Counters                // of crews that are no more
	away      error                   // why the list of crawls cannot be had
	told      bool                    // people were told
	awaySince time.Time
}

// New makes a fleet; Run starts it.
func New(c Config) (*Fleet, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	f := &Fleet{c: c, hurry: make(chan struct{}, 1), crews: map[salvor.CrawlID]*crew{}, done: map[salvor.CrawlID]bool{}}
	f.room.fleet = f
	f.line = fetch.NewLimit(c.MaxEgress)
	if c.MaxRate > 0 {
		f.all = rate.NewLimiter(rate.Limit(c.MaxRate), 1)
	}
	return f, nil
}

// Run works until ctx ends, which stops all at once and loses nothing that was
// acknowledged, or until Drain closes and all is finished. It returns an error
// only when it cannot begin.
func (f *Fleet) Run(ctx context.Context) error {
	lock, err := lockDir(f.c.Dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	working, stop := context.WithCancel(ctx)
	defer stop()
	var crews sync.WaitGroup
	f.watch(working, &crews)
	if ctx.Err() == nil { // Drain
		timer := time.AfterFunc(f.c.DrainFor, stop)
		defer timer.Stop()
		f.leave()
	}
	crews.Wait()
	return nil
}

// watch looks at the list of crawls until ctx or the fleet ends.
func (f *Fleet) watch(ctx context.Context, crews *sync.WaitGroup) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.c.Drain:
			return
		case <-timer.C:
		case <-f.hurry:
		}
		f.look(ctx, crews)
		timer.Reset(f.c.Poll)
	}
}

// tellAway is how long nobody may answer before it is told: an election is no
// news.
const tellAway = 5 * time.Second

// askFor is how long the list of crawls may take to come.
const askFor = 10 * time.Second

// look brings the crews in line with the list of crawls.
func (f *Fleet) look(ctx context.Context, crews *sync.WaitGroup) {
	asking, cancel := context.WithTimeout(ctx, askFor)
	crawls, err := f.c.Coordinator.Crawls(asking)
	cancel()
	if ctx.Err() != nil {
		return
	}
	f.answered(err)
	if err != nil { // the crews go on with what they have
		return
	}
	listed := map[salvor.CrawlID]bool{}
	for _, c := range crawls {
		listed[c.ID] = true
		f.meet(ctx, c, crews)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, c := range f.crews {
		if !listed[id] {
			c.order(dropping)
		}
	}
	f.share()
}

// answered tells, once, that no coordinator answers, and that one does again.
func (f *Fleet) answered(err error) {
	f.mu.Lock()
	f.away = err
	told := f.told
	if err == nil {
		f.awaySince = time.Time{}
	} else if f.awaySince.IsZero() {
		f.awaySince = time.Now()
	}
	f.told = err != nil && (told || time.Since(f.awaySince) >= tellAway)
	tell := f.told
	f.mu.Unlock()
	switch {
	case tell && !told:
		f.c.Events(Event{At: time.Now(), Code: "coordinator_away", Error: true, Text: fmt.Sprintf("the list of crawls cannot be had: %v", err)})
	case told && !tell:
		f.c.Events(Event{At: time.Now(), Code: "coordinator_back", Text: "the coordinators answer again"})
	}
}

// meet tells a crawl's crew of its newest state, and forms the crew if one is
// needed.
func (f *Fleet) meet(ctx context.Context, c api.Crawl, crews *sync.WaitGroup) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if crew := f.crews[c.ID]; crew != nil {
		crew.hear(c)
		return
	}
	dir := f.dirOf(c)
	switch {
	case c.State == salvor.CrawlDraft:
		return
	case c.State >= salvor.CrawlDeleting:
		f.forget(c, dir)
		return
	case c.State != salvor.CrawlRunning && (f.done[c.ID] || !leftovers(dir) && !f.owes(c, dir)):
		f.done[c.ID] = true
		return
	}
	delete(f.done, c.ID)
	crew := newCrew(f, c, dir)
	f.crews[c.ID] = crew
	crews.Go(func() {
		crew.live(ctx)
		f.retire(crew)
	})
}

// forget removes what is left here of a deleted crawl.
func (f *Fleet) forget(c api.Crawl, dir string) {
	if f.done[c.ID] {
		return
	}
	if err := os.RemoveAll(dir); err != nil {
		f.c.Events(Event{At: time.Now(), Crawl: c.Name, Code: "spool", Error: true, Text: fmt.Sprintf("remove %s: %v", dir, err)})
		return
	}
	f.done[c.ID] = true
}

// retire takes a crew out of the list; the next look forms another if its crawl
// goes on.
func (f *Fleet) retire(c *crew) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.past.add(c.counters())
	delete(f.crews, c.id)
	f.done[c.id] = c.wanted() == finishing // then nothing is left to do but if it runs again
}

// leave orders all crews to finish soon.
func (f *Fleet) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.crews {
		c.order(leaving)
	}
}

// dirOf is a crawl's directory. A name may come back when its crawl was deleted,
// a number never does.
func (f *Fleet) dirOf(c api.Crawl) string {
	return filepath.Join(f.c.Dir, fmt.Sprintf("%d-%s", c.ID, c.Name))
}

// lockDir makes the directory and locks it: a worker id must not be at work
// twice.
func lockDir(dir string) (*os.File, error) {
	if err := durable.MkdirAll(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "lock")
	l, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, durable.Error(err, "open", path)
	}
	err = syscall.Flock(int(l.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return l, nil
	}
	defer l.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, salvor.Errorf(salvor.Conflict, "%s is in use by another worker", dir).WithHint("give each worker of a machine a directory of its own")
	}
	return nil, durable.Error(err, "lock", dir)
}
