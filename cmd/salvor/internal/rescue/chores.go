package rescue

import (
	"context"
	"sync"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/progress"
)

// chore is what a changed scope leaves to be done with all that is known
// already. It may take long, so it is done beside the crawl.
type chore uint8

const (
	sweeping    chore = iota // settle what is queued and falls out
	ranking                  // put what is queued in the place of its value
	readmitting              // queue what was excluded and belongs again
	rescanning               // judge the links of all stored pages
	numChores
	noChore = numChores
)

// phaseOf is what the operator is told meanwhile.
var phaseOf = [numChores]progress.Phase{sweeping: progress.Sweeping, ranking: progress.Sweeping, readmitting: progress.Sweeping, rescanning: progress.Rescanning}

// chores are those asked for; one goroutine does them, one at a time. A chore
// that is asked for twice before it began is done once.
type chores struct {
	wake chan struct{}

	mu  sync.Mutex
	due [numChores]bool
	now chore
}

func newChores() *chores { return &chores{wake: make(chan struct{}, 1), now: noChore} }

func (c *chores) ask(x chore) {
	c.mu.Lock()
	c.due[x] = true
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// begin takes the first chore that is due.
func (c *chores) begin() (chore, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for x := range numChores {
		if c.due[x] {
			c.due[x], c.now = false, x
			return x, true
		}
	}
	return noChore, false
}

func (c *chores) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = noChore
}

// idle reports whether nothing is due or under way.
func (c *chores) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now == noChore && c.due == [numChores]bool{}
}

// phase is that of the chore under way, if there is one.
func (c *chores) phase() (progress.Phase, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now == noChore {
		return "", false
	}
	return phaseOf[c.now], true
}

// askChores asks for what an earlier run or this one's settings left to do.
func (r *rescue) askChores() {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := &r.memory
	for x, due := range [numChores]bool{sweeping: m.Narrowed, ranking: m.Unranked, readmitting: m.Loosened || m.Widened, rescanning: m.Widened} {
		if due {
			r.chores.ask(chore(x))
		}
	}
}

// doChores does what is asked for until ctx ends. What it did not finish then
// is remembered as due, and the next run does it. It closes swept once what was
// queued when it began is judged: what the worker has leased by then it must
// leave to the worker.
func (r *rescue) doChores(ctx context.Context, swept chan<- struct{}) error {
	var once sync.Once
	ready := func() { once.Do(func() { close(swept) }) }
	defer ready()
	do := [numChores]func(context.Context) error{sweeping: r.sweep, ranking: r.rank, readmitting: r.readmit, rescanning: r.rescan}
	for ctx.Err() == nil {
		x, ok := r.chores.begin()
		if x != sweeping {
			ready()
		}
		if !ok {
			select {
			case <-ctx.Done():
			case <-r.chores.wake:
			}
			continue
		}
		err := do[x](ctx)
		r.chores.end()
		if r.elsewhere() && salvor.ClassOf(err) == salvor.Unavailable {
			r.again(ctx, x)
			continue
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// again asks for a chore later: what it reads lies in a Store that is away.
func (r *rescue) again(ctx context.Context, x chore) {
	select {
	case <-ctx.Done():
	case <-time.After(choreLater):
	}
	r.chores.ask(x)
}

const choreLater = 10 * time.Second
