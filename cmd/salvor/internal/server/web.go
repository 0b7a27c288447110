package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"salvor"
	"salvor/api"
	"salvor/api/rpc"
	"salvor/api/webjson"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/cmd/salvor/internal/siteweb"
	"salvor/coordinator/trust"
	"salvor/storage/signed"
)

// web is what a node serves over HTTP: on its one port with TLS, and, where
// wanted, health and metrics on a port without.
type web struct {
	main, plain *http.Server
}

// openWeb begins to serve. A node that only works has no port but that of its
// metrics.
func (n *node) openWeb(ctx context.Context) error {
	n.reports = newReports()
	n.metrics = newMetrics(n.o.Version, n.status)
	n.web = &web{}
	if n.c.MetricsListen != "" {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", n.c.MetricsListen)
		if err != nil {
			return salvor.Errorf(salvor.Unavailable, "listen on %s: %w", n.c.MetricsListen, err).WithHint("choose another address with --metrics-listen")
		}
		n.web.plain = n.serve(l, n.plain())
	}
	if n.coord == nil {
		return nil
	}
	h, err := n.handler()
	if err != nil {
		return err
	}
	n.web.main = n.serve(n.listen, h)
	return nil
}

const headWithin = 10 * time.Second

// serve answers a listener. Its errors are those of single connections.
func (n *node) serve(l net.Listener, h http.Handler) *http.Server {
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: headWithin, IdleTimeout: 2 * time.Minute,
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: 1000, SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug), // of single connections
	}
	go func() {
		if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			n.fail(salvor.Errorf(salvor.Unavailable, "serve %s: %w", l.Addr(), err))
		}
	}()
	return s
}

// close ends the servers; what is under way has a moment.
func (w *web) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var errs []error
	for _, s := range []*http.Server{w.main, w.plain} {
		if s == nil {
			continue
		}
		if err := s.Shutdown(ctx); err != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// plain is served without TLS or key, to whom the operator lets near.
func (n *node) plain() http.Handler {
	mux := http.NewServeMux()
	n.health(mux)
	mux.Handle("GET /metrics", promhttp.HandlerFor(n.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

func (n *node) health(mux *http.ServeMux) {
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		ok, why := n.ready()
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, strings.Join(why, "\n"))
			return
		}
		fmt.Fprintln(w, "ok")
	})
}

// handler is all that the one port serves.
func (n *node) handler() (http.Handler, error) {
	authority, err := trust.NewAuthority(n.id, n.router)
	if err != nil {
		return nil, err
	}
	store, err := n.storeHandler()
	if err != nil {
		return nil, err
	}
	known := http.NewServeMux()
	rpcPath, calls := rpc.NewHandler(served{n})
	known.Handle(rpcPath, calls)
	known.Handle(signed.Root, store)
	known.Handle("GET /metrics", trust.Require(promhttp.HandlerFor(n.metrics.registry, promhttp.HandlerOpts{})))
	n.serveCluster(known)

	open := http.NewServeMux()
	n.health(open)
	join := authority.Handler()
	open.Handle(trust.PathJoin, join)
	open.Handle(trust.PathRenew, join)
	open.Handle("/", n.onceEnroled(trust.NewGate(n.id, n.keys).Authenticate(known)))
	return n.beside(open), nil
}

// onceEnroled asks callers to come again until the registry knows whom to let
// in.
func (n *node) onceEnroled(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-n.enroled:
			next.ServeHTTP(w, r)
		default:
			webjson.Error(w, salvor.Errorf(salvor.Unavailable, "the node is starting"))
		}
	})
}

// serveCluster is what nodes and people ask about the cluster.
func (n *node) serveCluster(mux *http.ServeMux) {
	client := n.httpClient()
	n.servePlan(mux, client)
	(&siteweb.Server{Sites: n.sites, Audit: n.audit, Now: time.Now, Probe: n.probeSite}).Serve(mux)
	mux.Handle("GET /v1/cluster", trust.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := about{Settings: n.settings(), Coordinators: n.coordinators()}
		if p := trust.CallerOf(r.Context()).Node; p != nil {
			for _, m := range n.members.All() {
				if m.ID == p.ID {
					a.Node = &m
				}
			}
		}
		webjson.Write(w, http.StatusOK, a)
	})))
	mux.Handle("GET /v1/status", trust.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		real := trust.CallerOf(r.Context()).Has(api.RoleAdmin, api.RoleCoordinator)
		webjson.Write(w, http.StatusOK, n.cluster(r.Context(), client, real))
	})))
	mux.Handle("GET /v1/heard", trust.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		webjson.Write(w, http.StatusOK, n.heard())
	}), api.RoleCoordinator))
	mux.Handle("POST /v1/report", trust.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := n.takeReport(w, r); err != nil {
			webjson.Error(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}), api.RoleWorker, api.RoleAccess))
}

// takeReport keeps a worker's word; it speaks for nobody but itself.
func (n *node) takeReport(w http.ResponseWriter, r *http.Request) error {
	p := trust.CallerOf(r.Context()).Node
	if p == nil {
		return salvor.Errorf(salvor.Forbidden, "only nodes report what they do")
	}
	var s api.NodeStatus
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&s); err != nil {
		return salvor.Errorf(salvor.Invalid, "the report cannot be read")
	}
	s.Node.ID, s.Node.Name, s.Groups = p.ID, p.Name, nil
	return n.reports.put(s, time.Now())
}

