// Package server runs a node of a cluster: a coordinator, a worker, or both,
// behind one port.
//
// It is for the command line. It puts together what others do: trust says who
// is who, a coordinator.Node holds the frontier, a fleet fetches, the Store
// keeps. It guarantees that a clean stop loses no time for the others, that a
// kill loses nothing, and that what the node cannot do now is told by /readyz.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/route"
	"salvor/cmd/salvor/internal/fleet"
	"salvor/cmd/salvor/internal/job"
	"salvor/coordinator"
	"salvor/coordinator/audit"
	"salvor/coordinator/pilot"
	"salvor/coordinator/risk/stream"
	"salvor/coordinator/sites"
	"salvor/coordinator/trust"
	"salvor/storage"
	"salvor/storage/durable"
)

// Options are what a node gets from its process.
type Options struct {
	Version   string
	Log       io.Writer       // lines for operators
	Stop      <-chan struct{} // closed: stop cleanly. When the context of Run ends: at once
	OpenStore job.OpenStore   // opens the bucket of a URL
	Clock     coordinator.Clock
	Ready     func(Started) // told once, when the node serves
}

// Started is what a person wants to know of a node that serves.
type Started struct {
	Dir, Address, Name string
	Founded            string // of a cluster made just now: the file with the admin's key
}

// node is a running node. Its fields are set by open in the order of its steps.
type node struct {
	c       Config
	o       Options
	log     *slog.Logger
	lock    *os.File
	founded string
	id      *trust.Identity
	members *trust.Members
	listen  net.Listener // of HTTP
	split   func() error
	coord   *coordinator.Node // nil: a worker only
	groups  []api.Group
	router  *route.Router
	keys    *trust.Keyring
	store   storage.Store // nil: reached through a coordinator
	direct  bool          // store is a disk of this machine
	reports *reports
	metrics *metrics
	gauge   gauge
	pilot   *pilot.Pilot  // nil: no coordinator
	sites   *sites.Sites  // the same
	audit   *audit.Log    // the same
	alerts  *alerts       // the same
	probes  *probes       // the same
	stream  stream.Stream // the same: what workers met
	shelves shelves
	web     *web

	told    atomic.Pointer[api.NodeState] // of a worker: what a coordinator said of it
	enroled chan struct{}                 // closed once the registry has what the founding left for it

	rescans rescans

	storeErr atomic.Pointer[string] // why the Store is of no use now; nil: it is

	mu    sync.Mutex
	fleet *fleet.Fleet

	loops sync.WaitGroup
	ctx   context.Context    // of the loops
	end   context.CancelFunc // ends it
	fatal chan error
	run   string // drawn anew by each process: a node can run once only
	began time.Time
}

// Run runs a node until it is stopped. In a new directory it founds a cluster
// of this machine alone.
func Run(ctx context.Context, c Config, o Options) (err error) {
	n := &node{c: c, o: o, log: logger(c, o.Log), members: trust.NewMembers(), run: rand.Text(), began: time.Now(), fatal: make(chan error, 1), enroled: make(chan struct{}), end: func() {}}
	defer func() { err = errors.Join(err, n.close()) }()
	for _, step := range []func(context.Context) error{
		n.openDir, n.openIdentity, n.openStore, n.openCoordinator, n.openRouter, n.openSites, n.openProbes, n.openPilot, n.openWeb, n.openAlerts,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	loops, end := context.WithCancel(context.WithoutCancel(ctx))
	n.ctx, n.end = loops, end
	n.start(loops)
	if err := n.awaitEnrolment(ctx); err != nil {
		return err
	}
	if o.Ready != nil {
		o.Ready(Started{Dir: c.Dir, Address: n.address(), Name: n.id.Peer().Name, Founded: n.founded})
	}
	return n.work(ctx)
}

// start sets the loops to work that end with the node.
func (n *node) start(ctx context.Context) {
	n.loops.Go(func() { trust.Renewer{Identity: n.id, Logger: n.log}.Run(ctx) })
	n.loops.Go(func() { n.loadLoop(ctx) })
	if n.coord == nil {
		n.loops.Go(func() { n.followLoop(ctx) })
		n.loops.Go(func() { n.reportLoop(ctx) })
		return
	}
	n.loops.Go(func() { n.enrolLoop(ctx) })
	n.loops.Go(func() { n.members.Run(ctx, n.router, membersEvery, nil) })
	n.loops.Go(func() { n.noteLoop(ctx) })
	n.loops.Go(func() { n.stewardLoop(ctx) })
	n.loops.Go(func() { n.rankLoop(ctx) })
	n.loops.Go(func() { n.alertLoop(ctx) })
	n.loops.Go(func() { n.probeLoop(ctx) })
	n.loops.Go(func() { n.witnessLoop(ctx) })
	n.loops.Go(func() { n.againLoop(ctx) })
	n.loops.Go(func() { n.alerts.sender.Run(ctx) })
	if n.c.Planner != PlannerOff {
		n.loops.Go(func() { n.pilot.Run(ctx) })
	}
	n.loops.Go(func() { n.checkpointLoop(ctx) })
	n.loops.Go(func() { n.storeLoop(ctx) })
	n.loops.Go(func() { n.shelfLoop(ctx) })
}

// membersEvery bounds how long a removed node is still let in.
const membersEvery = 2 * time.Second

// work runs the fleets until the node is to stop, or must.
func (n *node) work(ctx context.Context) error {
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- n.fleets(working) }()
	select {
	case err := <-n.fatal:
		cancel()
		return errors.Join(err, <-done)
	case <-n.failed():
		cancel()
		return errors.Join(n.coord.Err(), <-done)
	case err := <-done:
		return err
	}
}

