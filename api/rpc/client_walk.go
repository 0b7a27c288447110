package rpc

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"salvor"
	"salvor/api"
	"salvor/api/pb"
)

// Walk implements api.View. Once f was called it is not begun again.
func (c *Client) Walk(ctx context.Context, id salvor.CrawlID, outcomes []salvor.Outcome, f func(api.Known) error) error {
	m := &pb.WalkRequest{Crawl: uint32(id), Outcomes: enums(outcomes, putOutcome)}
	w := &walk{f: f}
	err := c.do(ctx, kind{safe: true, begun: func() bool { return w.begun }}, func(ctx context.Context) error {
		return w.run(ctx, func(ctx context.Context) (*connect.ServerStreamForClient[pb.WalkResponse], error) {
			return c.rpc.Walk(ctx, m)
		})
	})
	if w.err != nil {
		return w.err
	}
	return err
}

// walk is one Walk and how it goes.
type walk struct {
	f     func(api.Known) error
	begun bool
	err   error // f's, or of an item that cannot be read
}

func (w *walk) run(ctx context.Context, open func(context.Context) (*connect.ServerStreamForClient[pb.WalkResponse], error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(walkIdle, cancel)
	defer idle.Stop()
	in, err := open(ctx)
	if err != nil {
		return err
	}
	for in.Receive() {
		idle.Stop() // f may take its time
		if w.err = w.take(in.Msg()); w.err != nil {
			return nil
		}
		idle.Reset(walkIdle)
	}
	return in.Err()
}

func (w *walk) take(m *pb.WalkResponse) error {
	for _, item := range m.Items {
		k, err := answered(getOne(item, getKnown))
		if err != nil {
			return err
		}
		w.begun = true
		if err := w.f(k); err != nil {
			return err
		}
	}
	return nil
}
