package clienttest

import (
	"cmp"
	"context"
	"io"
	"log"
	"maps"
	"slices"
	"sync"

	"salvor"
	"salvor/api"
	"salvor/coordinator/trust"
)

// Group is one group: as much of it as people's commands use.
type Group struct {
	api.Group // nil: whatever else is called ends the call as a bug

	cluster *Cluster
	number  int

	mu     sync.Mutex
	down   error // what every call gets
	stale  bool  // it hears nothing of changes
	crawls map[salvor.CrawlID]api.Crawl
	known  map[salvor.CrawlID]map[salvor.Key]api.Offer
	looks  map[salvor.CrawlID]Look
	rows   map[string]map[string]api.Record
	merged map[string]api.HostGroup

	version uint64 // of the newest row
	race    func() // runs before the next change
}

// Look is what a group tells of a crawl.
type Look struct {
	Totals  api.Totals
	Hosts   []api.Host
	Types   map[string]api.Count
	Codes   map[int]api.Count
	Reasons map[api.Reason]int64
}

func newGroup(c *Cluster, number int) *Group {
	return &Group{
		cluster: c, number: number, crawls: map[salvor.CrawlID]api.Crawl{}, known: map[salvor.CrawlID]map[salvor.Key]api.Offer{},
		looks: map[salvor.CrawlID]Look{}, rows: map[string]map[string]api.Record{},
		merged: map[string]api.HostGroup{},
	}
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// Down has every call fail; nil mends it.
func (g *Group) Down(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = err
}

// Stale keeps changes of crawls from this group.
func (g *Group) Stale(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stale = on
}

// Race runs f in the midst of the next change, once: somebody else was faster.
func (g *Group) Race(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.race = f
}

// Set is what the group tells of a crawl from now on.
func (g *Group) Set(id salvor.CrawlID, l Look) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.looks[id] = l
}

// Offers are the items that were discovered, by URL.
func (g *Group) Offers(id salvor.CrawlID) []api.Offer {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.SortedFunc(maps.Values(g.known[id]), func(a, b api.Offer) int { return cmp.Compare(a.URL, b.URL) })
}

// lock is the begin of every call.
func (g *Group) lock() error {
	g.mu.Lock()
	if g.down != nil {
		defer g.mu.Unlock()
		return g.down
	}
	return nil
}

// raced lets somebody else be faster.
func (g *Group) raced() {
	g.mu.Lock()
	f := g.race
	g.race = nil
	g.mu.Unlock()
	if f != nil {
		f()
	}
}

// CreateCrawl implements api.Coordinator.
func (g *Group) CreateCrawl(_ context.Context, c api.Crawl) (api.Crawl, error) {
	if err := g.lock(); err != nil {
		return c, err
	}
	for _, o := range g.crawls {
		if o.Name == c.Name {
			g.mu.Unlock()
			return o, nil
		}
	}
	c.ID, c.Version, c.HashKey = salvor.CrawlID(len(g.crawls)+1), 1, salvor.HashKey{7}
	g.crawls[c.ID] = c
	g.mu.Unlock()
	return c, g.spread(c)
}

// SetCrawl implements api.Coordinator.
func (g *Group) SetCrawl(_ context.Context, c api.Crawl) error {
	g.raced()
	if err := g.lock(); err != nil {
		return err
	}
	old, ok := g.crawls[c.ID]
	if !ok || c.Version != 0 && c.Version != old.Version+1 {
		g.mu.Unlock()
		return salvor.Errorf(salvor.Conflict, "crawl %d is at version %d, which %d does not follow", c.ID, old.Version, c.Version).
			WithHint("Read the crawl again and repeat the change.")
	}
	c.Version = old.Version + 1
	g.crawls[c.ID] = c
	g.mu.Unlock()
	return g.spread(c)
}

// spread is group 0's part of bringing a crawl to the others.
func (g *Group) spread(c api.Crawl) error {
	for _, o := range g.cluster.Groups {
		o.mu.Lock()
		if !o.stale && o.down == nil {
			o.crawls[c.ID] = c
		}
		o.mu.Unlock()
	}
	return nil
}

// AdoptCrawl implements api.Group.
func (g *Group) AdoptCrawl(_ context.Context, c api.Crawl) error {
	if err := g.lock(); err != nil {
		return err
	}
	defer g.mu.Unlock()
	if c.Version > g.crawls[c.ID].Version && !g.stale {
		g.crawls[c.ID] = c
	}
	return nil
}

// Discover implements api.Coordinator.
func (g *Group) Discover(_ context.Context, _ api.Call, d api.Discovery) ([]api.Result, error) {
	g.raced()
	if err := g.lock(); err != nil {
		return nil, err
	}
	defer g.mu.Unlock()
	c, ok := g.crawls[d.Crawl]
	switch {
	case !ok:
		return nil, salvor.Errorf(salvor.NotFound, "no crawl %d", d.Crawl)
	case c.Scope > d.Scope:
		return nil, salvor.Errorf(salvor.Conflict, "crawl %d is at scope version %d, not %d", d.Crawl, c.Scope, d.Scope)
	}
	if g.known[d.Crawl] == nil {
		g.known[d.Crawl] = map[salvor.Key]api.Offer{}
	}
	out := make([]api.Result, len(d.Items))
	for i, o := range d.Items {
		if _, there := g.known[d.Crawl][o.Key]; there {
			out[i] = api.Unchanged
		}
		g.known[d.Crawl][o.Key] = o
	}
	return out, nil
}

