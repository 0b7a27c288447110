// Package clienttest is a cluster for tests of what talks to one: real TLS,
// keys and RPC on loopback, behind them a frontier that is only a few maps.
//
// It is for the tests of package client and of the command line. It guarantees
// what those rely on: versions of crawls and rows rise and are compared, keys
// and roles are checked as everywhere, and a test can take any part of it away.
package clienttest

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/rpc"
	"salvor/cmd/salvor/internal/siteweb"
	"salvor/coordinator/audit"
	"salvor/coordinator/sites"
	"salvor/coordinator/trust"
)

// ID of every cluster here.
const ID = "testcluster"

// Cluster is a running one.
type Cluster struct {
	Dir     string // has client.json's neighbours: admin.key
	Address string // host:port
	Groups  []*Group

	id   *trust.Identity
	http *http.Server
	done chan struct{}

	mu     sync.Mutex
	status *api.Status
	fails  map[string]answer // by path
	clock  time.Time
	level  uint16 // that it says it runs at; 0 that of its making
}

type answer struct {
	status int
	body   string
}

// Start makes a cluster of some groups and one node, below a directory.
func Start(dir string, groups int) (*Cluster, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &Cluster{Dir: dir, Address: l.Addr().String(), done: make(chan struct{}), fails: map[string]answer{}}
	c.id, err = trust.Found(filepath.Join(dir, "node"), trust.Founding{
		Settings: api.ClusterSettings{ID: ID, Groups: groups, Level: 1, Created: 1796083200000, Store: "s3://rescues/2026"},
		Address:  c.Address, Host: "machine-1", Level: 1, Version: "v0-test", KeyFile: filepath.Join(dir, "admin.key"),
	})
	if err != nil {
		return nil, err
	}
	for i := range groups {
		c.Groups = append(c.Groups, newGroup(c, i))
	}
	if err := c.id.Enroll(trust.WithCaller(context.Background(), c.id.Local()), c.Groups[0]); err != nil {
		return nil, err
	}
	c.serve(l)
	return c, nil
}

func (c *Cluster) serve(l net.Listener) {
	path, calls := rpc.NewHandler(served{c})
	mux := http.NewServeMux()
	mux.Handle(path, calls)
	mux.Handle("GET /v1/cluster", trust.Require(http.HandlerFunc(c.serveCluster)))
	mux.Handle("GET /v1/status", trust.Require(http.HandlerFunc(c.serveStatus)))
	mux.Handle("GET /v1/plan", trust.Require(http.HandlerFunc(c.servePlan)))
	c.serveSites(mux)
	local := registry{c.Groups[0], c.id.Local()}
	gate := trust.NewGate(c.id, trust.NewKeyring(local, c.id.Fingerprint(), trust.Options{}))
	c.http = &http.Server{Handler: gate.Authenticate(mux), TLSConfig: c.id.ServerTLS("h2", "http/1.1"), ReadHeaderTimeout: time.Second, ErrorLog: quiet()}
	go func() {
		defer close(c.done)
		// It always ends with an error, that of being closed.
		_ = c.http.ServeTLS(l, "", "")
	}()
}

// Close ends it.
func (c *Cluster) Close() error {
	err := c.http.Close()
	<-c.done
	return err
}

// URL of its node.
func (c *Cluster) URL() string { return "https://" + c.Address }

// KeyFile is that of an admin.
func (c *Cluster) KeyFile() string { return filepath.Join(c.Dir, "admin.key") }

// Key makes a key of a role, and gives its text.
func (c *Cluster) Key(name string, role api.Role) (string, error) {
	ring := trust.NewKeyring(registry{c.Groups[0], c.id.Local()}, c.id.Fingerprint(), trust.Options{})
	cred, _, err := ring.Create(context.Background(), name, []api.Role{role}, "the test")
	return cred.Text().Reveal(), err
}

// SetNode puts a node into the registry.
func (c *Cluster) SetNode(n api.Node) error {
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	g := c.Groups[0]
	g.mu.Lock()
	defer g.mu.Unlock()
	g.put(api.Record{Table: api.TableNodes, Key: n.ID, Value: b})
	return nil
}

