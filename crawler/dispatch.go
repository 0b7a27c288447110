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
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			case <-timer.C:
			}
			continue
		}
		select {
		case <-ctx.Done():
			s.landed(x)
			return
		case out <- x:
			s.launched(x)
		}
	}
}

type readyHeap []*hostQueue

func (r readyHeap) Len() int           { return len(r) }
func (r readyHeap) Less(i, j int) bool { return r[i].start().Before(r[j].start()) }
func (r readyHeap) Swap(i, j int) {
	r[i], r[j] = r[j], r[i]
	r[i].place, r[j].place = i, j
}
func (r *readyHeap) Push(x any) {
	h := x.(*hostQueue)
	h.place = len(*r)
	*r = append(*r, h)
}
func (r *readyHeap) Pop() any {
	old := *r
	h := old[len(old)-1]
	old[len(old)-1] = nil
	*r = old[:len(old)-1]
	h.place = -1
	return h
}
