package main

import (
	"context"
	"os"
	"path/filepath"

	"salvor"
	"salvor/api"
	"salvor/api/route"
	"salvor/api/rpc"
	"salvor/coordinator/frontier"
	"salvor/coordinator/trust"
)

// way is connections of one client to all groups.
type way struct {
	*route.Router
	ends []func()
}

func (w *way) close() {
	for _, end := range w.ends {
		end()
	}
}

// dialAs connects as a node of the cluster, over connections of its own.
func (c *cluster) dialAs(id *trust.Identity) *way {
	over := rpc.NewHTTPClient(id.ClientTLS("h2"))
	w := &way{ends: []func(){over.CloseIdleConnections}}
	var groups []api.Group
	for i := range c.Groups {
		g := rpc.Dial(rpc.Config{Endpoints: c.Coordinators, HTTP: over, Group: i})
		groups = append(groups, g)
		w.ends = append(w.ends, g.Close)
	}
	w.Router = route.New(groups)
	return w
}

// dialAdmin connects with the first admin's key.
func (c *cluster) dialAdmin() (*way, error) {
	text, err := os.ReadFile(c.KeyFile())
	if err != nil {
		return nil, err
	}
	key, err := trust.ParseKey(string(text))
	if err != nil {
		return nil, err
	}
	over := rpc.NewHTTPClient(trust.ClientConfig(key, "h2"))
	w := &way{ends: []func(){over.CloseIdleConnections}}
	over.Transport = trust.Bearer(key, over.Transport)
	var groups []api.Group
	for i := range c.Groups {
		g := rpc.Dial(rpc.Config{Endpoints: c.Coordinators, HTTP: over, Group: i})
		groups = append(groups, g)
		w.ends = append(w.ends, g.Close)
	}
	w.Router = route.New(groups)
	return w, nil
}

// enlist makes this process a worker of the cluster.
func (c *cluster) enlist(ctx context.Context) (*trust.Identity, error) {
	file := filepath.Join(c.Dir, "simulated.token")
	if _, err := c.Do(ctx, "cluster", "token", "--role", "worker", "--out", file); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	token, err := trust.ParseToken(string(text))
	if err != nil {
		return nil, err
	}
	id, _, _, err := trust.Join(ctx, "https://"+c.Coordinators()[0], token, trust.JoinOptions{
		Dir: filepath.Join(c.Dir, "simulated"), Host: "benchcluster", Level: frontier.Level, Version: "benchcluster",
	})
	return id, err
}

// newWeb makes a crawl without limits on its rate.
func (c *cluster) newWeb(ctx context.Context, name string, hosts int) (*web, error) {
	admin, err := c.dialAdmin()
	if err != nil {
		return nil, err
	}
	defer admin.close()
	crawl, err := admin.CreateCrawl(ctx, api.Crawl{Name: name, State: salvor.CrawlRunning, Scope: 1, Ceiling: salvor.Unlimited, Start: salvor.Unlimited})
	return &web{crawl: crawl, hosts: hosts}, err
}
