package s3

import (
	"context"
	"math/rand/v2"
	"time"

	"salvor"
	"salvor/storage"
)

// Waits between tries: a random time below a limit that doubles each time.
// Full jitter keeps many workers from coming back in step after an outage.
const (
	firstWait = 100 * time.Millisecond
	maxWait   = 10 * time.Second
)

// retry calls f until it succeeds, fails for a reason that another try does
// not change, or RetryFor is over. f's errors have their class.
func (s *Store) retry(ctx context.Context, doing, key string, f func() error) error {
	t := s.newTries()
	for {
		err := f()
		if err == nil || salvor.ClassOf(err) != salvor.Unavailable || ctx.Err() != nil {
			return err
		}
		if err := t.wait(ctx, doing, key, err); err != nil {
			return err
		}
	}
}

// tries paces the attempts of one operation.
type tries struct {
	until time.Time
	n     int
	tell  func(error)
}

func (s *Store) newTries() *tries {
	return &tries{until: time.Now().Add(s.cfg.RetryFor), tell: s.cfg.OnTrouble}
}

// wait returns nil when it is time to try again, else the error to end with.
func (t *tries) wait(ctx context.Context, doing, key string, err error) error {
	limit := min(maxWait, firstWait<<min(t.n, 10))
	t.n++
	d := time.Duration(rand.Int64N(int64(limit)))
	if time.Now().Add(d).After(t.until) {
		return err
	}
	if t.tell != nil {
		t.tell(err)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return storage.ContextError(ctx, doing, key)
	}
}
