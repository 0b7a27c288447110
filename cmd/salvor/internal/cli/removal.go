package cli

import (
	"fmt"
	"slices"
	"strings"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/progress"
)

// aftermath is what a cluster is without a node.
type aftermath struct {
	voter   bool     // the node is a coordinator
	left    int      // coordinators without it
	heard   int      // of these, heard of lately
	silent  []string // the others
	leads   []int    // groups it leads now
	held    int64    // captures of its worker that wait for the Store
	atWork  bool     // its worker has crawls
	drained bool     // it was told to drain before
}

// afterRemoval looks ahead.
func afterRemoval(all []member, st api.Status, gone member) aftermath {
	a := aftermath{voter: slices.Contains(gone.Roles, api.RoleCoordinator), drained: gone.State == api.NodeDraining}
	seen := map[string]api.NodeStatus{}
	for _, n := range st.Nodes {
		seen[n.Node.ID] = n
	}
	for _, m := range all {
		if m.ID == gone.ID || m.State == api.NodeRemoved || !slices.Contains(m.Roles, api.RoleCoordinator) {
			continue
		}
		a.left++
		if n, ok := seen[m.ID]; ok && n.At > 0 && n.Silent == "" {
			a.heard++
		} else {
			a.silent = append(a.silent, m.Name)
		}
	}
	n := seen[gone.ID]
	if n.Silent != "" {
		return a
	}
	for _, g := range n.Groups {
		if g.State == "leader" {
			a.leads = append(a.leads, g.Group)
		}
	}
	for _, k := range n.Work {
		a.held += k.Held
		a.atWork = a.atWork || k.State != "ended"
	}
	return a
}

// majority of n voters.
func majority(n int) int { return n/2 + 1 }

// permit refuses what would leave the cluster without a leader.
func (a aftermath) permit(m member, force bool) error {
	switch {
	case !a.voter:
		return nil
	case a.left == 0:
		return salvor.Errorf(salvor.Conflict, "node %s is the only coordinator: without it there is no cluster", m.Name).
			WithHint("let another coordinator join first: salvor cluster token, then salvor join")
	case a.heard < majority(a.left) && !force:
		return salvor.Errorf(salvor.Conflict, "without node %s, %d of %s would be heard of, and %d are needed to elect a leader; nothing is heard of %s",
			m.Name, a.heard, progress.Counted(int64(a.left), "coordinator"), majority(a.left), strings.Join(a.silent, ", ")).
			WithHint("start those first, or remove one of them instead; --force removes it all the same")
	}
	return nil
}

// text says what happens now.
func (a aftermath) text() string {
	parts := []string{"its certificate is refused"}
	if a.voter {
		bear := a.left - majority(a.left)
		parts = append(parts, fmt.Sprintf("it votes no more; %s %s left, which can do without %d", progress.Counted(int64(a.left), "coordinator"), areOrIs(a.left), bear))
	}
	if len(a.leads) > 0 {
		parts = append(parts, fmt.Sprintf("another leads %s within seconds", progress.Counted(int64(len(a.leads)), "group")))
	}
	if a.atWork {
		parts = append(parts, "what it was fetching is given to others in 12 s")
	}
	if a.held > 0 && !a.drained {
		parts = append(parts, fmt.Sprintf("%s that it had not stored are fetched again", progress.Counted(a.held, "capture")))
	}
	return strings.Join(parts, "; ")
}

func areOrIs(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
