package rpc

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// cluster is nodes of one group, of which one leads, or none.
type cluster struct {
	leader atomic.Int32
	hints  atomic.Bool // followers name the leader
	nodes  []*echo
	srvs   []*httptest.Server
	addrs  []string
}

func newCluster(t testing.TB, n int) *cluster {
	c := &cluster{}
	c.hints.Store(true)
	for i := range n {
		e := &echo{hook: func(context.Context) error { return c.judge(i) }}
		srv := serve(t, &node{group: e})
		c.nodes, c.srvs, c.addrs = append(c.nodes, e), append(c.srvs, srv), append(c.addrs, addr(srv))
	}
	return c
}

func (c *cluster) judge(i int) error {
	l := int(c.leader.Load())
	if l == i {
		return nil
	}
	e := &api.NotLeader{}
	if l >= 0 && c.hints.Load() {
		e.Leader = c.addrs[l]
	}
	return salvor.Errorf(salvor.Unavailable, "%w", e)
}

func (c *cluster) count(method string) (all int) {
	for _, e := range c.nodes {
		all += e.count(method)
	}
	return all
}

// TestFindsTheLeader whoever leads, and whoever knows of it, after a change
// too, with few calls.
func TestFindsTheLeader(t *testing.T) {
	for _, hints := range []bool{true, false} {
		cl := newCluster(t, 3)
		cl.hints.Store(hints)
		c := dial(t, 0, cl.addrs...)
		for _, leader := range []int{2, 0, 0, 1} {
			cl.leader.Store(int32(leader))
			before := cl.nodes[leader].count("End")
			if err := c.End(t.Context(), 1); err != nil {
				t.Fatalf("hints %v, leader %d: %v", hints, leader, err)
			}
			if cl.nodes[leader].count("End") != before+1 {
				t.Errorf("the leader was called %d times", cl.nodes[leader].count("End")-before)
			}
		}
		if n := cl.count("End"); n != 6 { // two of them to who led before
			t.Errorf("hints %v: %d calls for 4", hints, n)
		}
		cl.leader.Store(-1)
		if err := c.End(t.Context(), 1); salvor.ClassOf(err) != salvor.Unavailable {
			t.Errorf("without a leader: %v", err)
		}
	}
}

// TestHintsLeadFurther: a node may name one that is not among the endpoints.
func TestHintsLeadFurther(t *testing.T) {
	cl := newCluster(t, 3)
	cl.leader.Store(2)
	for _, known := range [][]string{cl.addrs[:1], cl.addrs[:2]} {
		c := dial(t, 0, known...)
		if err := c.End(t.Context(), 1); err != nil {
			t.Errorf("%d known: %v", len(known), err)
		}
	}
}

// TestDeadNodes: refused and blackholed nodes cost little, whoever led.
func TestDeadNodes(t *testing.T) {
	hole, err := net.Listen("tcp", "127.0.0.1:0") // accepts nothing
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	cl := newCluster(t, 2)
	cl.leader.Store(1)
	c := dial(t, 0, hole.Addr().String(), addr(gone), cl.addrs[0], cl.addrs[1])
	for _, was := range []string{"", addr(gone), hole.Addr().String()} {
		c.mu.Lock()
		c.leader = was
		c.mu.Unlock()
		start := time.Now()
		if _, err := c.Reopen(t.Context(), api.Reopen{}); err != nil {
			t.Errorf("was %q: %v", was, err)
		}
		most := time.Second
		if was == hole.Addr().String() {
			most = dialTime + time.Second
		}
		if took := time.Since(start); took > most {
			t.Errorf("was %q: it took %v", was, took)
		}
	}
	if n := cl.nodes[1].count("Reopen"); n != 3 {
		t.Errorf("%d calls for 3", n)
	}
}

