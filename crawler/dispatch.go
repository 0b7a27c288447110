package crawler

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// dispatch hands items to out until ctx ends; it owns the channel. Before each
// it asks room: a disk fills faster than a look every now and then would tell.
// all is the bound of a node's crawls together; nil is none.
func (s *schedule) dispatch(ctx context.Context, out chan<- task, room func() error, all *rate.Limiter) {
	defer close(out)
	timer := time.NewTimer(0)
	defer timer.Stop()
	allowed := false // the node's bound allows a start that was not made yet
	for {
		if room != nil && room() != nil {
			s.stall(true) // until who tends the shelf finds room again
		}
		if all != nil && !allowed && all.Wait(ctx) != nil {
			return // ctx ended
		}
		allowed = true
		x, ok, wait := s.pick()
		if !ok {
			timer.Reset(wait)
			due := time.Now().Add(wait)
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			case <-timer.C:
				s.delayed(time.Since(due))
			}
			continue
		}
		select {
		case <-ctx.Done():
			s.landed(x)
			return
		case out <- x:
			allowed = false
			s.launched(x)
			s.delayed(time.Since(x.begun))
		}
	}
}
