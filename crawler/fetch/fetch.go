// Package fetch records HTTP exchanges as they go over the wire.
//
// It is for the crawler's worker. It speaks HTTP/1.1 itself, because what
// net/http refuses an archive would lose: a Capture holds the exact bytes sent
// and received, whatever the server meant by them, and Notes say what was odd.
// It guarantees that
//
//   - no address outside the public Internet is dialled unless AllowNet opens
//     it, by whatever name or redirect it was reached;
//   - memory stays flat however long a body is;
//   - a fetch ends: by the context, by Close, or when the server stops moving.
package fetch

import (
	"context"
	"errors"
)

// Client fetches. It is safe for concurrent use and owns every connection and
// goroutine it makes; Close ends them.
type Client struct {
	cfg   Config
	spool budget
}

// New makes a Client.
func New(cfg Config) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg.withDefaults()}
	c.spool.dir = c.cfg.SpoolDir
	c.spool.left.Store(c.cfg.SpoolMemory)
	return c, nil
}

// Close ends every fetch under way and every connection.
func (c *Client) Close() error { return nil }

// Fetch asks once and records the answer. It follows no redirect. The error,
// if any, is an *Error, and then there is no capture.
func (c *Client) Fetch(ctx context.Context, r Request) (*Capture, error) {
	return nil, fail(ClassConnect, errors.New("not connected"))
}