// Retire takes the node that serves out of the table of nodes, so that only
// those of a test stand there.
func (c *Cluster) Retire() error {
	p := c.id.Peer()
	return c.SetNode(api.Node{ID: p.ID, Name: "founder", Roles: p.Roles, State: api.NodeRemoved})
}

// SetStatus is what /v1/status answers from now on.
func (c *Cluster) SetStatus(s api.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = &s
}

// Fail has a path of HTTP answer with a status and a body; 0 mends it.
func (c *Cluster) Fail(path string, status int, body string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fails[path] = answer{status, body}
}

func (c *Cluster) serveCluster(w http.ResponseWriter, r *http.Request) {
	s := c.id.Settings()
	c.mu.Lock()
	if c.level > 0 {
		s.Level = c.level
	}
	c.mu.Unlock()
	c.reply(w, r, map[string]any{"settings": s, "coordinators": []string{c.Address}})
}

// servePlan is what Fail says: this cluster plans nothing by itself.
func (c *Cluster) servePlan(w http.ResponseWriter, r *http.Request) {
	c.reply(w, r, map[string]any{})
}

// serveSites is what a coordinator says of sites, by the cluster's own clock.
func (c *Cluster) serveSites(mux *http.ServeMux) {
	local := registry{c.Groups[0], c.id.Local()}
	log := audit.New(local, nil)
	(&siteweb.Server{Sites: sites.New(local, log, c.now), Audit: log, Now: c.now}).Serve(mux)
}

// SetClock is the time from now on. It begins at noon of 1 December 2026.
func (c *Cluster) SetClock(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock = t
}

func (c *Cluster) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clock.IsZero() {
		return time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	}
	return c.clock
}

// SetLevel is the feature level from now on.
func (c *Cluster) SetLevel(l uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.level = l
}

func (c *Cluster) serveStatus(w http.ResponseWriter, r *http.Request) {
	if err := trust.Allow(r.Context(), "Status", 0); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	c.mu.Lock()
	s := c.status
	c.mu.Unlock()
	if s == nil {
		s = c.well()
	}
	c.reply(w, r, s)
}

// well is the status of a cluster whose one node leads all groups.
func (c *Cluster) well() *api.Status {
	p := c.id.Peer()
	n := api.NodeStatus{Node: api.Node{ID: p.ID, Name: p.Name, Roles: p.Roles, Level: 1, Version: "v0-test", State: api.NodeActive}, At: 1796126400000, Ready: true}
	for i := range c.Groups {
		n.Groups = append(n.Groups, api.GroupStatus{Group: i, State: "leader", Leader: p.ID, Term: 1, Commit: 10, Applied: 10, Voters: []string{p.ID}})
	}
	return &api.Status{At: n.At, Cluster: c.id.Settings(), Nodes: []api.NodeStatus{n}}
}

func (c *Cluster) reply(w http.ResponseWriter, r *http.Request, v any) {
	c.mu.Lock()
	f := c.fails[r.URL.Path]
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if f.status != 0 {
		w.WriteHeader(f.status)
		_, _ = w.Write([]byte(f.body)) // whoever went away does not read it
		return
	}
	_ = json.NewEncoder(w).Encode(v) // the same
}

// served is the cluster as RPC serves it.
type served struct{ c *Cluster }

func (s served) Group(i int) (api.Group, error) {
	if i >= len(s.c.Groups) {
		return nil, salvor.Errorf(salvor.NotFound, "there is no group %d", i)
	}
	return s.c.Groups[i], nil
}

func (s served) Allow(ctx context.Context, method string, group int) error {
	return trust.Allow(ctx, method, group)
}

func (s served) Observe(string, int, time.Duration, error) {}

// registry is group 0's as a node calls it in process.
type registry struct {
	g *Group
	c trust.Caller
}

func (r registry) Records(ctx context.Context, table string) ([]api.Record, error) {
	return r.g.Records(trust.WithCaller(ctx, r.c), table)
}

func (r registry) SetRecord(ctx context.Context, x api.Record) (uint64, error) {
	return r.g.SetRecord(trust.WithCaller(ctx, r.c), x)
}
