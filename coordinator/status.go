package coordinator

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/raft"

	"salvor/api"
)

// GroupStatus is one group as this node sees it.
type GroupStatus struct {
	api.GroupStatus
	Snapshot uint64       // log index of the newest snapshot; 0: none
	Peers    []PeerStatus // of the leader only: the other servers, by id
}

// PeerStatus is another server as the leader sees it.
type PeerStatus struct {
	ID      string
	Address string
	Voter   bool
	Behind  uint64 // entries its log lacks
	Contact int64  // ms since it answered; -1 never
	Sending bool   // a snapshot is on its way to it
}

// Status tells of all groups, in their order. It asks nobody.
func (n *Node) Status() []GroupStatus {
	all := make([]GroupStatus, len(n.groups))
	for i, g := range n.groups {
		all[i] = n.status(g)
	}
	return all
}

func (n *Node) status(g *Group) GroupStatus {
	s := GroupStatus{GroupStatus: api.GroupStatus{Group: g.number, State: "stopped", LastContact: -1, LogBytes: g.replica.grown.Load()}}
	r := g.replica.newest.Load()
	if d, ok, err := g.replica.snaps.newest(); err == nil && ok {
		s.Snapshot = d.Raft.Index
	}
	if g.failed() != nil || r == nil {
		return s
	}
	s.State = strings.ToLower(r.State().String())
	at, id := r.LeaderWithID()
	s.Leader, s.Address = string(id), string(at)
	s.Term, s.Commit, s.Applied = r.CurrentTerm(), r.CommitIndex(), r.AppliedIndex()
	now := n.c.Clock.Now()
	if at := r.LastContact(); r.State() == raft.Leader {
		s.LastContact = 0
	} else if !at.IsZero() {
		s.LastContact = now.Sub(at).Milliseconds()
	}
	for _, x := range g.replica.servers() {
		if x.Suffrage == raft.Voter {
			s.Voters = append(s.Voters, string(x.ID))
		} else {
			s.Nonvoters = append(s.Nonvoters, string(x.ID))
		}
		if r.State() != raft.Leader || x.ID == g.self.ID {
			continue
		}
		p := g.replica.link.heard.get(x.ID)
		q := PeerStatus{ID: string(x.ID), Address: string(x.Address), Voter: x.Suffrage == raft.Voter, Contact: -1, Sending: p.sending > 0}
		q.Behind = r.LastIndex() - min(p.last, r.LastIndex())
		if !p.at.IsZero() {
			q.Contact = now.Sub(p.at).Milliseconds()
		}
		s.Peers = append(s.Peers, q)
	}
	slices.SortFunc(s.Peers, func(a, b PeerStatus) int { return cmp.Compare(a.ID, b.ID) })
	return s
}

// readyWithin is how many entries a node may be behind and be called ready.
const readyWithin = 1000

// Ready says whether every group has a leader and this node keeps up with it;
// if not, why: one reason a group, to be read by people. It is how an operator
// knows that the next node may be stopped.
func (n *Node) Ready() (bool, []string) {
	var why []string
	for _, g := range n.groups {
		if r := n.unready(g); r != "" {
			why = append(why, fmt.Sprintf("group %d %s", g.number, r))
		}
	}
	return len(why) == 0, why
}

func (n *Node) unready(g *Group) string {
	if err := g.failed(); err != nil {
		return "has stopped: " + err.Error()
	}
	r := g.replica.newest.Load()
	at, id := r.LeaderWithID()
	switch {
	case g.replica.blank.Load():
		return "waits to be taken in by its leader"
	case at == "" || id == g.self.ID && !g.leads():
		return "has no leader"
	}
	end := max(g.replica.link.heard.told(), r.CommitIndex())
	if behind := end - min(r.AppliedIndex(), end); behind > readyWithin {
		return "is " + grouped(behind) + " entries behind"
	}
	return ""
}

// grouped writes a number with commas.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