// Crawl implements api.View.
func (g *Group) Crawl(_ context.Context, id salvor.CrawlID) (api.Crawl, error) {
	if err := g.lock(); err != nil {
		return api.Crawl{}, err
	}
	defer g.mu.Unlock()
	c, ok := g.crawls[id]
	if !ok {
		return c, salvor.Errorf(salvor.NotFound, "no crawl %d", id)
	}
	return c, nil
}

// Crawls implements api.View.
func (g *Group) Crawls(context.Context) ([]api.Crawl, error) {
	if err := g.lock(); err != nil {
		return nil, err
	}
	defer g.mu.Unlock()
	return slices.SortedFunc(maps.Values(g.crawls), func(a, b api.Crawl) int { return cmp.Compare(a.ID, b.ID) }), nil
}

// look is what is told of a crawl: what a test set, else what was discovered.
func (g *Group) look(id salvor.CrawlID) (Look, error) {
	if err := g.lock(); err != nil {
		return Look{}, err
	}
	defer g.mu.Unlock()
	l, ok := g.looks[id]
	if !ok {
		n := int64(len(g.known[id]))
		l.Totals = api.Totals{Accepted: n, Queued: n}
	}
	return l, nil
}

// Totals implements api.View.
func (g *Group) Totals(_ context.Context, id salvor.CrawlID) (api.Totals, error) {
	l, err := g.look(id)
	return l.Totals, err
}

// Hosts implements api.View.
func (g *Group) Hosts(_ context.Context, id salvor.CrawlID, limit int) ([]api.Host, error) {
	l, err := g.look(id)
	if limit > 0 {
		l.Hosts = l.Hosts[:min(limit, len(l.Hosts))]
	}
	return l.Hosts, err
}

// Lookup implements api.View: what was offered is queued.
func (g *Group) Lookup(_ context.Context, id salvor.CrawlID, _ string, k salvor.Key) (api.Known, error) {
	if err := g.lock(); err != nil {
		return api.Known{}, err
	}
	defer g.mu.Unlock()
	o, ok := g.known[id][k]
	if !ok {
		return api.Known{}, salvor.Errorf(salvor.NotFound, "crawl %d does not know it", id)
	}
	return api.Known{Item: o.Item}, nil
}

// Types implements api.View.
func (g *Group) Types(_ context.Context, id salvor.CrawlID) (map[string]api.Count, error) {
	l, err := g.look(id)
	return l.Types, err
}

// Codes implements api.View.
func (g *Group) Codes(_ context.Context, id salvor.CrawlID) (map[int]api.Count, error) {
	l, err := g.look(id)
	return l.Codes, err
}

// Reasons implements api.View.
func (g *Group) Reasons(_ context.Context, id salvor.CrawlID) (map[api.Reason]int64, error) {
	l, err := g.look(id)
	return l.Reasons, err
}

// Records implements api.Registry.
func (g *Group) Records(ctx context.Context, table string) ([]api.Record, error) {
	if err := trust.AllowTable(ctx, table, false); err != nil {
		return nil, err
	}
	if err := g.lock(); err != nil {
		return nil, err
	}
	defer g.mu.Unlock()
	return slices.SortedFunc(maps.Values(g.rows[table]), func(a, b api.Record) int { return cmp.Compare(a.Key, b.Key) }), nil
}

// SetRecord implements api.Registry.
func (g *Group) SetRecord(ctx context.Context, r api.Record) (uint64, error) {
	if err := trust.AllowTable(ctx, r.Table, true); err != nil {
		return 0, err
	}
	g.raced()
	if err := g.lock(); err != nil {
		return 0, err
	}
	defer g.mu.Unlock()
	if v := g.rows[r.Table][r.Key].Version; v != r.Version {
		return 0, salvor.Errorf(salvor.Conflict, "row %s of %s is at version %d, not %d", r.Key, r.Table, v, r.Version)
	}
	v := g.put(r)
	if r.Table == api.TableBudgets {
		g.mu.Unlock()
		defer g.mu.Lock()
		g.cluster.bringMerges()
	}
	return v, nil
}

// put writes a row, or removes it. The caller holds mu.
func (g *Group) put(r api.Record) uint64 {
	if g.rows[r.Table] == nil {
		g.rows[r.Table] = map[string]api.Record{}
	}
	if len(r.Value) == 0 {
		delete(g.rows[r.Table], r.Key)
		return 0
	}
	g.version++
	r.Version = g.version
	g.rows[r.Table][r.Key] = r
	return r.Version
}
