package warc

import (
	"context"
	"sync"

	"salvor"
)

// Sync makes everything durable that was written before it was called.
// Concurrent calls share a round of fsync: whoever asks while one runs waits
// for the next.
//
// An fsync that failed cannot be repeated, so after such an error neither Sync
// nor Write succeeds again: stop, look after the disk, and Open mends what is
// there.
func (p *Pool) Sync(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case p.syncs <- answer:
	case <-p.ended:
		return errClosed
	case <-ctx.Done():
		return salvor.Errorf(salvor.Interrupted, "sync segments: %w", context.Cause(ctx))
	}
	select {
	case err := <-answer:
		return err
	case <-p.ended:
		return errClosed
	case <-ctx.Done():
		return salvor.Errorf(salvor.Interrupted, "sync segments: %w", context.Cause(ctx))
	}
}

// syncLoop answers Sync until ctx ends.
func (p *Pool) syncLoop(ctx context.Context) {
	defer p.done.Done()
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-p.syncs:
			waiting := append([]chan error{first}, p.gather()...)
			err := p.syncAll()
			for _, w := range waiting {
				w <- err
			}
		}
	}
}

func (p *Pool) gather() (more []chan error) {
	for {
		select {
		case w := <-p.syncs:
			more = append(more, w)
		default:
			return more
		}
	}
}

// syncAll fsyncs all segments that are not sealed yet, side by side.
func (p *Pool) syncAll() error {
	p.mu.Lock()
	segs := append([]*segment(nil), p.open...)
	for _, sh := range p.queue {
		sh.mu.Lock()
		if sh.seg != nil {
			segs = append(segs, sh.seg)
		}
		sh.mu.Unlock()
	}
	p.mu.Unlock()
	errs := make([]error, len(segs))
	var wg sync.WaitGroup
	for i, s := range segs {
		wg.Go(func() { errs[i] = p.syncOne(s) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Pool) syncOne(s *segment) error {
	err := s.sync()
	if err != nil && s.broken() {
		p.broken.CompareAndSwap(nil, &err)
	}
	return err
}
