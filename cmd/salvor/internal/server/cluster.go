package server

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/route"
	"salvor/api/rpc"
	"salvor/coordinator"
	"salvor/coordinator/steward"
	"salvor/coordinator/trust"
	"salvor/storage/durable"
)

// openCoordinator opens the node's port and its replicas, if it coordinates.
func (n *node) openCoordinator(ctx context.Context) error {
	if !n.id.Has(api.RoleCoordinator) {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", n.c.Listen)
	if err != nil {
		return salvor.Errorf(salvor.Unavailable, "listen on %s: %w", n.c.Listen, err).
			WithHint("is another node running there? choose another address with --listen")
	}
	conf := n.id.ServerTLS("h2", "http/1.1", coordinator.RaftProtocol)
	var raft net.Listener
	n.listen, raft, n.split = coordinator.Split(l, conf, n.id.AllowRaft)
	dir := n.c.path("coordinator")
	if err := durable.MkdirAll(dir); err != nil {
		return err
	}
	n.coord, err = coordinator.StartNode(ctx, coordinator.NodeConfig{
		Dir: dir, ID: n.id.ID(), Address: n.c.Advertise, Groups: n.id.Settings().Groups, Bootstrap: n.id.Founding(),
		Raft: raft, Dial: n.dialRaft, CacheBytes: n.c.Cache, Logger: n.log, Clock: n.o.Clock,
		Level: uint16(n.c.Level), DeadAfter: n.c.DeadAfter,
	})
	return err
}

// dialRaft connects to another coordinator's Raft.
func (n *node) dialRaft(ctx context.Context, address string) (net.Conn, error) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: answerWithin}, Config: n.id.ClientTLS(coordinator.RaftProtocol)}
	return d.DialContext(ctx, "tcp", address)
}

// openRouter makes one coordinator of all groups.
func (n *node) openRouter(context.Context) error {
	client := n.httpClient()
	for i := range n.id.Settings().Groups {
		var g group = rpc.Dial(rpc.Config{Endpoints: n.coordinators, HTTP: client, Group: i})
		if n.coord != nil {
			own := n.coord.Group(i)
			g = near{local: witness{own, n}, leads: own.Leads, far: g}
		}
		n.groups = append(n.groups, g)
	}
	n.router = route.New(n.groups)
	if n.coord != nil {
		n.keys = trust.NewKeyring(n.router, n.id.Fingerprint(), trust.Options{})
	}
	return nil
}

// coordinators are the addresses of all coordinators, as far as this node
// knows.
func (n *node) coordinators() []string {
	var out []string
	for _, m := range n.members.All() {
		if m.State != api.NodeRemoved && m.Address != "" && slices.Contains(m.Roles, api.RoleCoordinator) {
			out = append(out, m.Address)
		}
	}
	if len(out) == 0 {
		return n.id.Coordinators()
	}
	return out
}

// leads says whether this node leads group 0.
func (n *node) leads() bool { return n.coord.Group(0).Leads() }

const (
	enrolEvery = 200 * time.Millisecond
	noteEvery  = 5 * time.Second
	// enrolWithin is how long a start waits for a leader before it goes on.
	enrolWithin = 5 * time.Second
	enrolStep   = 10 * time.Second
)

// enrolLoop writes what the registry must know of this node, once it can.
func (n *node) enrolLoop(ctx context.Context) {
	enroll := func(ctx context.Context) error { return n.id.Enroll(ctx, n.router) }
	for _, step := range []func(context.Context) error{n.claim, enroll, repeatable(n.reform), n.caughtUp, n.open, repeatable(n.present)} {
		for err := within(ctx, enrolStep, step); err != nil; err = within(ctx, enrolStep, step) {
			if permanent(err) {
				n.fail(err)
				return
			}
			n.log.Debug("the registry does not know this start yet", "error", err)
			if !wait(ctx, enrolEvery) {
				return
			}
		}
	}
}

// repeatable is a step that reads again what somebody else changed meanwhile.
func repeatable(step func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := step(ctx)
		if salvor.ClassOf(err) == salvor.Conflict {
			return salvor.Errorf(salvor.Unavailable, "%w", err)
		}
		return err
	}
}

// within gives a step some time.
func within(ctx context.Context, d time.Duration, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return step(ctx)
}

// claim makes the Store this cluster's, before anybody may save into it.
func (n *node) claim(ctx context.Context) error {
	if n.store == nil || n.direct || !n.id.Founding() {
		return nil
	}
	return claimStore(ctx, n.store, n.id.Settings())
}

