package trust

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"salvor/api"
)

// Members is a copy of the cluster's nodes in memory, kept by Run. It is what
// tells an Identity which nodes were removed. Safe for concurrent use; before
// the first Refresh it knows nobody, and so of no removed one.
type Members struct {
	mu    sync.RWMutex
	nodes map[string]api.Node
}

// NewMembers knows nobody yet.
func NewMembers() *Members { return &Members{} }

// Removed reports whether a node was removed.
func (m *Members) Removed(id string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.nodes[id].State == api.NodeRemoved
}

// All is every node by id, the removed ones included.
func (m *Members) All() []api.Node {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.SortedFunc(maps.Values(m.nodes), func(a, b api.Node) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
}

// Refresh reads the nodes from the registry.
func (m *Members) Refresh(ctx context.Context, reg api.Registry) error {
	all, err := rows[api.Node](ctx, reg, api.TableNodes)
	if err != nil {
		return err
	}
	nodes := make(map[string]api.Node, len(all))
	for _, r := range all {
		nodes[r.key] = r.value
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes = nodes
	return nil
}

// Run refreshes until ctx ends. A read that fails leaves what is known; failed
// (may be nil) is told.
func (m *Members) Run(ctx context.Context, reg api.Registry, every time.Duration, failed func(error)) {
	for ctx.Err() == nil {
		read, cancel := context.WithTimeout(ctx, max(every, readLimit))
		err := m.Refresh(read, reg)
		cancel()
		if err != nil && ctx.Err() == nil && failed != nil {
			failed(err)
		}
		if pause(ctx, every) != nil {
			return
		}
	}
}

// coordinatorsOf are the addresses of the coordinators among nodes, sorted.
func coordinatorsOf(nodes []row[api.Node]) []string {
	var out []string
	for _, n := range nodes {
		if n.value.State != api.NodeRemoved && n.value.Address != "" && slices.Contains(n.value.Roles, api.RoleCoordinator) {
			out = append(out, n.value.Address)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
