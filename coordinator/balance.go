package coordinator

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"salvor"
	"salvor/api"
)

// With several groups the leads are spread over the coordinators, and a node
// that is draining or stops leaves its own to others.

// balancePause follows a transfer, in looks, so that everyone sees what it did
// before the next.
const balancePause = 2

// balanceLoop hands over leads this node has too many of, one at a time.
func (n *Node) balanceLoop(ctx context.Context) {
	pause := 0
	for wait(ctx, n.c.Clock, n.c.timing.balance) {
		if pause--; pause > 0 {
			continue
		}
		pause = balancePause
		for ctx.Err() == nil {
			g, to, goes, ok := n.surplus()
			if !ok {
				break
			}
			if err := n.handOver(ctx, g, []raft.Server{to}); err != nil {
				g.log.Info("lead not handed over", "to", to.ID, "error", err)
				break
			}
			if !goes {
				break
			}
		}
	}
}

// lead is one of the groups this node leads, and who could take it over.
type lead struct {
	group int
	heirs []raft.Server
}

// surplus is a group this node should not lead, and who should; goes means that
// it should lead none.
func (n *Node) surplus() (g *Group, to raft.Server, goes, ok bool) {
	nodes, err := n.nodes()
	if err != nil {
		return nil, to, false, false
	}
	self, known := nodes[n.self.ID]
	goes = known && self.State != api.NodeActive
	leaders := make([]raft.ServerID, len(n.groups))
	var mine []lead
	for i, g := range n.groups {
		_, leaders[i] = g.replica.newest.Load().LeaderWithID()
		if leaders[i] == "" && !goes {
			return nil, to, false, false // let it settle first
		}
		if leaders[i] == n.self.ID && g.leads() {
			mine = append(mine, lead{i, n.heirs(g)})
		}
	}
	i, to, ok := pickHeir(leaders, mine, n.self.ID, goes)
	return n.groups[i], to, goes, ok
}

// pickHeir chooses which lead goes to whom: the heir that leads least, if it
// leads fewer than this node will after; any heir if this node goes.
func pickHeir(leaders []raft.ServerID, mine []lead, self raft.ServerID, goes bool) (group int, to raft.Server, ok bool) {
	count := map[raft.ServerID]int{}
	for _, id := range leaders {
		count[id]++
	}
	able := map[raft.ServerID]bool{self: true}
	for _, l := range mine {
		for _, h := range l.heirs {
			able[h.ID] = true
		}
	}
	fair := (len(leaders) + len(able) - 1) / len(able)
	best := -1
	for _, l := range mine {
		for _, h := range l.heirs {
			c := count[h.ID]
			if !goes && (len(mine) <= fair || c+1 >= len(mine)) {
				continue
			}
			if best < 0 || c < best {
				best, group, to = c, l.group, h
			}
		}
	}
	return group, to, best >= 0
}

// heirs are the voters that could lead a group now, the ones that stay.
func (n *Node) heirs(g *Group) (all []raft.Server) {
	nodes, err := n.nodes()
	if err != nil {
		return nil
	}
	r := g.replica.newest.Load()
	now := n.c.Clock.Now()
	for _, s := range g.replica.servers() {
		x, known := nodes[s.ID]
		if s.Suffrage != raft.Voter || s.ID == n.self.ID || known && x.State != api.NodeActive {
			continue
		}
		p := g.replica.link.heard.get(s.ID)
		if now.Sub(p.at) <= wellWithin && p.last+keepsUp >= r.LastIndex() && p.sending == 0 && !p.blank {
			all = append(all, s)
		}
	}
	return all
}

// handOver gives the lead to the first of the heirs that takes it.
func (n *Node) handOver(ctx context.Context, g *Group, heirs []raft.Server) error {
	err := error(salvor.Errorf(salvor.Unavailable, "coordinator: nobody can take over group %d", g.number))
	slices.SortFunc(heirs, func(a, b raft.Server) int {
		return -cmp.Compare(g.replica.link.heard.get(a.ID).last, g.replica.link.heard.get(b.ID).last)
	})
	for _, h := range heirs {
		err = g.replica.ask(ctx, func(r *raft.Raft) raft.Future { return r.LeadershipTransferToServer(h.ID, h.Address) })
		if err == nil {
			g.log.Info("lead handed over", "to", h.ID)
			return nil
		}
		if ctx.Err() != nil || g.replica.stands() != raft.Leader {
			break
		}
	}
	return err
}

// leave hands a group over before this node stops, and waits until somebody
// leads it, so that calls find their way.
func (n *Node) leave(ctx context.Context, g *Group) {
	heirs := n.heirs(g)
	if g.replica.stands() != raft.Leader || len(heirs) == 0 {
		return
	}
	if err := n.handOver(ctx, g, heirs); err != nil {
		g.log.Info("stopping without handing the lead over", "error", err)
		return
	}
	for wait(ctx, n.c.Clock, 10*time.Millisecond) {
		if _, id := g.replica.newest.Load().LeaderWithID(); id != "" && id != n.self.ID {
			return
		}
	}
}

// leads says that this node's reign over the group goes on.
func (g *Group) leads() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reign != nil
}
