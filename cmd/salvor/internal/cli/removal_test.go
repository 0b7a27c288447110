package cli

import (
	"fmt"
	"testing"

	"salvor"
	"salvor/api"
)

// TestRemoval takes a coordinator out of clusters of every size, with every
// number of the others silent: it is permitted exactly when those that are left
// can elect a leader.
func TestRemoval(t *testing.T) {
	for n := 1; n <= 7; n++ {
		for silent := range n {
			gone := member{Node: api.Node{ID: "gone", Name: "gone", Roles: []api.Role{api.RoleCoordinator}, State: api.NodeActive}}
			all := []member{gone, {Node: api.Node{ID: "old", Roles: []api.Role{api.RoleCoordinator}, State: api.NodeRemoved}}, {Node: api.Node{ID: "w", Roles: []api.Role{api.RoleWorker}}}}
			var st api.Status
			for i := range n - 1 {
				m := member{Node: api.Node{ID: fmt.Sprint(i), Name: fmt.Sprint(i), Roles: []api.Role{api.RoleCoordinator}, State: api.NodeActive}}
				all = append(all, m)
				s := api.NodeStatus{Node: m.Node, At: 1, Ready: true}
				if i < silent {
					s.Silent = "no answer"
				}
				st.Nodes = append(st.Nodes, s)
			}
			left, heard := n-1, n-1-silent
			a := afterRemoval(all, st, gone)
			if a.left != left || a.heard != heard || len(a.silent) != silent {
				t.Fatalf("%d with %d silent: %+v", n, silent, a)
			}
			err := a.permit(gone, false)
			if want := left > 0 && 2*heard > left; (err == nil) != want {
				t.Errorf("%d with %d silent: %v", n, silent, err)
			}
			if err != nil && (salvor.ClassOf(err) != salvor.Conflict || salvor.HintOf(err) == "") {
				t.Errorf("%d with %d silent: class %v, hint %q", n, silent, salvor.ClassOf(err), salvor.HintOf(err))
			}
			if forced := a.permit(gone, true); (forced == nil) != (left > 0) {
				t.Errorf("%d with %d silent, forced: %v", n, silent, forced)
			}
		}
	}
}
