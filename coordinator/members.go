package coordinator

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"salvor/api"
)

// Who is in a group follows the registry: its leader takes coordinators in,
// gives them a vote once they keep up, and takes it from those that are gone.
// One change at a time, and none that would leave the voters without a healthy
// majority.

const (
	// mostVoters bounds how many must hear of each entry; further coordinators
	// keep up without a vote, and get one when a voter loses its own.
	mostVoters = 7
	// leastVoters is kept when voters die: with fewer, one more loss stops all.
	leastVoters = 3
	// wellWithin is how recently a healthy server answered.
	wellWithin = 3 * time.Second
	// keepsUp is how many entries it may be behind.
	keepsUp = 1000
)

// member is a server of a group's configuration, or a coordinator that the
// registry names, as the leader sees it.
type member struct {
	id      raft.ServerID
	in      bool // the configuration
	voter   bool
	address raft.ServerAddress // in the configuration
	want    raft.ServerAddress // the registry's; "" none
	removed bool
	silent  time.Duration // since its last answer; 0 for the leader
	behind  uint64        // entries
	steady  time.Duration // for how long it has been well
	sending bool          // a snapshot is on its way to it
	blank   bool          // it lost its log
}

func (m member) well() bool {
	return m.silent <= wellWithin && m.behind <= keepsUp && !m.sending && !m.blank
}

// change is one step towards what the registry wants.
type change struct {
	what string // add, promote, demote, remove, move, leave
	id   raft.ServerID
	to   raft.ServerAddress
}

// plan is the next change, if one is needed. self leads.
func plan(self raft.ServerID, all []member, steady, dead time.Duration) (change, bool) {
	voters, late := 0, false
	for _, m := range all {
		if m.voter {
			voters++
			late = late || !m.well() && m.silent < dead
		}
	}
	// Votes that count for nothing go first, they only raise the majority.
	for _, m := range all {
		if m.voter && m.blank && !m.sending && safeWithout(all, m.id) {
			return change{"demote", m.id, m.address}, true
		}
	}
	for _, m := range all {
		if !m.in || !m.removed || m.sending {
			continue
		}
		if m.id == self {
			return change{what: "leave", id: m.id}, true
		}
		if !m.voter || safeWithout(all, m.id) {
			return change{"remove", m.id, m.address}, true
		}
	}
	for _, m := range all {
		if m.in && !m.removed && m.want != "" && m.want != m.address {
			return change{"move", m.id, m.want}, true
		}
	}
	for _, m := range all {
		if !m.in && !m.removed && m.want != "" {
			return change{"add", m.id, m.want}, true
		}
	}
	// Raft gives no vote to a server it does not know as a voter yet. So all who
	// are alive must be there to hear of a new one: if this node vanished next,
	// one that missed it would not elect the newcomer.
	for _, m := range all {
		if m.in && !m.voter && !m.removed && m.well() && m.steady >= steady && voters < mostVoters && !late {
			return change{"promote", m.id, m.address}, true
		}
	}
	for _, m := range all {
		if m.voter && m.silent >= dead && !m.sending && voters > leastVoters && safeWithout(all, m.id) {
			return change{"demote", m.id, m.address}, true
		}
	}
	return change{}, false
}

// safeWithout says that the voters other than id have a healthy majority.
func safeWithout(all []member, id raft.ServerID) bool {
	left, well := 0, 0
	for _, m := range all {
		if !m.voter || m.id == id {
			continue
		}
		left++
		if m.well() {
			well++
		}
	}
	return left > 0 && well > left/2
}

