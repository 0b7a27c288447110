package server

import (
	"context"
	"sync"

	"salvor/api"
	"salvor/cmd/salvor/internal/fleet"
)

// fleets runs the worker while it is wanted: until the node stops, with a rest
// while the node is drained. It returns when nothing is under way any more.
func (n *node) fleets(ctx context.Context) error {
	for {
		if !n.has(api.RoleWorker) {
			select {
			case <-n.o.Stop:
			case <-ctx.Done():
			}
			return nil
		}
		rest, err := n.oneFleet(ctx)
		if err != nil || !rest {
			return err
		}
		if !n.resting(ctx) {
			return nil
		}
	}
}

// oneFleet works until the node stops or rests.
func (n *node) oneFleet(ctx context.Context) (rest bool, err error) {
	store, direct, err := n.workerStore(n.httpClient())
	if err != nil {
		return false, err
	}
	drain := make(chan struct{})
	f, err := fleet.New(fleet.Config{
		Coordinator: n.router, Store: store, Direct: direct, Dir: n.c.path("worker"), Node: n.id.Peer().Name,
		Version: n.o.Version, Connections: n.c.Connections, MaxRate: n.c.MaxRate, MaxEgress: n.c.MaxEgress, SpoolMax: n.c.SpoolMax, DrainFor: n.c.DrainFor,
		Drain: drain, Events: n.event, Logger: n.log,
	})
	if err != nil {
		return false, err
	}
	n.mu.Lock()
	n.fleet = f
	n.mu.Unlock()
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		rest = n.untilIdle(watching)
		close(drain)
	})
	err = f.Run(ctx)
	stop()
	watch.Wait()
	return rest, err
}

// untilIdle waits until the node is stopped, or told to rest, which is true.
func (n *node) untilIdle(ctx context.Context) bool {
	for {
		select {
		case <-n.o.Stop:
			return false
		default:
		}
		if n.state() == api.NodeDraining {
			n.log.Info("the node is drained: it takes no new work")
			return true
		}
		if !n.pause(ctx) {
			return false
		}
	}
}

// resting waits until the node may work again; false when it is stopped.
func (n *node) resting(ctx context.Context) bool {
	for n.state() == api.NodeDraining {
		if !n.pause(ctx) {
			return false
		}
	}
	return true
}

// pause waits for the next look; false when the node stops.
func (n *node) pause(ctx context.Context) bool {
	short, cancel := context.WithTimeout(ctx, membersEvery)
	defer cancel()
	select {
	case <-n.o.Stop:
		return false
	case <-short.Done():
		return ctx.Err() == nil
	}
}

// state is what an admin wants of this node.
func (n *node) state() api.NodeState {
	if n.coord == nil {
		if s := n.told.Load(); s != nil {
			return *s
		}
		return api.NodeActive
	}
	for _, m := range n.members.All() {
		if m.ID == n.id.ID() {
			return m.State
		}
	}
	return api.NodeActive
}

// event logs what the fleet tells people.
func (n *node) event(e fleet.Event) {
	args := []any{"code", e.Code}
	for _, a := range [][2]string{{"crawl", e.Crawl}, {"host", e.Host}, {"url", e.URL}} {
		if a[1] != "" {
			args = append(args, a[0], a[1])
		}
	}
	if e.Error {
		n.log.Error(e.Text, args...)
		return
	}
	n.log.Info(e.Text, args...)
}

// working is what the fleet does now.
func (n *node) working() []api.Work {
	if f := n.workers(); f != nil {
		return f.Status()
	}
	return nil
}

// workers is the fleet there is; nil where there was none yet.
func (n *node) workers() *fleet.Fleet {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fleet
}
