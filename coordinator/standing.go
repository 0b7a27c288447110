package coordinator

import (
	"github.com/hashicorp/raft"
)

// stands is Raft's word on what this node is.
func (g *replica[M]) stands() raft.RaftState {
	if r := g.newest.Load(); r != nil {
		return r.State()
	}
	return raft.Shutdown
}

// servers is the group's newest configuration here, committed or not.
func (g *replica[M]) servers() []raft.Server {
	if r := g.newest.Load(); r != nil {
		return r.GetConfiguration().Configuration().Servers
	}
	return nil
}

// sole says that nobody but this node has a vote.
func (g *replica[M]) sole() bool {
	mine, voters := false, 0
	for _, s := range g.servers() {
		if s.Suffrage == raft.Voter {
			voters++
			mine = mine || s.ID == g.c.ID
		}
	}
	return mine && voters == 1
}
