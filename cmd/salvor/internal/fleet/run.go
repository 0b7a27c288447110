package fleet

import (
	"context"
	"fmt"
	"time"

	"salvor/api"
)

const (
	// tickEvery is how often a worker at work is looked at.
	tickEvery = 250 * time.Millisecond
	// cutAfter is how long what is under way may go on after a drain.
	cutAfter = 20 * time.Second
)

// shift is one worker at work.
type shift struct {
	*tools
	ctx      context.Context
	stop     context.CancelFunc
	obeyed   order
	drained  time.Time // zero: not
	anew     bool      // it ends because its settings changed
	limitsAt time.Time
	limited  string // a limit that was reached
	ranked   uint32 // the value rules by which what is leased was chosen
}

// run is one worker's life. It returns nil when it ended by order and all is
// stored and settled.
func (c *crew) run(ctx context.Context) error {
	c.become(starting, "")
	t, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer c.detach(t)
	working, stop := context.WithCancel(ctx)
	defer stop()
	s := &shift{tools: t, ctx: working, stop: stop, ranked: t.spec.Ranked}
	c.attach(t)
	ended := make(chan error, 1)
	go func() { ended <- t.worker.Run(working) }()
	err = s.until(ended)
	if s.anew && err == nil {
		return errAnew
	}
	return firstError(err, s.settle(ctx))
}

// until looks after the worker until it ended.
func (s *shift) until(ended <-chan error) error {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	s.obey()
	for {
		select {
		case err := <-ended:
			return err
		case <-s.crew.kick:
			s.obey()
		case at := <-tick.C:
			s.tend(at)
		}
	}
}

// obey brings the worker in line with what is wanted now.
func (s *shift) obey() {
	c := s.crew
	c.mu.Lock()
	want, crawl, spec, rules, share := c.want, c.crawl, c.spec, c.scope, c.share
	c.mu.Unlock()
	s.worker.SetConnections(share)
	s.worker.SetPerOrigin(spec.Settings.PerOrigin)
	s.client.SetPerOrigin(spec.Settings.PerOrigin)
	s.worker.SetScope(rules, crawl.Scope)
	s.known.Set(spec.LastKnown())
	if spec.Ranked > s.ranked { // what is worth most now may be elsewhere in the queue
		s.ranked = spec.Ranked
		s.worker.Rest()
	}
	if !s.anew && !sameOutfit(s.spec, spec) {
		s.anew = true
		s.drain()
		s.worker.Leave()
	}
	s.obeyed = want
	switch want {
	case finishing, leaving:
		s.drain()
	case dropping:
		s.stop()
	}
	s.rest()
}

// drain starts nothing more.
func (s *shift) drain() {
	if s.drained.IsZero() {
		s.drained = time.Now()
		s.worker.Drain()
	}
}

// rest stops all starts while there is a reason to, and gives back what is
// leased.
func (s *shift) rest() {
	why := s.reason(time.Now())
	s.worker.Pause(why != "")
	if why != "" {
		s.worker.Rest()
	}
	st := running
	switch {
	case !s.drained.IsZero():
		st = draining
	case why != "":
		st = paused
	}
	switch held, full := s.worker.Held(); {
	case full != "" && why == "":
		why = full
	case st == draining && held > 0:
		why = fmt.Sprintf("%d captures wait for the Store", held)
	}
	s.crew.become(st, why)
}

// reason is why nothing may start; "" it may.
func (s *shift) reason(at time.Time) string {
	c := s.crew
	c.mu.Lock()
	deadline, bad := c.spec.Settings.Deadline, c.invalid
	c.mu.Unlock()
	switch {
	case bad != nil:
		return bad.Error()
	case s.obeyed == resting:
		return "the crawl is paused"
	case !deadline.IsZero() && !at.Before(deadline):
		return "the deadline has passed"
	}
	return s.limited
}

// limitsEvery is how often the crawl's counters are compared with its limits.
const limitsEvery = time.Second

// tend looks at a worker at work.
func (s *shift) tend(at time.Time) {
	c := s.crew
	stats := s.worker.Stats()
	c.mu.Lock()
	c.meter.take(at, c.old.Requests+stats.Requests)
	c.waiting = s.pool.Spooled()
	c.mu.Unlock()
	s.checkLimits(at)
	s.hasten(at)
	s.rest()
	if d := at.Sub(s.drained); !s.drained.IsZero() && d > s.patience(cutAfter) {
		s.worker.Cut()
	}
	if s.obeyed == leaving && at.Sub(s.drained) > s.patience(c.f.c.DrainFor)*2/3 {
		s.worker.Leave()
	}
	if err := s.noteLog(at); err != nil { // then the next start reads more of the log
		c.trouble(err)
	}
}

