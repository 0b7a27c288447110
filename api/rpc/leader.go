package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/pb"
)

// probeTime is how long a node may take to say whether it leads.
const probeTime = 2 * time.Second

// search is one look for the leader, shared by all calls that need it.
type search struct {
	done chan struct{}
	addr string
	err  error
}

// find is the leader's address. If it is not known, all nodes are asked at
// once, by one search for all callers.
func (c *Client) find(ctx context.Context) (string, error) {
	c.mu.Lock()
	if c.leader != "" {
		defer c.mu.Unlock()
		return c.leader, nil
	}
	if c.search == nil && c.base.Err() != nil {
		defer c.mu.Unlock()
		return "", salvor.Errorf(salvor.Interrupted, "rpc: the client is closed")
	}
	if c.search == nil {
		c.search = &search{done: make(chan struct{})}
		c.ends.Add(1)
		go c.seek(c.search)
	}
	s := c.search
	c.mu.Unlock()
	select {
	case <-s.done:
		return s.addr, s.err
	case <-ctx.Done():
		return "", interrupted(ctx)
	}
}

func (c *Client) seek(s *search) {
	defer c.ends.Done()
	s.addr, s.err = c.askAll(c.base)
	c.mu.Lock()
	c.leader, c.search = s.addr, nil
	c.mu.Unlock()
	close(s.done)
}

// said is a node's answer to whether it leads.
type said struct {
	addr, hint string
	leads      bool
	err        error
}

// askAll asks every node, and those they name, until one leads.
func (c *Client) askAll(ctx context.Context) (string, error) {
	nodes := endpoints(c.c.Endpoints())
	if len(nodes) == 0 {
		return "", salvor.Errorf(salvor.Invalid, "rpc: no coordinator's address is known").WithHint("Name one.")
	}
	if len(nodes) == 1 {
		return nodes[0], nil // the call itself asks it
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	answers := make(chan said, 2*maxEndpoints)
	var errs []error
	for open := c.probe(ctx, answers, nodes...); open > 0; open-- {
		a := <-answers
		if a.leads {
			return a.addr, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", a.addr, a.err))
		if a.hint != "" && !slices.Contains(nodes, a.hint) && len(nodes) < 2*maxEndpoints {
			nodes = append(nodes, a.hint)
			open += c.probe(ctx, answers, a.hint)
		}
	}
	return "", leaderless(c.c.Group, errs)
}

// maxEndpoints is more than any cluster has coordinators.
const maxEndpoints = 32

func endpoints(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	list = slices.Compact(list)
	list = slices.DeleteFunc(list, func(s string) bool { return s == "" })
	return list[:min(len(list), maxEndpoints)]
}

// probe asks nodes at once, each in a goroutine that ends with ctx.
func (c *Client) probe(ctx context.Context, answers chan<- said, nodes ...string) int {
	for _, addr := range nodes {
		c.ends.Go(func() { answers <- c.leads(ctx, addr) })
	}
	return len(nodes)
}

// leads asks for a crawl that never is: only a leader can say so.
func (c *Client) leads(ctx context.Context, addr string) said {
	_, err := c.attempt(ctx, addr, probeTime, func(ctx context.Context) error {
		_, err := c.rpc.Crawl(ctx, &pb.CrawlRequest{})
		return err
	})
	s := said{addr: addr, err: err, leads: err == nil}
	if n, ok := errors.AsType[*api.NotLeader](err); ok {
		s.hint = n.Leader
		return s
	}
	if _, ok := errors.AsType[*remote](err); ok {
		switch salvor.ClassOf(err) {
		case salvor.NotFound, salvor.Invalid, salvor.Conflict,
			salvor.Forbidden: // the call itself is told so, or where to go
			s.leads = true
		}
	}
	return s
}

// leaderless says who was asked. It is of class Forbidden if that is what all
// say, since no repetition helps then.
func leaderless(group int, errs []error) error {
	class, said := salvor.Forbidden, make([]string, len(errs))
	for i, err := range errs {
		said[i] = err.Error()
		if salvor.ClassOf(err) != salvor.Forbidden {
			class = salvor.Unavailable
		}
	}
	e := salvor.Errorf(class, "group %d: no leader found (%s)", group, strings.Join(said, "; "))
	if class == salvor.Forbidden {
		e.Hint = salvor.HintOf(errs[0])
	}
	return e
}
