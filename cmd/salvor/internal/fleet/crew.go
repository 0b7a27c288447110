package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/crawler/scope"
)

// crew is what works for one crawl: a worker, and a new one when it fails.
type crew struct {
	f    *Fleet
	id   salvor.CrawlID
	name string
	dir  string
	kick chan struct{} // want, rules or share changed

	mu        sync.Mutex
	want      order
	crawl     api.Crawl
	spec      outfit.Spec
	scope     *scope.Scope
	area      *scope.Scope // of its seeds alone
	invalid   error        // why the crawl's settings cannot be used
	share     int          // of the node's connections
	state     state
	last      error // what ended the last worker, or troubles this one
	lastAt    time.Time
	refused   string // a segment that could not be stored, because the Store has another
	refusedAt time.Time
	why       string // nothing starts, and why
	tools     *tools // while a worker is at work
	settled   bool   // what its spool had was reported, or is held
	old       Counters
	meter     meter
	waiting   int64           // bytes of segments, as last seen
	lost      map[string]bool // targets of seeds that the scope could not take in
}

// order is what a crew is to do. A later one is never taken back for an earlier
// one, but for working and resting.
type order uint8

const (
	working   order = iota
	resting         // start nothing; the crawl goes on later
	finishing       // finish what is under way, store and settle all, and end
	leaving         // the same, as far as it goes soon: the node stops
	dropping        // the crawl was deleted: end at once, remove what is here
)

// state is what a crew is doing, as api.Work has it.
type state string

const (
	starting state = "starting"
	running  state = "running"
	paused   state = "paused"
	draining state = "draining"
	failed   state = "failed" // and will try again
)

func newCrew(f *Fleet, c api.Crawl, dir string) *crew {
	x := &crew{f: f, id: c.ID, name: c.Name, dir: dir, kick: make(chan struct{}, 1), state: starting, share: 1}
	x.hear(c)
	return x
}

// hear takes the newest state of the crawl.
func (c *crew) hear(n api.Crawl) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.take(n)
	c.orderLocked(orderOf(n.State))
}

func orderOf(s salvor.CrawlState) order {
	switch s {
	case salvor.CrawlRunning:
		return working
	case salvor.CrawlDraft, salvor.CrawlPaused:
		return resting
	case salvor.CrawlDeleting, salvor.CrawlDeleted:
		return dropping
	}
	return finishing
}

// take reads a crawl's settings, unless they are older than those in force. c.mu
// is held.
func (c *crew) take(n api.Crawl) {
	if c.scope != nil {
		older := n.Scope < c.crawl.Scope || n.Version < c.crawl.Version
		if older || n.Scope == c.crawl.Scope && string(n.Settings) == string(c.crawl.Settings) {
			return
		}
	}
	x, err := outfit.SpecOf(n)
	if err = firstError(outfit.CheckName(n.Name), err); err == nil {
		var s, area *scope.Scope
		if s, area, err = compile(&x); err == nil {
			c.crawl, c.spec, c.scope, c.area = n, x, s, area
		}
	}
	c.invalid = err
	c.poke()
}

// compile makes the scope of a Spec, and the area of its seeds.
func compile(x *outfit.Spec) (s, area *scope.Scope, err error) {
	if s, err = x.Compile(); err == nil {
		area, err = outfit.Area(x.Rules())
	}
	return s, area, err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *crew) order(o order) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.orderLocked(o)
}

func (c *crew) orderLocked(o order) {
	if c.want != o && (c.want <= resting || o > c.want) {
		c.want = o
		c.poke()
	}
}

func (c *crew) poke() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

func (c *crew) wanted() order {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.want
}

// wish is how many connections the crew can use, 0 none.
func (c *crew) wish() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.want != working || c.invalid != nil {
		return 0
	}
	return max(c.spec.Settings.Connections, 1)
}

func (c *crew) setShare(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.share != n {
		c.share = n
		c.poke()
	}
}

const (
	firstWait = 250 * time.Millisecond
	longWait  = 30 * time.Second
	// calm is how long a worker must have worked for its failure to be a new one.
	calm = time.Minute
)

// live runs workers until one ends by order, or ctx does.
func (c *crew) live(ctx context.Context) {
	for wait := c.f.c.wait; ctx.Err() == nil; {
		begun := time.Now()
		err := c.run(ctx)
		switch want := c.wanted(); {
		case want == dropping:
			c.remove()
			return
		case want == leaving, err == nil && want == finishing, ctx.Err() != nil:
			return
		case err == nil || errors.Is(err, errAnew):
			continue
		}
		c.failed(err)
		if time.Since(begun) > calm {
			wait = c.f.c.wait
		}
		c.pause(ctx, wait)
		wait = min(2*wait, longWait)
	}
}

// errAnew ends a worker whose settings changed in what it cannot change.
var errAnew = errors.New("the crawl's settings changed")

// failed tells of a worker's end that nobody ordered.
func (c *crew) failed(err error) {
	c.mu.Lock()
	news := c.last == nil || c.last.Error() != err.Error()
	c.state, c.last, c.lastAt = failed, err, time.Now()
	c.why = "the worker failed and is started again"
	if salvor.ClassOf(err) == salvor.Exhausted {
		c.why = "the disk is full"
	}
	c.old.Restarts++
	c.mu.Unlock()
	if news {
		c.tell("worker_failed", "", "", fmt.Sprintf("%v; it is started again", err), true)
	}
}

// pause waits, but not for an order to end.
func (c *crew) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-c.kick:
			if w := c.wanted(); w >= leaving {
				return
			}
		}
	}
}

// remove takes the directory of a deleted crawl away.
func (c *crew) remove() {
	if err := os.RemoveAll(c.dir); err != nil {
		c.tell("spool", "", "", fmt.Sprintf("remove %s: %v", c.dir, err), true)
	}
}

// tell tells people.
func (c *crew) tell(code, host, url, text string, bad bool) {
	c.f.c.Events(Event{At: time.Now(), Crawl: c.name, Code: code, Host: host, URL: url, Text: text, Error: bad})
}

// fixed are the settings that a worker at work cannot change.
func fixed(x outfit.Spec) outfit.Spec {
	s := &x.Settings
	s.PerOrigin, s.Connections, s.Deadline, s.DeadlineSpec, s.LimitURLs, s.LimitBytes, s.MaxRate = 0, 0, time.Time{}, "", 0, 0, 0
	s.Scope, s.MaxHops, s.ExtraHops, s.Include, s.Exclude, s.ExcludeFrom, s.ExcludeFiles = "", 0, 0, nil, nil, nil, nil
	s.ExcludeSets, s.PageRequisites = nil, false
	s.ValueRules, s.ValueFiles, s.ValueRecipe = nil, nil, ""
	x.Version, x.Seeds, x.Named, x.Moves, x.Excludes, x.Addresses, x.Rescanned = 0, nil, 0, nil, nil, nil, 0
	x.Values, x.SeedValues, x.Valued, x.Ranked = nil, nil, 0, 0
	return x
}

// sameOutfit reports whether a worker that began with a can go on with b.
func sameOutfit(a, b outfit.Spec) bool { return reflect.DeepEqual(fixed(a), fixed(b)) }