// failed closes when a group cannot go on, for its disk perhaps: the others
// have elected without this node by then.
func (n *node) failed() <-chan struct{} {
	if n.coord == nil {
		return nil
	}
	return n.coord.Failed()
}

func (n *node) openDir(context.Context) (err error) {
	n.lock, err = lockDir(n.c.Dir)
	return err
}

// ErrInUse is in the error of what needs a directory that a node runs in.
var ErrInUse = errors.New("in use by another process")

// lockDir makes a node's directory where there is none, and takes it for this
// process, until the file is closed. A conflict if another has it.
func lockDir(dir string) (*os.File, error) {
	if err := durable.MkdirAll(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, durable.Error(err, "open", path)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = salvor.Errorf(salvor.Conflict, "%s is %w", dir, ErrInUse).
			WithHint("a node runs once a directory: stop the other, or choose another --dir")
	}
	if err = durable.Error(err, "lock", dir); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openIdentity loads the node's identity, or founds a cluster of it alone.
func (n *node) openIdentity(context.Context) (err error) {
	o := trust.Options{Removed: n.members.Removed}
	ok, err := trust.Member(n.c.identityDir())
	if err != nil {
		return err
	}
	if !ok {
		if err := n.c.empty(); err != nil {
			return err
		}
		if _, n.founded, err = Found(n.c, n.o.Version); err != nil {
			return err
		}
	}
	if n.id, err = trust.Load(n.c.identityDir(), o); err != nil {
		return err
	}
	if in := n.id.Settings().Level; n.c.Level > 0 && n.c.Level < int(in) {
		return salvor.Errorf(salvor.TooNew, "the cluster runs at feature level %d, and this node is to run at %d", in, n.c.Level).WithHint("leave feature-level out")
	}
	if has := n.id.Settings().Groups; n.c.Grouped && n.c.Groups != has {
		return salvor.Errorf(salvor.Invalid, "the cluster has %d groups, for good, and groups says %d", has, n.c.Groups).WithHint("leave groups out")
	}
	if n.id.Has(api.RoleCoordinator) && n.id.Address() != n.c.Advertise {
		n.log.Info("the node is reached under another address now", "address", n.c.Advertise)
		return n.id.Advertise(n.c.Advertise, nil)
	}
	return nil
}

// has says whether the node has a role: it must be certified, and wanted here.
func (n *node) has(r api.Role) bool { return n.id.Has(r) && n.c.Has(r) }

func (n *node) address() string {
	if n.listen == nil {
		return ""
	}
	return n.listen.Addr().String()
}

// close ends what is open, the last first.
func (n *node) close() error {
	var errs []error
	n.end()
	if n.web != nil {
		errs = append(errs, n.web.close())
	}
	n.loops.Wait()
	if n.coord != nil {
		errs = append(errs, n.coord.Close(context.Background()))
	}
	if n.split != nil {
		errs = append(errs, n.split())
	}
	if n.probes != nil {
		errs = append(errs, n.probes.asn.Close())
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Close())
	}
	return errors.Join(errs...)
}

func logger(c Config, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo // the flag takes only levels
	}
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// untilEnd is ctx, ended when the node ends.
func (n *node) untilEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(n.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// fail ends the node with an error; the first counts.
func (n *node) fail(err error) {
	select {
	case n.fatal <- err:
	default:
	}
}

// wait sleeps; false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func hostname() string {
	host, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return host
}

// empty refuses to found a cluster over what is left of a node.
func (c Config) empty() error {
	for _, name := range []string{"identity", "coordinator", "worker", "store"} {
		if fileExists(c.path(name)) {
			return salvor.Errorf(salvor.Conflict, "%s holds %s of a node, but no node", c.Dir, name).
				WithHint("put the node's identity directory back; or go on as a cluster from its store: salvor cluster restore; or make a new one elsewhere with --dir")
		}
	}
	return nil
}

func (c Config) identityDir() string { return c.path("identity") }

// errRemoved ends a node that was taken out of its cluster.
func errRemoved(name string) error {
	return salvor.Errorf(salvor.Forbidden, "node %s was removed from the cluster", name).
		WithHint("what is in its spool was reported before; to bring the machine back, join with a new token and a new --dir")
}