// membersLoop looks after the members of a group while this node leads it.
func (n *Node) membersLoop(ctx context.Context, g *Group, began time.Time) {
	well := map[raft.ServerID]time.Time{} // since when
	for wait(ctx, n.c.Clock, n.c.timing.members) {
		all, err := n.members(g, began, well)
		if errors.Is(err, errClosed) {
			return // the registry's group went first
		}
		if err != nil {
			g.log.Warn("members not known", "error", err)
			continue
		}
		c, ok := plan(g.self.ID, all, n.c.timing.steady, n.c.DeadAfter)
		if !ok {
			continue
		}
		if err := n.apply(ctx, g, c); err != nil {
			g.log.Info("member not changed", "change", c.what, "node", c.id, "error", err)
			continue
		}
		g.log.Info("member changed", "change", c.what, "node", c.id, "address", c.to)
	}
}

// members puts together what configuration, registry and messages say, in the
// order of ids.
func (n *Node) members(g *Group, began time.Time, well map[raft.ServerID]time.Time) ([]member, error) {
	nodes, err := n.nodes()
	if err != nil {
		return nil, err
	}
	byID := map[raft.ServerID]member{}
	for _, s := range g.replica.servers() {
		byID[s.ID] = member{id: s.ID, in: true, voter: s.Suffrage == raft.Voter, address: s.Address}
	}
	for id, x := range nodes {
		m := byID[id]
		m.id = id
		switch {
		case x.State == api.NodeRemoved:
			m.removed = true
		case slices.Contains(x.Roles, api.RoleCoordinator):
			m.want = raft.ServerAddress(x.Address)
		}
		if m.in || m.want != "" && !m.removed {
			byID[id] = m
		}
	}
	all := make([]member, 0, len(byID))
	for _, m := range byID {
		n.observe(g, &m, began, well)
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b member) int { return cmp.Compare(a.id, b.id) })
	return all, nil
}

// observe fills in how a member is. Silence is counted from the beginning of
// the reign at the earliest.
func (n *Node) observe(g *Group, m *member, began time.Time, well map[raft.ServerID]time.Time) {
	now := n.c.Clock.Now()
	if m.id != g.self.ID {
		p := g.replica.link.heard.get(m.id)
		at := p.at
		if at.Before(began) {
			at = began
		}
		m.silent, m.sending, m.blank = now.Sub(at), p.sending > 0, p.blank
		if p.at.IsZero() {
			m.silent = max(m.silent, wellWithin+1)
		}
		if r := g.replica.newest.Load(); r != nil {
			m.behind = r.LastIndex() - min(p.last, r.LastIndex())
		}
	}
	if !m.well() {
		delete(well, m.id)
	} else if _, ok := well[m.id]; !ok {
		well[m.id] = now
	}
	if at, ok := well[m.id]; ok {
		m.steady = now.Sub(at)
	}
}

// configTime bounds how long a change waits for Raft's main loop.
const configTime = 10 * time.Second

// apply makes a change. Nobody else makes any while this node leads.
func (n *Node) apply(ctx context.Context, g *Group, c change) error {
	if c.what == "leave" {
		return n.handOver(ctx, g, n.heirs(g))
	}
	if c.what == "add" && !g.replica.wide.Load() {
		// Ends the reign. The next one goes on from here.
		g.log.Info("the group grows, its time-outs become a cluster's")
		err := g.replica.widen()
		g.candidate()
		return err
	}
	return g.replica.ask(ctx, func(r *raft.Raft) raft.Future {
		switch c.what {
		case "add":
			return r.AddNonvoter(c.id, c.to, 0, configTime)
		case "promote":
			return r.AddVoter(c.id, c.to, 0, configTime)
		case "demote":
			return r.DemoteVoter(c.id, 0, configTime)
		case "remove":
			return r.RemoveServer(c.id, 0, configTime)
		}
		return moved(r, c)
	})
}

// moved changes an address and leaves the vote as it is.
func moved(r *raft.Raft, c change) raft.Future {
	for _, s := range r.GetConfiguration().Configuration().Servers {
		if s.ID == c.id && s.Suffrage != raft.Voter {
			return r.AddNonvoter(c.id, c.to, 0, configTime)
		}
	}
	return r.AddVoter(c.id, c.to, 0, configTime)
}
