package client

import (
	"context"
	"net/http"
	"slices"
	"time"

	"salvor/api"
	"salvor/api/route"
	"salvor/api/rpc"
	"salvor/coordinator/trust"
)

// dial makes the way to each group. It connects when something is asked.
func (c *Cluster) dial() {
	over := rpc.NewHTTPClient(trust.ClientConfig(c.Key, "h2"))
	c.ends = append(c.ends, over.CloseIdleConnections)
	over.Transport = signed(over.Transport, c.Key, c.ask.agent)
	endpoints := func() []string { return slices.Clone(c.addrs) }
	var followers []api.Group
	for i := range c.Settings.Groups {
		g := rpc.Dial(rpc.Config{Endpoints: endpoints, HTTP: over, Group: i})
		c.ends = append(c.ends, g.Close)
		c.groups, followers = append(c.groups, g), append(followers, follower{g})
	}
	c.Registry = c.groups[0]
	c.router = route.New(followers)
	c.Coordinator = c.router
}

// follower is a group that need not take a change of a crawl from here: who may
// change one may not hand copies to groups, unless an admin. The leader of group
// 0 sees to it that all have it, and Everywhere waits for that.
type follower struct{ group }

type group interface {
	api.Group
	api.Budgets
}

func (f follower) AdoptCrawl(ctx context.Context, c api.Crawl) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = f.group.AdoptCrawl(ctx, c) // Everywhere tells whether the group has it
	return nil
}

// signed shows a key with every request, and says what asks.
func signed(next http.RoundTripper, key trust.Credential, agent string) http.RoundTripper {
	return named{trust.Bearer(key, next), agent}
}

type named struct {
	next  http.RoundTripper
	agent string
}

func (n named) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", n.agent)
	return n.next.RoundTrip(r)
}
