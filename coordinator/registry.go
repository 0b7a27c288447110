package coordinator

import (
	"context"

	"salvor"
	"salvor/api"
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
	return commit[uint64](ctx, g, api.Call{}, 0, &frontier.SetRecord{Record: r})
}
