package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/route"
	"salvor/coordinator/trust"
)

// Cluster is an open way to a cluster. As an api.Coordinator it is all groups
// together.
type Cluster struct {
	api.Coordinator
	Registry api.Registry
	Settings api.ClusterSettings
	Key      trust.Credential // who asks

	groups   []api.Group
	router   *route.Router
	patience time.Duration
	ask      *asker
	addrs    []string // the one that answered first, then the others
	ends     []func()
}

// about is the answer of GET /v1/cluster.
type about struct {
	Settings     api.ClusterSettings `json:"settings"`
	Coordinators []string            `json:"coordinators"` // host:port
}

// Open asks the servers of c, one after the other, for the cluster's
// coordinators, and gives the way to them all.
func Open(ctx context.Context, c Config) (*Cluster, error) {
	key, err := trust.ParseKey(c.Key)
	if err != nil {
		return nil, err
	}
	var servers []string
	for _, s := range c.Server {
		addr, err := Address(s)
		if err != nil {
			return nil, err
		}
		servers = append(servers, addr)
	}
	out := &Cluster{Key: key, ask: newAsker(key, c.Agent), patience: c.Patience}
	if out.patience == 0 {
		out.patience = 10 * time.Second
	}
	var a about
	from, err := out.ask.any(ctx, servers, "/v1/cluster", &a)
	if err != nil {
		return nil, err
	}
	if a.Settings.Groups < 1 || a.Settings.Groups > api.MaxGroups {
		return nil, salvor.Errorf(salvor.Internal, "%s tells of a cluster of %d groups", from, a.Settings.Groups).WithHint("is it a node of Salvor, of this version?")
	}
	out.Settings = a.Settings
	out.addrs = append([]string{from}, slices.DeleteFunc(append(a.Coordinators, servers...), func(s string) bool { return s == from })...)
	out.dial()
	return out, nil
}

func newAsker(key trust.Credential, agent string) *asker {
	transport := &http.Transport{
		TLSClientConfig:   trust.ClientConfig(key, "h2", "http/1.1"),
		DialContext:       (&net.Dialer{Timeout: dialWithin}).DialContext,
		ForceAttemptHTTP2: true,
		IdleConnTimeout:   answerWithin,
	}
	// What is sent is for one server: no redirect is followed.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &asker{agent: agent, end: transport.CloseIdleConnections, http: &http.Client{Transport: signed(transport, key, agent), CheckRedirect: stay}}
}

// Status is the cluster as the first coordinator that answers sees it. It needs
// no leader.
func (c *Cluster) Status(ctx context.Context) (api.Status, error) {
	var s api.Status
	_, err := c.ask.any(ctx, c.addrs, "/v1/status", &s)
	return s, err
}

const lookAgain = 100 * time.Millisecond

// Everywhere waits until every group has a crawl in the version of the given
// one, or a later one. It names those that do not: they follow when they can.
func (c *Cluster) Everywhere(ctx context.Context, crawl api.Crawl) error {
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	why := make([]error, len(c.groups))
	done := make(chan struct{})
	for i, g := range c.groups {
		go func() {
			why[i] = has(ctx, g, crawl)
			done <- struct{}{}
		}()
	}
	for range c.groups {
		<-done
	}
	var names []string
	for i, err := range why {
		if err != nil {
			names = append(names, fmt.Sprintf("group %d (%v)", i, err))
		}
	}
	switch {
	case len(names) == 0:
		return nil
	case errors.Is(asked.Err(), context.Canceled):
		return salvor.Errorf(salvor.Interrupted, "stopped while crawl %s was on its way to all groups: %w", crawl.Name, asked.Err())
	}
	return salvor.Errorf(salvor.Unavailable, "crawl %s is %s, and not everywhere yet: %s", crawl.Name, crawl.State, strings.Join(names, ", ")).
		WithHint("they get it when they have a leader again; salvor status tells what is wrong with them")
}

// has waits for a group to have a version of a crawl.
func has(ctx context.Context, g api.Group, crawl api.Crawl) error {
	var last error = errors.New("it does not have it yet")
	for {
		there, err := g.Crawl(ctx, crawl.ID)
		switch {
		case err == nil && there.Version >= crawl.Version:
			return nil
		case err != nil && salvor.ClassOf(err) != salvor.NotFound && ctx.Err() == nil:
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(lookAgain):
		}
	}
}

// Close lets go of all connections.
func (c *Cluster) Close() {
	c.ask.end()
	for _, f := range c.ends {
		f()
	}
}
