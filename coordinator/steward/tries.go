package steward

import (
	"context"
	"errors"
	"time"

	"salvor"
	"salvor/api"
)

// tries are the further attempts at what failed. While a deadline lies ahead
// nothing has failed for good: a server that is down today may answer tomorrow,
// and there is no day after the deadline. They are soft: a new steward may try
// again sooner, which asks a host for little more.
type tries struct {
	last time.Time // of the newest; of the first look at an idle crawl before
	end  bool      // the one before the deadline was made
}

const (
	// triesLeast and triesMost bound the time between two attempts, a quarter of
	// what is left until the deadline.
	triesLeast = time.Minute
	triesMost  = 6 * time.Hour
	// lastLeast and lastMost bound how long before the deadline everything is
	// tried once more, a tenth of the crawl's time.
	lastLeast = 2 * time.Minute
	lastMost  = time.Hour
)

// due says that what failed is to be tried again now. idle says that nothing
// else is left to do.
func (t *tries) due(c api.Crawl, now time.Time, idle bool) bool {
	end := time.UnixMilli(c.Deadline)
	left := end.Sub(now)
	if left <= 0 {
		return false
	}
	lead := clamp(end.Sub(time.UnixMilli(c.Created))/10, lastLeast, lastMost)
	if !t.end && left <= lead {
		t.end = true
		return true
	}
	if !idle {
		t.last = time.Time{}
		return false
	}
	if t.last.IsZero() {
		t.last = now
	}
	return now.Sub(t.last) >= clamp(left/4, triesLeast, triesMost)
}

func clamp(d, least, most time.Duration) time.Duration { return min(max(d, least), most) }

// retry has what failed fetched again when it is time to. It is true while that
// may still be: the crawl is not finished then.
func (s *Steward) retry(ctx context.Context, c api.Crawl, now look) (bool, error) {
	if c.State != salvor.CrawlRunning || c.Deadline == 0 || s.over(c) || now.failed == 0 {
		return false, nil
	}
	t := s.tried[c.ID]
	if t == nil {
		t = &tries{}
		s.tried[c.ID] = t
	}
	if !t.due(c, s.c.Now(), now.open == 0) {
		return true, nil
	}
	t.last = s.c.Now()
	var errs []error
	for _, g := range s.c.Groups {
		_, err := g.Reopen(ctx, api.Reopen{Crawl: c.ID, Outcomes: []salvor.Outcome{salvor.Failed}, Reason: "tried again before the deadline"})
		errs = append(errs, err)
	}
	s.c.Logger.Info("what failed is tried again", "crawl", c.Name, "urls", now.failed)
	return true, errors.Join(errs...)
}
