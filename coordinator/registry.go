package coordinator

import (
	"context"

	"salvor"
	"salvor/api"
	"salvor/api/merge"
	"salvor/coordinator/frontier"
)

var _ api.Group = (*Group)(nil)

// Records implements api.Registry.
func (g *Group) Records(ctx context.Context, table string) ([]api.Record, error) {
	if table == "" || len(table) > frontier.MaxTable {
		return nil, salvor.Errorf(salvor.Invalid, "coordinator: no table has a name of %d bytes", len(table))
	}
	return look(ctx, g, func(m *frontier.Machine) ([]api.Record, error) { return m.Records(table) })
}

// SetRecord implements api.Registry. It is not repeated when its outcome is
// unknown: the second time another version would be there, its own.
func (g *Group) SetRecord(ctx context.Context, r api.Record) (version uint64, err error) {
	if r.Table == api.TableBudgets {
		g.merges.Lock()
		defer g.merges.Unlock()
		if err := g.admitMerge(ctx, r); err != nil {
			return 0, err
		}
	}
	return commit[uint64](ctx, g, api.Call{}, 0, &frontier.SetRecord{Record: r})
}

// admitMerge refuses hosts that another row merges, and rows that the other
// nodes could not act upon. A node that no longer leads commits nothing after
// what was read here.
func (g *Group) admitMerge(ctx context.Context, r api.Record) error {
	if len(r.Value) == 0 {
		return nil
	}
	if err := g.runsAt(frontier.LevelOf(&frontier.SetGroup{})); err != nil {
		return err
	}
	m, err := merge.Of(r)
	if err != nil {
		return err
	}
	if err := m.Check(); err != nil {
		return err
	}
	rows, err := g.Records(ctx, api.TableBudgets)
	if err != nil {
		return err
	}
	all, err := merge.All(rows)
	if err != nil {
		return err
	}
	return m.Apart(all)
}
