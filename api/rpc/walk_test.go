package rpc

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/pb"
)

// TestWalkBeats: a walk that finds nothing for long is heard of all the same,
// and what it found is not kept back.
func TestWalkBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		w := &walker{send: func(m *pb.WalkResponse) error { sizes = append(sizes, len(m.Items)); return nil }}
		ctx, cancel := context.WithCancel(t.Context())
		var beat sync.WaitGroup
		beat.Go(func() { w.beat(ctx) })
		time.Sleep(walkIdle - walkEvery/2)
		synctest.Wait()
		if want := int(walkIdle/walkEvery) - 1; len(sizes) != want {
			t.Errorf("%d messages in %v, want %d", len(sizes), walkIdle, want)
		}
		sizes = nil
		if err := w.add(api.Known{}); err != nil {
			t.Error(err)
		}
		time.Sleep(walkEvery)
		synctest.Wait()
		if len(sizes) != 1 || sizes[0] != 1 {
			t.Error(sizes)
		}
		cancel()
		beat.Wait()
	})
}

// frozen is a proxy that forwards until it is told to swallow everything, like
// a network that lost its route.
type frozen struct {
	net.Listener
	to  string
	now atomic.Bool
}

func freeze(t *testing.T, to string) *frozen {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &frozen{Listener: l, to: to}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", to)
			if err != nil {
				a.Close()
				continue
			}
			t.Cleanup(func() { a.Close(); b.Close() })
			go io.Copy(valve{f, a}, b)
			go io.Copy(valve{f, b}, a)
		}
	}()
	return f
}

type valve struct {
	f  *frozen
	to net.Conn
}

func (v valve) Write(b []byte) (int, error) {
	if v.f.now.Load() {
		return len(b), nil
	}
	return v.to.Write(b)
}

// TestBlackhole: a connection that swallows everything is noticed by its
// silence, long before the call's own time is up.
func TestBlackhole(t *testing.T) {
	t.Parallel()
	e := &echo{}
	proxy := freeze(t, addr(serve(t, &node{group: e})))
	c := dial(t, 0, proxy.Addr().String())
	if err := c.End(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	e.set(nil, nil, func(ctx context.Context) error { proxy.now.Store(true); <-ctx.Done(); return ctx.Err() })
	start := time.Now()
	_, err := c.Reopen(t.Context(), api.Reopen{})
	took := time.Since(start)
	if salvor.ClassOf(err) != salvor.Unavailable || took > pingAfter+pingTime+2*time.Second {
		t.Errorf("after %v: %v", took, err)
	}
}
