package server

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"salvor"
	"salvor/api"
	"salvor/api/webjson"
	"salvor/coordinator/pilot"
	"salvor/coordinator/trust"
)

// openPilot makes what plans for the cluster while this node leads group 0.
func (n *node) openPilot(context.Context) error {
	if n.coord == nil {
		return nil
	}
	groups := make([]pilot.Group, len(n.groups))
	for i, g := range n.groups {
		groups[i] = g.(group)
	}
	client := n.httpClient()
	n.pilot = pilot.New(pilot.Config{
		Groups: groups, Leads: n.leads, Logger: n.log, Outlooks: n.outlooks,
		Nodes:  func(ctx context.Context) []api.NodeStatus { return n.cluster(ctx, client, true).Nodes },
		Steer:  func(ctx context.Context, c api.Course) error { return n.steer(ctx, client, c) },
		Values: worths{}.of,
	})
	return nil
}

// steer tells this node and all other coordinators a course. One that does not
// answer is told at the next look.
func (n *node) steer(ctx context.Context, client *http.Client, c api.Course) error {
	if err := n.coord.Steer(c); err != nil {
		return err
	}
	var told sync.WaitGroup
	for _, a := range n.coordinators() {
		if a == n.id.Address() {
			continue
		}
		told.Go(func() {
			if err := postJSON(ctx, client, "https://"+a+"/v1/course", c); err != nil {
				n.log.Debug("a coordinator was not told the course", "address", a, "error", err)
			}
		})
	}
	told.Wait()
	return nil
}

const maxCourse = 4 << 20

// takeCourse follows what the planner's node says.
func (n *node) takeCourse(w http.ResponseWriter, r *http.Request) error {
	var c api.Course
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCourse)).Decode(&c); err != nil {
		return salvor.Errorf(salvor.Invalid, "the course cannot be read")
	}
	return n.coord.Steer(c)
}

// plan is the newest plan: this node's, or that of the node that leads group 0.
func (n *node) plan(ctx context.Context, client *http.Client) (v pilot.View, err error) {
	if v, ok := n.pilot.View(); ok && n.leads() {
		return v, nil
	}
	if n.leads() && n.c.Planner == PlannerOff {
		return v, salvor.Errorf(salvor.Unavailable, "the planner is switched off").WithHint("the settings of the node that leads group 0 say planner: off")
	}
	if n.leads() {
		return v, salvor.Errorf(salvor.Unavailable, "no plan was made yet").WithHint("a node makes one within seconds of becoming leader of group 0")
	}
	leader := n.coord.Status()[0].Address
	if leader == "" || leader == n.id.Address() {
		return v, salvor.Errorf(salvor.Unavailable, "group 0 has no leader now, which makes the plan")
	}
	return v, getJSON(ctx, client, "https://"+leader+"/v1/plan", &v)
}

// servePlan is what people and coordinators ask about the plan.
func (n *node) servePlan(mux *http.ServeMux, client *http.Client) {
	mux.Handle("GET /v1/plan", trust.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := n.plan(r.Context(), client)
		if err != nil {
			webjson.Error(w, err)
			return
		}
		webjson.Write(w, http.StatusOK, v)
	})))
	mux.Handle("POST /v1/course", trust.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := n.takeCourse(w, r); err != nil {
			webjson.Error(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}), api.RoleCoordinator))
}
