package server

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"salvor/api"
)

const (
	reportEvery = 3 * time.Second
	// silentAfter is when a node that was heard of counts as silent.
	silentAfter = 4 * reportEvery
	// reportKept bounds what is remembered of nodes that went away.
	reportKept = time.Hour
)

// reports are what workers said of themselves, here.
type reports struct {
	mu   sync.Mutex
	last map[string]api.NodeStatus // by node id
	runs twins
}

func newReports() *reports { return &reports{last: map[string]api.NodeStatus{}, runs: twins{}} }

// put keeps what a node says; a conflict if another process runs as the same node.
func (r *reports) put(s api.NodeStatus, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs.forget(now)
	if err := r.runs.heard(&s, now); err != nil {
		return err
	}
	s.At = now.UnixMilli()
	r.last[s.Node.ID] = s
	for id, x := range r.last {
		if now.Sub(time.UnixMilli(x.At)) > reportKept {
			delete(r.last, id)
		}
	}
	return nil
}

func (r *reports) all() (out []api.NodeStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, s := range r.last {
		if r.runs.twice(s.Node.ID, now) {
			s.Ready, s.Reasons = false, append(slices.Clone(s.Reasons), "two processes run as this node, of two copies of its directory: stop one, and let its machine join with a new token (salvor join)")
		}
		out = append(out, s)
	}
	return out
}

// status is what this node says of itself.
func (n *node) status() api.NodeStatus {
	p := n.id.Peer()
	s := api.NodeStatus{
		Node: api.Node{ID: p.ID, Name: p.Name, Roles: p.Roles, Address: n.id.Address(), Level: uint16(level(n.c)), Version: n.o.Version, State: n.state()},
		At:   time.Now().UnixMilli(), Work: n.working(), Run: n.run, Began: n.began.UnixMilli(),
	}
	s.Ready, s.Reasons = n.ready()
	if n.has(api.RoleWorker) {
		s.Load = n.gauge.read()
	}
	if n.coord != nil {
		for _, g := range n.coord.Status() {
			s.Groups = append(s.Groups, g.GroupStatus)
		}
	}
	return s
}

// heard is what a coordinator knows: itself, and the workers that report to it.
func (n *node) heard() []api.NodeStatus { return append(n.reports.all(), n.status()) }

// cluster asks all coordinators what they know, and puts it together with the
// registry. real says whether names and addresses of machines are told.
func (n *node) cluster(ctx context.Context, client *http.Client, real bool) api.Status {
	now := time.Now()
	out := api.Status{At: now.UnixMilli(), Cluster: n.settings()}
	news, silent := n.gather(ctx, client)
	names := pseudonyms(n.members.All())
	for _, m := range n.members.All() {
		if m.State == api.NodeRemoved {
			continue
		}
		s, ok := news[m.ID]
		switch {
		case !ok && silent[m.Address] != "":
			s.Silent = silent[m.Address]
		case !ok:
			s.Silent = "it has not reported since this coordinator started"
		case now.Sub(time.UnixMilli(s.At)) > silentAfter:
			s.Silent = "it stopped reporting"
			s.Ready = false
		}
		s.Node = m
		if !real {
			hide(&s, names)
		}
		out.Nodes = append(out.Nodes, s)
	}
	slices.SortFunc(out.Nodes, func(a, b api.NodeStatus) int { return strings.Compare(a.Node.Name, b.Node.Name) })
	return out
}

// pseudonyms puts nodes' names in the place of their addresses.
func pseudonyms(nodes []api.Node) *strings.Replacer {
	var pairs []string
	for _, m := range nodes {
		if m.Address == "" {
			continue
		}
		pairs = append(pairs, m.Address, m.Name)
		if host, _, err := net.SplitHostPort(m.Address); err == nil {
			pairs = append(pairs, host, m.Name)
		}
	}
	return strings.NewReplacer(pairs...)
}

// hide takes out what only admins may know of a machine.
func hide(s *api.NodeStatus, names *strings.Replacer) {
	s.Node.Address, s.Node.Host = "", ""
	s.Silent = names.Replace(s.Silent)
	for i := range s.Reasons {
		s.Reasons[i] = names.Replace(s.Reasons[i])
	}
	for i := range s.Groups {
		s.Groups[i].Address = ""
	}
	for i := range s.Work {
		s.Work[i].Why, s.Work[i].Error = names.Replace(s.Work[i].Why), names.Replace(s.Work[i].Error)
	}
}

// gather asks the other coordinators, all at once: the newest word of each node,
// and why a coordinator did not answer.
func (n *node) gather(ctx context.Context, client *http.Client) (news map[string]api.NodeStatus, silent map[string]string) {
	news, silent = map[string]api.NodeStatus{}, map[string]string{}
	var mu sync.Mutex
	take := func(all []api.NodeStatus) {
		mu.Lock()
		defer mu.Unlock()
		for _, s := range all {
			if s.At >= news[s.Node.ID].At {
				news[s.Node.ID] = s
			}
		}
	}
	take(n.heard())
	var asked sync.WaitGroup
	for _, a := range n.coordinators() {
		if a == n.id.Address() {
			continue
		}
		asked.Go(func() {
			var all []api.NodeStatus
			if err := getJSON(ctx, client, "https://"+a+"/v1/heard", &all); err != nil {
				mu.Lock()
				defer mu.Unlock()
				silent[a] = err.Error()
				return
			}
			take(all)
		})
	}
	asked.Wait()
	return news, silent
}
