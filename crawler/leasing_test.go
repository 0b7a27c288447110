package crawler

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
)

// halfAway is a cluster of which a part does not answer: what it is told of the
// hosts there is not heard, all else goes on.
type halfAway struct {
	api.Coordinator
	mu      sync.Mutex
	away    string
	hangs   bool
	heard   []api.HostFeedback
	extends []time.Time
}

func (c *halfAway) Feedback(ctx context.Context, fs []api.HostFeedback) error {
	rest, hangs := c.hear(fs)
	switch {
	case len(rest) == 0:
		return nil
	case hangs:
		<-ctx.Done()
	}
	return &api.Unheard{Reports: rest, Err: salvor.Errorf(salvor.Unavailable, "away")}
}

func (c *halfAway) hear(fs []api.HostFeedback) (rest []api.HostFeedback, hangs bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range fs {
		if f.Host == c.away {
			rest = append(rest, f)
		} else {
			c.heard = append(c.heard, f)
		}
	}
	return rest, c.hangs
}

func (c *halfAway) Extend(context.Context, api.Call, api.Holdings) (api.Renewal, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.extends = append(c.extends, time.Now())
	return api.Renewal{}, nil
}

func (c *halfAway) Lease(ctx context.Context, _ api.Call, w api.Want) ([]api.Lease, error) {
	select {
	case <-time.After(w.Wait):
	case <-ctx.Done():
	}
	return nil, nil
}

// A part of the cluster that does not answer must not make the leases of the
// others lapse; and what is said of their hosts is said once.
func TestLeasesGoOnWhileAPartIsAway(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := &halfAway{away: "b.example", hangs: hangs}
			w := New(Config{Coordinator: c})
			w.session = &session{c: c, id: 1}
			tell := func(host string) {
				w.sched.untold([]api.HostFeedback{{Host: host, Requests: 3, Throttled: 1, RetryAfter: 7}})
			}
			tell("a.example")
			tell("b.example")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			ended := make(chan error)
			go func() { ended <- w.keep(ctx, t.Context()) }()
			time.Sleep(30 * time.Second)
			c.mu.Lock()
			for i, at := range c.extends[1:] {
				if d := at.Sub(c.extends[i]); d > salvor.LeaseTTL/2 {
					t.Errorf("hangs %t: no extend for %s", hangs, d)
				}
			}
			if n := len(c.extends); n < 7 {
				t.Errorf("hangs %t: %d extends in 30 s", hangs, n)
			}
			c.away = ""
			c.mu.Unlock()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			for _, host := range []string{"a.example", "b.example"} {
				n := 0
				for _, f := range c.heard {
					if f.Host == host {
						n++
						if f.Requests != 3 || f.Throttled != 1 || f.RetryAfter != 7 {
							t.Errorf("%+v", f)
						}
					}
				}
				if n != 1 {
					t.Errorf("hangs %t: of %s it was told %d times", hangs, host, n)
				}
			}
			if slices.ContainsFunc(c.heard, func(f api.HostFeedback) bool { return f.Host == "" }) {
				t.Error("told of no host")
			}
		})
	}
}