// TestNothingIsDoneTwice: when a connection breaks in the middle of a call,
// its outcome is unknown.
func TestNothingIsDoneTwice(t *testing.T) {
	named := api.Call{Session: 1, Request: 2}
	for name, x := range map[string]struct {
		safe bool
		call func(context.Context, *Client) error
	}{
		"Settle":         {true, func(ctx context.Context, c *Client) error { return c.Settle(ctx, named, api.Settlement{}) }},
		"Settle unnamed": {false, func(ctx context.Context, c *Client) error { return c.Settle(ctx, api.Call{}, api.Settlement{}) }},
		"Discover": {true, func(ctx context.Context, c *Client) error {
			_, err := c.Discover(ctx, named, api.Discovery{})
			return err
		}},
		"Lease":  {true, func(ctx context.Context, c *Client) error { _, err := c.Lease(ctx, named, api.Want{}); return err }},
		"Extend": {true, func(ctx context.Context, c *Client) error { _, err := c.Extend(ctx, named, api.Holdings{}); return err }},
		"Extend unnamed": {false, func(ctx context.Context, c *Client) error {
			_, err := c.Extend(ctx, api.Call{}, api.Holdings{})
			return err
		}},
		"RegisterAs":  {true, func(ctx context.Context, c *Client) error { return c.RegisterAs(ctx, "w", 1) }},
		"End":         {true, func(ctx context.Context, c *Client) error { return c.End(ctx, 1) }},
		"AdoptCrawl":  {true, func(ctx context.Context, c *Client) error { return c.AdoptCrawl(ctx, api.Crawl{}) }},
		"SetCrawl":    {false, func(ctx context.Context, c *Client) error { return c.SetCrawl(ctx, api.Crawl{}) }},
		"SetCrawl 3":  {true, func(ctx context.Context, c *Client) error { return c.SetCrawl(ctx, api.Crawl{Version: 3}) }},
		"OpenSegment": {true, func(ctx context.Context, c *Client) error { _, err := c.OpenSegment(ctx, api.Call{}, "s"); return err }},
		"Crawls":      {true, func(ctx context.Context, c *Client) error { _, err := c.Crawls(ctx); return err }},
		"Feedback":    {false, func(ctx context.Context, c *Client) error { return c.Feedback(ctx, nil) }},
		"Reopen":      {false, func(ctx context.Context, c *Client) error { _, err := c.Reopen(ctx, api.Reopen{}); return err }},
		"Exclude":     {false, func(ctx context.Context, c *Client) error { _, err := c.Exclude(ctx, 1, "r", nil); return err }},
		"Rank":        {true, func(ctx context.Context, c *Client) error { _, err := c.Rank(ctx, 1, nil); return err }},
		"SetRecord":   {false, func(ctx context.Context, c *Client) error { _, err := c.SetRecord(ctx, api.Record{}); return err }},
		"SetSegment":  {true, func(ctx context.Context, c *Client) error { return c.SetSegment(ctx, api.Segment{}) }},
	} {
		t.Run(name, func(t *testing.T) {
			method, broken := strings.Fields(name)[0], false
			e := &echo{hook: func(ctx context.Context) error {
				if visitOf(ctx).method == method && !broken { // not a probe
					broken = true
					panic(http.ErrAbortHandler)
				}
				return nil
			}}
			follower := &echo{err: salvor.Errorf(salvor.Unavailable, "%w", &api.NotLeader{})}
			c := dial(t, 0, addr(serve(t, &node{group: e})), addr(serve(t, &node{group: follower})))
			err := x.call(t.Context(), c)
			if x.safe && (err != nil || e.count(method) != 2) {
				t.Errorf("called %d times: %v", e.count(method), err)
			}
			if !x.safe && (salvor.ClassOf(err) != salvor.Unavailable || e.count(method) != 1) {
				t.Errorf("called %d times: %v", e.count(method), err)
			}
		})
	}
}

// TestHangingLeader: one attempt's time is what it costs, and the next call
// looks anew.
func TestHangingLeader(t *testing.T) {
	cl := newCluster(t, 2)
	cl.leader.Store(0)
	c := dial(t, 0, cl.addrs...)
	c.c.Timeout = 100 * time.Millisecond
	if err := c.End(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	cl.nodes[0].set(nil, nil, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	cl.leader.Store(1)
	start := time.Now()
	// The node may notice that the time is over before we do.
	err := c.End(t.Context(), 1)
	if err != nil && salvor.ClassOf(err) != salvor.Unavailable || time.Since(start) > time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	if err := c.End(t.Context(), 1); err != nil {
		t.Error(err)
	}
}

// TestNoHerd: many calls that need a leader look for it once.
func TestNoHerd(t *testing.T) {
	cl := newCluster(t, 3)
	cl.hints.Store(false)
	cl.leader.Store(1)
	c := dial(t, 0, cl.addrs...)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := c.End(t.Context(), 1); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := cl.count("Crawl"); n > 3 {
		t.Errorf("%d probes", n)
	}
	if n := cl.count("End"); n != 50 {
		t.Errorf("%d calls for 50", n)
	}
	c.Close()
	c.mu.Lock()
	c.leader = ""
	c.mu.Unlock()
	if err := c.End(t.Context(), 1); salvor.ClassOf(err) != salvor.Interrupted {
		t.Errorf("closed: %v", err)
	}
}

// TestGroupElsewhere: a node without the group is no reason to give up.
func TestGroupElsewhere(t *testing.T) {
	a, b := &node{group: &echo{}, number: 1}, &node{group: &echo{}, number: 2}
	c := dial(t, 2, addr(serve(t, a)), addr(serve(t, b)))
	for range 2 {
		if err := c.End(t.Context(), 1); err != nil {
			t.Error(err)
		}
	}
}

func TestNoEndpoints(t *testing.T) {
	c := dial(t, 0)
	if _, err := c.Crawls(t.Context()); salvor.ClassOf(err) != salvor.Invalid {
		t.Error(err)
	}
}