// hasten seals sooner the closer the deadline is: what a lost machine takes with
// it can then be fetched no more. Where the Store is this machine's disk it makes
// no difference.
func (s *shift) hasten(at time.Time) {
	if s.crew.f.c.Direct {
		return
	}
	s.crew.mu.Lock()
	deadline := s.crew.spec.Settings.Deadline
	s.crew.mu.Unlock()
	s.pool.Hurry(sealAge(deadline, at))
}

const (
	endGame  = 30 * time.Minute // before a deadline in which segments are sealed sooner
	leastAge = 5 * time.Second  // of a segment then: objects are not to be tiny
)

// sealAge is the age at which a segment is sealed; 0 as always.
func sealAge(deadline, at time.Time) time.Duration {
	left := deadline.Sub(at)
	if deadline.IsZero() || left > endGame {
		return 0
	}
	return max(left/10, leastAge)
}

// patience is d, or less where the node stops soon.
func (s *shift) patience(d time.Duration) time.Duration {
	if s.obeyed == leaving {
		return min(d, s.crew.f.c.DrainFor/3)
	}
	return d
}

// checkLimits compares what all workers captured with the crawl's limits. They
// overshoot by what all capture in a moment.
func (s *shift) checkLimits(at time.Time) {
	c := s.crew
	c.mu.Lock()
	urls, bytes := c.spec.Settings.LimitURLs, c.spec.Settings.LimitBytes
	c.mu.Unlock()
	if urls == 0 && bytes == 0 {
		s.limited = ""
		return
	}
	if at.Sub(s.limitsAt) < limitsEvery {
		return
	}
	s.limitsAt = at
	asking, cancel := context.WithTimeout(s.ctx, limitsEvery)
	defer cancel()
	t, err := c.f.c.Coordinator.Totals(asking, c.id)
	if err != nil {
		return // what was said before holds
	}
	s.limited = overLimit(t, urls, bytes)
}

// overLimit names the limit that was reached; "" none.
func overLimit(t api.Totals, urls, bytes int64) string {
	switch {
	case urls > 0 && t.Captures >= urls:
		return fmt.Sprintf("the limit of %d URLs is reached", urls)
	case bytes > 0 && t.Bytes >= bytes:
		return fmt.Sprintf("the limit of %d bytes is reached", bytes)
	}
	return ""
}

// settle seals and stores what a worker left that ended by order.
func (s *shift) settle(ctx context.Context) error {
	want := s.crew.wanted()
	if ctx.Err() != nil || want == dropping {
		return nil
	}
	sealing := ctx
	if want == leaving {
		left := s.crew.f.c.DrainFor - time.Since(s.drained)
		short, cancel := context.WithTimeout(ctx, max(left, time.Second))
		defer cancel()
		sealing = short
	}
	if err := s.pool.Seal(sealing); err != nil {
		return err
	}
	if err := s.keepLog(sealing); err != nil {
		s.crew.tell("log", "", "", fmt.Sprintf("crawl.log of this node is in %s, but not in the Store: %v", s.crew.dir, err), true)
	}
	return nil
}

// attach shows a worker's tools to who asks for the crew's state.
func (c *crew) attach(t *tools) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tools = t
	if len(c.meter.at) == 0 {
		c.meter.take(time.Now(), 0)
	}
}

// detach adds a worker up and lets go of its tools.
func (c *crew) detach(t *tools) {
	c.mu.Lock()
	c.old = c.sum()
	c.tools = nil
	c.mu.Unlock()
	if err := t.close(context.Background()); err != nil {
		c.tell("spool", "", "", err.Error(), true)
	}
}

// become notes what the crew does.
func (c *crew) become(s state, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.why = s, why
}

// sum is what all its workers did. c.mu is held.
func (c *crew) sum() Counters {
	n := c.old
	if c.tools == nil {
		return n
	}
	s := c.tools.worker.Stats()
	n.add(Counters{Requests: s.Requests, Captures: s.Captures, Bytes: c.tools.client.Received()})
	for _, k := range s.Errors {
		n.Errors += k
	}
	return n
}

func (c *crew) counters() Counters {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sum()
}

func (c *crew) spooled() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting
}

// newsFor is how long a trouble that may be over is shown.
const newsFor = 30 * time.Second

// work is the crew's row; away is why no coordinator answers.
func (c *crew) work(away error) api.Work {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.sum()
	w := api.Work{
		Crawl: c.id, Name: c.name, State: string(c.state), Requests: n.Requests, Captures: n.Captures, Bytes: n.Bytes,
		Errors: n.Errors, Rate: c.meter.rate(time.Now(), n.Requests), Spooled: c.waiting, Why: c.why, Refused: c.refusal(),
	}
	if c.tools != nil {
		held, _ := c.tools.worker.Held()
		w.Held = int64(held)
	}
	if c.last != nil && (c.state == failed || time.Since(c.lastAt) < newsFor) {
		w.Error = c.last.Error()
	}
	if away != nil {
		w.Error = fmt.Sprintf("no coordinator answers: %v", away)
	}
	return w
}