// permanent says that time does not mend an error: somebody must.
func permanent(err error) bool {
	switch salvor.ClassOf(err) {
	case salvor.Forbidden, salvor.NotFound, salvor.Invalid, salvor.TooNew, salvor.Conflict:
		return err != nil
	}
	return false
}

// open lets callers in: of a restored cluster only once what was stored after
// the copy is known again, or they would fetch it anew.
func (n *node) open(ctx context.Context) error {
	if err := n.members.Refresh(ctx, n.router); err != nil {
		return err
	}
	close(n.enroled)
	return nil
}

// awaitEnrolment waits, on the first node of a new or restored cluster, until
// the registry knows the first key: before that nobody could get in.
func (n *node) awaitEnrolment(ctx context.Context) error {
	if n.coord == nil || !n.id.Founding() || fileExists(n.c.path(restoredFile)) {
		return nil // a restored one is let in when its worker has caught up
	}
	select {
	case <-n.enroled:
	case <-time.After(enrolWithin): // its group has no leader: /readyz says so
	case <-n.o.Stop:
	case <-ctx.Done():
	case err := <-n.fatal:
		return err
	}
	return nil
}

// present brings the node's own row up to what it is now.
func (n *node) present(ctx context.Context) error {
	records, err := n.router.Records(ctx, api.TableNodes)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(records, func(r api.Record) bool { return r.Key == n.id.ID() })
	if i < 0 {
		return salvor.Errorf(salvor.Unavailable, "the registry does not know this node")
	}
	var row api.Node
	if err := json.Unmarshal(records[i].Value, &row); err != nil {
		return salvor.Errorf(salvor.Internal, "read the node's row: %w", err)
	}
	if row.State == api.NodeRemoved {
		return errRemoved(row.Name)
	}
	now := row
	now.Address, now.Level, now.Version, now.Host = n.c.Advertise, uint16(level(n.c)), n.o.Version, hostname()
	if slices.Equal(now.Roles, row.Roles) && now.Address == row.Address && now.Level == row.Level && now.Version == row.Version && now.Host == row.Host {
		return nil
	}
	value, err := json.Marshal(now)
	if err != nil {
		return err
	}
	_, err = n.router.SetRecord(ctx, api.Record{Table: api.TableNodes, Key: row.ID, Value: value, Version: records[i].Version})
	return err
}

// noteLoop keeps what the node must know at its next start, and ends a node
// that was removed.
func (n *node) noteLoop(ctx context.Context) {
	client, refusals := n.httpClient(), 0
	for wait(ctx, noteEvery) {
		if n.shut(ctx, client) {
			refusals++
		} else {
			refusals = 0
		}
		if refusals >= mostRefusals || n.members.Removed(n.id.ID()) {
			n.fail(errRemoved(n.id.Peer().Name))
			return
		}
		if all := n.coordinators(); len(all) > 0 {
			if err := n.id.Note(n.settings(), all); err != nil {
				n.log.Warn("what the node knows of its cluster could not be written down", "error", err)
			}
		}
	}
}

// mostRefusals in a row, noteEvery apart, mean that the node was removed: its
// own replica cannot hear it any more.
const mostRefusals = 3

// shut reports whether every other coordinator that answers refuses this node.
func (n *node) shut(ctx context.Context, client *http.Client) bool {
	refused := false
	for _, a := range n.coordinators() {
		if a == n.id.Address() {
			continue
		}
		var x about
		switch err := getJSON(ctx, client, "https://"+a+"/v1/cluster", &x); {
		case err == nil:
			return false
		case salvor.ClassOf(err) == salvor.Forbidden:
			refused = true
		}
	}
	return refused
}

// settings are the cluster's, with the level in force.
func (n *node) settings() api.ClusterSettings {
	s := n.id.Settings()
	if n.coord != nil {
		s.Level = n.coord.Level()
	}
	return s
}

// stewardLoop looks after the crawls while this node leads.
func (n *node) stewardLoop(ctx context.Context) {
	steward.New(steward.Config{Groups: n.groups, Leads: n.leads, Settled: n.settled, Logger: n.log}).Run(ctx)
}

// ready says whether the node can do its work.
func (n *node) ready() (bool, []string) {
	var why []string
	if n.coord != nil {
		_, why = n.coord.Ready()
		select {
		case <-n.enroled:
		default:
			why = append(why, "it is starting: calls are not answered yet")
		}
	}
	if e := n.storeErr.Load(); e != nil {
		why = append(why, "the store: "+*e)
	}
	for _, w := range n.working() {
		if w.State == "failed" {
			why = append(why, "crawl "+w.Name+": "+w.Error)
		}
	}
	return len(why) == 0, why
}
