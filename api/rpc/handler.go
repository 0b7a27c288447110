package rpc

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	"salvor"
	"salvor/api"
	"salvor/api/pb/pbconnect"
)

// Server is what a node serves, and what it wants to know of it. Its methods
// are called concurrently. A method is named as in api.Group: "Discover".
type Server interface {
	// Group is this node's part of a group. An error of class NotFound sends
	// the caller to another node, Invalid says that the cluster has no such.
	Group(i int) (api.Group, error)
	// Allow says whether the caller, whom the HTTP middleware put into ctx, may
	// call a method of a group: nil, or an error of class Forbidden. It runs
	// before the request is read.
	Allow(ctx context.Context, method string, group int) error
	// Observe is told of every call that ended, refused ones included. err is
	// nil, or has a class (salvor.ClassOf); a *Panic in it is a bug.
	Observe(method string, group int, took time.Duration, err error)
}

// Panic is a handler that panicked. The caller is told the value only.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// NewHandler serves the groups of s. Mount it at path, behind the middleware
// that knows the caller, on a server that speaks h2.
func NewHandler(s Server) (path string, h http.Handler) {
	path, h = pbconnect.NewGroupServiceHandler(service{},
		connect.WithCodec(codec{}),
		connect.WithCompression("gzip", nil, nil), // it costs more than it saves
		connect.WithReadMaxBytes(maxRequest),
		connect.WithRequestGate(gate{s}.admit),
		connect.WithInterceptors(guard{s}),
	)
	return path, unread{h}
}

// visit is a call under way, in its context.
type visit struct {
	group  api.Group
	number int
	method string
}

type visitKey struct{}

func visitOf(ctx context.Context) *visit {
	v, ok := ctx.Value(visitKey{}).(*visit)
	if !ok {
		return &visit{} // connect calls no method without its gate
	}
	return v
}

// groupOf is the group that a request is for.
func groupOf(ctx context.Context) api.Group { return visitOf(ctx).group }

// gate lets requests in before they are read.
type gate struct{ s Server }

func (g gate) admit(ctx context.Context, spec connect.Spec, _ connect.Peer, header http.Header) (context.Context, error) {
	start := time.Now()
	v := &visit{method: path.Base(spec.Procedure)}
	if err := g.enter(ctx, v, header.Get(GroupHeader)); err != nil {
		g.s.Observe(v.method, v.number, time.Since(start), err)
		return nil, toWire(err)
	}
	return context.WithValue(ctx, visitKey{}, v), nil
}

func (g gate) enter(ctx context.Context, v *visit, number string) (err error) {
	if number != "" {
		n, err := strconv.ParseUint(number, 10, 8)
		if err != nil {
			return salvor.Errorf(salvor.Invalid, "header %s: %.20q is no group", GroupHeader, number)
		}
		v.number = int(n)
	}
	if err := g.s.Allow(ctx, v.method, v.number); err != nil {
		return err
	}
	if v.group, err = g.s.Group(v.number); salvor.ClassOf(err) == salvor.NotFound {
		err = salvor.Errorf(salvor.Unavailable, "%w: %w", err, &api.NotLeader{Group: v.number})
	}
	return err
}

// guard watches the calls that were let in.
type guard struct{ s Server }

func (g guard) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (res connect.AnyResponse, err error) {
		defer g.watch(ctx, time.Now(), &err)
		return next(ctx, req)
	}
}

func (g guard) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) (err error) {
		defer g.watch(ctx, time.Now(), &err)
		return next(ctx, conn)
	}
}

func (g guard) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// watch is deferred: it takes panics, tells the server and turns the error
// into the wire's.
func (g guard) watch(ctx context.Context, start time.Time, err *error) {
	v := visitOf(ctx)
	if p := recover(); p != nil {
		if p == http.ErrAbortHandler {
			panic(p)
		}
		*err = salvor.Errorf(salvor.Internal, "rpc: %s: %w", v.method, &Panic{p, debug.Stack()})
	}
	g.s.Observe(v.method, v.number, time.Since(start), *err)
	if *err != nil {
		*err = toWire(*err)
	}
}

// unread ends streams whose client reads no more: a Walk holds the state it
// reads.
type unread struct{ next http.Handler }

func (u unread) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/Walk") {
		d := &deadlined{w, http.NewResponseController(w)}
		defer d.at(time.Time{})
		w = d
	}
	u.next.ServeHTTP(w, r)
}

// deadlined gives each write a time.
type deadlined struct {
	http.ResponseWriter
	control *http.ResponseController
}

// at is without effect where the server has no deadlines, as in some tests.
func (d *deadlined) at(t time.Time) { _ = d.control.SetWriteDeadline(t) }

func (d *deadlined) Write(b []byte) (int, error) {
	d.at(time.Now().Add(walkStall))
	return d.ResponseWriter.Write(b)
}

// Flush implements http.Flusher, which connect asks for.
func (d *deadlined) Flush() {
	d.at(time.Now().Add(walkStall))
	_ = d.control.Flush() // a broken stream is noticed by the next write
}

func (d *deadlined) Unwrap() http.ResponseWriter { return d.ResponseWriter }
