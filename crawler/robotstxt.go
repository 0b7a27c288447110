package crawler

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"salvor"
	"salvor/api"
	"salvor/crawler/canon"
	"salvor/crawler/fetch"
	"salvor/crawler/robots"
)

const (
	// robotsHops is how many redirects of robots.txt are followed (RFC 9309 2.3.1.2).
	robotsHops = 5
	// robotsText is how much of our agent's part the coordinator keeps.
	robotsText = 16 << 10
	// robotsPatience is how long an unreachable robots.txt is waited for,
	// or a hundredth of the time left if that is less.
	robotsPatience = 10 * time.Minute
	// robotsAttempts fill that time.
	robotsAttempts = 10
	// unreachableDelay paces an origin whose robots.txt could not be had.
	unreachableDelay = 5 * time.Second
)

// visitRobots fetches an origin's robots.txt. Its redirects are followed at
// once, each hop a capture of its own, because nothing else of the origin may
// be fetched before.
func (w *Worker) visitRobots(ctx context.Context, d *fetch.Driver, x task) error {
	url := x.URL
	for hop := 0; ; hop++ {
		next := ""
		err := w.exchange(ctx, d, x, url, func(ctx context.Context, x task, c *fetch.Capture) error {
			if hop < robotsHops {
				next = redirectOf(c)
			}
			if next == "" {
				return w.robotsAnswer(ctx, x, c)
			}
			w.sched.observe(x, verdict{status: c.Status}, c.FirstByte)
			return w.aside(ctx, x, c)
		})
		if err != nil || next == "" {
			return err
		}
		wait, ok := w.sched.reserve(x)
		if !ok || !w.sched.live(x) { // each hop is a request of its own
			w.giveUp(x)
			return nil
		}
		url = next
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(wait, salvor.LeaseTTL/2)):
		}
	}
}

// redirectOf is where an answer points, or "".
func redirectOf(c *fetch.Capture) string {
	if c.Status < 300 || c.Status > 399 || c.Status == http.StatusNotModified {
		return ""
	}
	b, err := canon.NewBase(c.URL)
	if err != nil {
		return ""
	}
	u, err := b.Resolve(c.Header.Get("Location"))
	if err != nil || c.Header.Get("Location") == "" {
		return ""
	}
	return u.Href
}

// aside records an exchange that settles no item.
func (w *Worker) aside(ctx context.Context, x task, c *fetch.Capture) error {
	_, err := w.c.Pool.Write(ctx, w.warcExchange(x, c, harvest{}, ""))
	return err
}

// robotsAnswer decides what an answer means (RFC 9309 2.3.1).
func (w *Worker) robotsAnswer(ctx context.Context, x task, c *fetch.Capture) error {
	v := judge(x.Item, c, robotsAttempts+1, time.Now())
	w.sched.observe(x, v, c.FirstByte)
	f := finished{task: x}
	var h harvest
	switch {
	case c.Status >= 500 || c.Status == http.StatusTooManyRequests:
		v, f.robots = w.robotsAway(x, v)
	case c.Status >= 200 && c.Status < 300:
		var err error
		f.robots = w.robotsRules(x, c)
		if h, _, err = w.harvest(ctx, x, c); err != nil {
			return err
		}
		f.links = w.sender.offer(WithRobots(w.c.Crawl, h.offers))
	default:
		f.robots = &api.Robots{Origin: x.Origin, Status: api.RobotsNone, Fetched: c.Begin.UnixMilli()}
	}
	return w.record(ctx, f, v, c, h, "")
}

func (w *Worker) robotsRules(x task, c *fetch.Capture) *api.Robots {
	file := robots.Parse(c.View(), w.c.RobotsAgents...)
	if d := file.CrawlDelay(); d > 0 && w.c.CrawlDelay && w.c.Robots != RobotsIgnore {
		w.sched.slow(x, d)
	}
	return &api.Robots{Origin: x.Origin, Status: api.RobotsRules, Rules: file.Text(robotsText), Fetched: c.Begin.UnixMilli()}
}

// robotsLost reports a robots.txt that brought no answer at all.
func (w *Worker) robotsLost(ctx context.Context, f finished, v verdict) error {
	if !v.ours {
		w.sched.observe(f.task, v, 0)
	}
	if v.unanswered {
		v, f.robots = w.robotsAway(f.task, v)
	} else { // the host does not exist: its pages will say so themselves
		f.robots = &api.Robots{Origin: f.task.Origin, Status: api.RobotsNone, Fetched: time.Now().UnixMilli()}
	}
	return w.finish(ctx, f, v)
}

// robotsAway asks again for ten minutes or a hundredth of the time left; then
// the origin is crawled slowly. A strict crawl asks for ever.
func (w *Worker) robotsAway(x task, v verdict) (verdict, *api.Robots) {
	at := time.Now()
	since, patience := w.robotsSince(x, at), w.robotsPatience(at)
	w.notice("robots_unreachable", x, w.robotsTrouble(x, v, patience))
	left := patience - at.Sub(since)
	if w.c.Robots == RobotsStrict || w.c.Robots == RobotsObey && left > 0 {
		v.verb, v.outcome = api.VerbPostpone, salvor.Open
		next := at.Add(max(patience/robotsAttempts, time.Second))
		if asked := time.UnixMilli(v.retryAfter); v.retryAfter > 0 && asked.After(next) {
			next = asked
		}
		if last := at.Add(left); w.c.Robots == RobotsObey && next.After(last) {
			next = last
		}
		v.retry = next.UnixMilli()
		return v, nil
	}
	v.verb, v.outcome, v.retry = api.VerbSettle, salvor.Failed, 0
	v.reason = "robots-unreachable"
	if w.c.CrawlDelay {
		w.sched.slow(x, unreachableDelay)
	}
	return v, &api.Robots{Origin: x.Origin, Status: api.RobotsUnreachable, Fetched: at.UnixMilli()}
}

// robotsSince is when an origin's robots.txt was asked for first, in vain.
func (w *Worker) robotsSince(x task, at time.Time) time.Time {
	first, _ := w.asked.LoadOrStore(x.Origin, at)
	return first.(time.Time)
}

// robotsPatience is how long an unreachable robots.txt is asked for.
func (w *Worker) robotsPatience(at time.Time) time.Duration {
	if w.c.Deadline.IsZero() {
		return robotsPatience
	}
	return min(robotsPatience, w.c.Deadline.Sub(at)/100)
}

// robotsWait bounds one request for a robots.txt where the patience is less
// than the transport's; 0 it is not.
func (w *Worker) robotsWait(x task) time.Duration {
	if x.Class != salvor.ClassRobots || w.c.Robots == RobotsStrict || w.c.Deadline.IsZero() {
		return 0
	}
	return max(w.robotsPatience(time.Now()), 5*time.Second)
}

// robotsTrouble says what happens next.
func (w *Worker) robotsTrouble(x task, v verdict, patience time.Duration) string {
	why := v.reason
	if v.detail != "" {
		why = v.detail
	}
	next := fmt.Sprintf("asking again for %v, then its pages are fetched slowly", patience.Round(time.Second))
	switch w.c.Robots {
	case RobotsStrict:
		next = "asking again until it answers, since --robots strict"
	case RobotsIgnore:
		next = "going on without, since --robots ignore"
	}
	return fmt.Sprintf("robots.txt of %s cannot be had (%s): %s", x.Origin, why, next)
}
