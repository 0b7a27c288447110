package crawler

import (
	"context"
	"time"
)

// dispatch hands items to out until ctx ends; it owns the channel. Before each
// it asks room: a disk fills faster than a look every now and then would tell.
func (s *schedule) dispatch(ctx context.Context, out chan<- task, room func() error) {
	defer close(out)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if room != nil && room() != nil {
			s.stall(true) // until who tends the shelf finds room again
		}
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
			s.launched(x)
			s.delayed(time.Since(x.begun))
		}
	}
}
