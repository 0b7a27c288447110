package rpc

import (
	"context"
	"sync"
	"time"

	"connectrpc.com/connect"

	"salvor"
	"salvor/api"
	"salvor/api/pb"
)

func (service) Walk(ctx context.Context, m *pb.WalkRequest, out *connect.ServerStream[pb.WalkResponse]) error {
	ctx, cancel := context.WithCancel(ctx)
	w := &walker{send: out.Send}
	var beat sync.WaitGroup
	beat.Go(func() { w.beat(ctx) })
	err := groupOf(ctx).Walk(ctx, salvor.CrawlID(m.Crawl), enums(m.Outcomes, getOutcome), w.add)
	cancel()
	beat.Wait()
	if err != nil {
		return err
	}
	return w.flush()
}

// walker gathers what a walk finds into messages. One is sent from time to
// time even if it is empty: the client knows then that the walk goes on.
type walker struct {
	send func(*pb.WalkResponse) error

	mu    sync.Mutex
	items []api.Known
	bytes int
	err   error
}

func (w *walker) add(k api.Known) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.items = append(w.items, k)
	w.bytes += 200 + len(k.URL) + len(k.Via) + len(k.Body)
	if len(w.items) < walkBatch && w.bytes < walkBytes {
		return w.err
	}
	return w.flushLocked()
}

func (w *walker) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.items) == 0 {
		return w.err
	}
	return w.flushLocked()
}

func (w *walker) flushLocked() error {
	if w.err == nil {
		w.err = w.send(&pb.WalkResponse{Items: putAll(w.items, putKnown)})
	}
	w.items, w.bytes = w.items[:0], 0
	return w.err
}

// beat sends what there is every walkEvery until ctx ends.
func (w *walker) beat(ctx context.Context) {
	t := time.NewTicker(walkEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			w.mu.Lock()
			_ = w.flushLocked() // add and flush return it
			w.mu.Unlock()
		}
	}
}
