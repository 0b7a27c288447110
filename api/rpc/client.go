package rpc

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"connectrpc.com/connect"

	"salvor"
	"salvor/api"
	"salvor/api/pb/pbconnect"
)

// Config says where a group's coordinators are. Endpoints and HTTP are needed.
type Config struct {
	// Endpoints are the host:port of all coordinators, as known now. It is
	// called when the leader must be found.
	Endpoints func() []string
	// HTTP is the process's client (NewHTTPClient).
	HTTP *http.Client
	// Group is the number of the group.
	Group int
	// Timeout is how long an attempt at a short call may take; 0 is 3 s.
	// Calls that write much or read much have more.
	Timeout time.Duration
}

// Client is the api.Group of one group, wherever it is led. It is safe for
// concurrent use; what one call learns of the leader serves all.
type Client struct {
	c    Config
	rpc  pbconnect.GroupServiceClient
	base context.Context // ends with Close
	stop context.CancelFunc
	ends sync.WaitGroup

	mu     sync.Mutex
	leader string  // as last known; "" must be found
	search *search // under way
}

var _ api.Group = (*Client)(nil)

// Dial makes a Client. It connects at the first call.
func Dial(c Config) *Client {
	if c.Timeout == 0 {
		c.Timeout = 3 * time.Second
	}
	base, stop := context.WithCancel(context.Background())
	rpc := pbconnect.NewGroupServiceClient(
		carrier{c.HTTP, []string{strconv.Itoa(c.Group)}}, "https://coordinator",
		connect.WithCodec(codec{filled: true}),
		connect.WithAcceptCompression("gzip", nil, nil),
		connect.WithReadMaxBytes(maxAnswer),
		connect.WithSendMaxBytes(maxRequest),
	)
	return &Client{c: c, rpc: rpc, base: base, stop: stop}
}

// Close ends what the client does by itself. Calls under way go on.
func (c *Client) Close() {
	c.mu.Lock()
	c.stop() // no search begins from now on
	c.mu.Unlock()
	c.ends.Wait()
}

// kind is how a call is tried.
type kind struct {
	limit time.Duration // of one attempt; 0 none
	safe  bool          // it may be repeated though its outcome is unknown
	begun func() bool   // it must not be repeated, for what it gave already; nil never
}

// again says whether a call that failed may be made once more.
func (k kind) again(f fate) bool {
	if k.begun != nil && k.begun() {
		return false
	}
	return f == elsewhere || f == unsent || f == unknown && k.safe
}

func (c *Client) short(safe bool) kind { return kind{limit: c.c.Timeout, safe: safe} }

// long is for calls that write or read much.
func (c *Client) long(safe bool) kind { return kind{limit: 10 * c.c.Timeout, safe: safe} }

// batch is for work that a busy leader may let wait.
func (c *Client) batch(call api.Call) kind { return kind{limit: 3 * c.c.Timeout, safe: named(call)} }

// named says whether a session remembers the answer of a call.
func named(c api.Call) bool { return c.Session != 0 && c.Request != 0 }

const (
	// mostTries bounds the attempts of one call; hints may lead in circles.
	mostTries = 4
	// mostFailures bounds those that failed for want of a connection.
	mostFailures = 2
)

// do calls the leader: the one last known, or who a node says it is, or who is
// found when all are asked. Unavailable means that none of it helped now.
func (c *Client) do(ctx context.Context, k kind, f func(context.Context) error) error {
	var failed error
	failures := 0
	for try := 1; ; try++ {
		addr, err := c.find(ctx)
		if err != nil {
			return errorOf(failed, err)
		}
		fate, err := c.attempt(ctx, addr, k.limit, f)
		if err == nil || ctx.Err() != nil || fate == settled {
			return err
		}
		c.left(addr, err)
		if fate != elsewhere {
			failed = err
			failures++
		}
		if !k.again(fate) || try == mostTries || failures == mostFailures {
			return err
		}
	}
}

// errorOf prefers what the call itself met to why no other node was found,
// unless the caller stopped.
func errorOf(failed, err error) error {
	if failed == nil || salvor.ClassOf(err) == salvor.Interrupted {
		return err
	}
	return failed
}

// attempt makes one attempt at one node.
func (c *Client) attempt(ctx context.Context, addr string, limit time.Duration, f func(context.Context) error) (fate, error) {
	one := context.WithValue(ctx, addressKey{}, addr)
	if limit > 0 {
		var cancel context.CancelFunc
		one, cancel = context.WithTimeout(one, limit)
		defer cancel()
	}
	if err := f(one); err != nil {
		return judge(ctx, one, addr, err)
	}
	return settled, nil
}

// left forgets a leader that is none, for the one it named.
func (c *Client) left(addr string, err error) {
	hint := ""
	if n, ok := errors.AsType[*api.NotLeader](err); ok && n.Leader != addr {
		hint = n.Leader
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leader == addr { // else another call knows better already
		c.leader = hint
	}
}

// ask calls one method and gives its answer.
func ask[Req, Res any](ctx context.Context, c *Client, k kind, method func(context.Context, *Req) (*Res, error), m *Req) (*Res, error) {
	var res *Res
	err := c.do(ctx, k, func(ctx context.Context) (err error) {
		res, err = method(ctx, m)
		return err
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// answered gives an answer that cannot be read its class.
func answered[T any](v T, err error) (T, error) {
	if err != nil {
		var zero T
		return zero, salvor.Errorf(salvor.Internal, "rpc: answer: %w", err)
	}
	return v, nil
}
