package coordinator

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/hashicorp/raft"

	"salvor"
	"salvor/api"
)

// Level is the feature level in force as this node knows it: what the registry
// says, 1 if it says nothing. It may lag behind the leader's, and only rises.
func (n *Node) Level() uint16 { return uint16(n.level.Load()) }

// levelLoop keeps Level up to date.
func (n *Node) levelLoop(ctx context.Context) {
	for wait(ctx, n.c.Clock, n.c.timing.level) {
		n.noteLevel()
	}
}

func (n *Node) noteLevel() {
	s, _, err := n.settings()
	if err != nil {
		n.c.Logger.Warn("feature level not read", "error", err)
		return
	}
	if l := uint32(s.Level); l > n.level.Load() {
		n.level.Store(l)
	}
}

// table reads a table of the registry from this node's replica of group 0.
func (n *Node) table(name string) ([]api.Record, error) {
	m, done, err := n.groups[0].replica.state.lend()
	if err != nil {
		return nil, err
	}
	defer done()
	return m.Records(name)
}

// settings are the cluster's, and their record; zero if there are none yet.
func (n *Node) settings() (s api.ClusterSettings, r api.Record, err error) {
	rows, err := n.table(api.TableCluster)
	if err != nil {
		return s, r, err
	}
	for _, r := range rows {
		if r.Key != api.SettingsKey {
			continue
		}
		if err := json.Unmarshal(r.Value, &s); err != nil {
			return s, r, salvor.Errorf(salvor.Internal, "coordinator: settings of the cluster: %w", err)
		}
		return s, r, nil
	}
	return s, r, nil
}

// nodes are the cluster's, by id. A record that cannot be read is left out, and
// said: one bad row must not take the votes from everyone else.
func (n *Node) nodes() (map[raft.ServerID]api.Node, error) {
	rows, err := n.table(api.TableNodes)
	if err != nil {
		return nil, err
	}
	all := make(map[raft.ServerID]api.Node, len(rows))
	for _, r := range rows {
		var x api.Node
		if err := json.Unmarshal(r.Value, &x); err != nil {
			n.c.Logger.Warn("node not read from the registry", "node", r.Key, "error", err)
			continue
		}
		all[raft.ServerID(r.Key)] = x
	}
	return all, nil
}

// raiseLoop raises the level once everyone has a higher one.
func (n *Node) raiseLoop(ctx context.Context, g *Group) {
	for wait(ctx, n.c.Clock, 10*n.c.timing.level) {
		if err := n.raise(ctx, g); err != nil {
			n.c.Logger.Warn("feature level not raised", "error", err)
		}
	}
}

func (n *Node) raise(ctx context.Context, g *Group) error {
	s, row, err := n.settings()
	if err != nil || row.Version == 0 {
		return err
	}
	nodes, err := n.nodes()
	if err != nil {
		return err
	}
	to := common(n.c.Level, nodes, n.servers())
	if to <= s.Level {
		return nil
	}
	// Fields that a newer version wrote must survive, hence no struct.
	var all map[string]json.RawMessage
	if err := json.Unmarshal(row.Value, &all); err != nil {
		return salvor.Errorf(salvor.Internal, "coordinator: settings of the cluster: %w", err)
	}
	all["level"] = json.RawMessage(strconv.Itoa(int(to)))
	if row.Value, err = json.Marshal(all); err != nil {
		return salvor.Errorf(salvor.Internal, "coordinator: settings of the cluster: %w", err)
	}
	if _, err = g.SetRecord(ctx, row); err == nil {
		n.c.Logger.Info("feature level raised", "from", s.Level, "to", to)
	}
	return err
}

// servers are those of all groups' configurations.
func (n *Node) servers() (all []raft.ServerID) {
	for _, g := range n.groups {
		for _, s := range g.replica.servers() {
			all = append(all, s.ID)
		}
	}
	return all
}

// common is the highest level that all coordinators have; 0 if one of them is
// not known.
func common(most uint16, nodes map[raft.ServerID]api.Node, servers []raft.ServerID) uint16 {
	for _, id := range servers {
		if _, ok := nodes[id]; !ok {
			return 0
		}
		most = min(most, nodes[id].Level)
	}
	for _, x := range nodes {
		if slices.Contains(x.Roles, api.RoleCoordinator) && x.State != api.NodeRemoved {
			most = min(most, x.Level)
		}
	}
	return most
}