// served is what the node lets others call.
type served struct{ n *node }

// Group implements rpc.Server. What a worker says of its segments is checked.
func (s served) Group(i int) (api.Group, error) {
	if i < 0 || i >= s.n.coord.Groups() {
		return nil, salvor.Errorf(salvor.Invalid, "there is no group %d: the cluster has %d", i, s.n.coord.Groups())
	}
	return checked{witness{s.n.coord.Group(i), s.n}, s.n}, nil
}

// Allow implements rpc.Server.
func (s served) Allow(ctx context.Context, method string, group int) error {
	return trust.Allow(ctx, method, group)
}

// Observe implements rpc.Server.
func (s served) Observe(method string, _ int, took time.Duration, err error) {
	s.n.metrics.observe(method, took, err)
}

// checked is a group as others may use it.
type checked struct {
	group
	n *node
}

// Records lets each see the tables that it may.
func (c checked) Records(ctx context.Context, table string) ([]api.Record, error) {
	if err := trust.AllowTable(ctx, table, false); err != nil {
		return nil, err
	}
	return c.group.Records(ctx, table)
}

// SetRecord lets each write the tables that it may.
func (c checked) SetRecord(ctx context.Context, r api.Record) (uint64, error) {
	if err := trust.AllowTable(ctx, r.Table, true); err != nil {
		return 0, err
	}
	v, err := c.group.SetRecord(ctx, r)
	if err == nil && r.Table == api.TableBudgets {
		what := "hosts.merged"
		if len(r.Value) == 0 {
			what = "hosts.split"
		}
		c.n.note(ctx, what, r.Key, r.Value)
	}
	return v, err
}

// CreateCrawl notes who made a crawl.
func (c checked) CreateCrawl(ctx context.Context, x api.Crawl) (api.Crawl, error) {
	made, err := c.group.CreateCrawl(ctx, x)
	if err == nil {
		c.n.note(ctx, "crawl.created", made.Name, made.Settings)
	}
	return made, err
}

// SetCrawl lets a worker change nothing of a crawl but what follows from a
// seed's redirect, and notes what a person changed.
func (c checked) SetCrawl(ctx context.Context, next api.Crawl) error {
	if caller := trust.CallerOf(ctx); caller.Node != nil && !caller.Has(api.RoleCoordinator, api.RoleAdmin, api.RoleOperator) {
		now, err := c.group.Crawl(ctx, next.ID)
		if err != nil {
			return err
		}
		if err := outfit.OnlyMoves(now, next); err != nil {
			return err
		}
	}
	var was api.Crawl
	if now, err := c.group.Crawl(ctx, next.ID); err == nil {
		was = now
	}
	err := c.group.SetCrawl(ctx, next)
	switch {
	case err != nil:
	case next.State != was.State:
		c.n.note(ctx, "crawl."+next.State.String(), next.Name, nil)
	default:
		what, change := changeOf(was, next)
		c.n.note(ctx, what, next.Name, change)
	}
	return err
}

// Register is for a worker in its own name only.
func (c checked) Register(ctx context.Context, worker string) (salvor.SessionID, error) {
	if err := own(ctx, worker); err != nil {
		return 0, err
	}
	return c.group.Register(ctx, worker)
}

// RegisterAs is for a worker in its own name only.
func (c checked) RegisterAs(ctx context.Context, worker string, s salvor.SessionID) error {
	if err := own(ctx, worker); err != nil {
		return err
	}
	return c.group.RegisterAs(ctx, worker, s)
}

// own refuses a node that would end another's sessions.
func own(ctx context.Context, worker string) error {
	p := trust.CallerOf(ctx).Node
	if p == nil || strings.HasPrefix(worker, p.Name+"/") {
		return nil
	}
	return salvor.Errorf(salvor.Forbidden, "node %s is not the worker %s", p.Name, worker)
}

// SetSegment believes no worker that a segment is stored: it looks (protocol
// 6), and only at segments that bear the worker's name.
func (c checked) SetSegment(ctx context.Context, s api.Segment) error {
	p := trust.CallerOf(ctx).Node
	if p == nil || p.Has(api.RoleCoordinator) {
		return c.group.SetSegment(ctx, s)
	}
	mine := signed.Own("", p.Name)
	if mine(signed.OpPut, s.Name) != nil || s.Object != "" && path.Base(s.Object) != s.Name {
		return salvor.Errorf(salvor.Forbidden, "segment %q is not one of node %s", s.Name, p.Name)
	}
	if s.State == api.SegmentStored {
		if c.n.store == nil {
			return salvor.Errorf(salvor.Unavailable, "this coordinator has no way to the store to look whether %s is there", s.Name)
		}
		if err := signed.CheckSegment(ctx, c.n.store, s); err != nil {
			return err
		}
	}
	return c.group.SetSegment(ctx, s)
}

// crawlsDir is where all crawls lie in the Store.
const crawlsDir = "crawls/"

// allowStore lets coordinators do all in the Store, and workers what is theirs.
func allowStore(r *http.Request, op signed.Op, key string) error {
	c := trust.CallerOf(r.Context())
	switch {
	case c.Node == nil:
		return salvor.Errorf(salvor.Forbidden, "the store is reached through here by nodes only")
	case c.Has(api.RoleCoordinator):
		return nil
	}
	return signed.Own(crawlsDir, c.Node.Name)(op, key)
}
