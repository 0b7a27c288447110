package rpc

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// echo is a group that notes what it was asked and answers what it was told,
// or an error.
type echo struct {
	mu     sync.Mutex
	asked  []any
	answer any
	err    error
	hook   func(ctx context.Context) error
	known  []api.Known
	calls  map[string]int
}

func (e *echo) note(ctx context.Context, method string, args ...any) error {
	e.mu.Lock()
	if e.calls == nil {
		e.calls = map[string]int{}
	}
	e.calls[method]++
	e.asked = args
	hook, err := e.hook, e.err
	e.mu.Unlock()
	if hook != nil {
		return hook(ctx)
	}
	return err
}

func (e *echo) count(method string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls[method]
}

func (e *echo) set(answer any, err error, hook func(context.Context) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer, e.err, e.hook = answer, err, hook
}

func reply[T any](e *echo, ctx context.Context, method string, args ...any) (T, error) {
	err := e.note(ctx, method, args...)
	e.mu.Lock()
	defer e.mu.Unlock()
	v, _ := e.answer.(T)
	return v, err
}

func (e *echo) CreateCrawl(ctx context.Context, c api.Crawl) (api.Crawl, error) {
	return reply[api.Crawl](e, ctx, "CreateCrawl", c)
}
func (e *echo) SetCrawl(ctx context.Context, c api.Crawl) error { return e.note(ctx, "SetCrawl", c) }
func (e *echo) AdoptCrawl(ctx context.Context, c api.Crawl) error {
	return e.note(ctx, "AdoptCrawl", c)
}
func (e *echo) CloseCrawl(ctx context.Context, id salvor.CrawlID) error {
	return e.note(ctx, "CloseCrawl", id)
}
func (e *echo) Register(ctx context.Context, w string) (salvor.SessionID, error) {
	return reply[salvor.SessionID](e, ctx, "Register", w)
}
func (e *echo) RegisterAs(ctx context.Context, w string, s salvor.SessionID) error {
	return e.note(ctx, "RegisterAs", w, s)
}
func (e *echo) End(ctx context.Context, s salvor.SessionID) error { return e.note(ctx, "End", s) }
func (e *echo) Discover(ctx context.Context, c api.Call, d api.Discovery) ([]api.Result, error) {
	return reply[[]api.Result](e, ctx, "Discover", c, d)
}
func (e *echo) Lease(ctx context.Context, c api.Call, w api.Want) ([]api.Lease, error) {
	return reply[[]api.Lease](e, ctx, "Lease", c, w)
}
func (e *echo) Extend(ctx context.Context, c api.Call, h api.Holdings) (api.Renewal, error) {
	return reply[api.Renewal](e, ctx, "Extend", c, h)
}
func (e *echo) Settle(ctx context.Context, c api.Call, s api.Settlement) error {
	return e.note(ctx, "Settle", c, s)
}
func (e *echo) Feedback(ctx context.Context, f []api.HostFeedback) error {
	return e.note(ctx, "Feedback", f)
}
func (e *echo) OpenSegment(ctx context.Context, c api.Call, name string) (salvor.SegmentID, error) {
	return reply[salvor.SegmentID](e, ctx, "OpenSegment", c, name)
}
func (e *echo) SetSegment(ctx context.Context, s api.Segment) error {
	return e.note(ctx, "SetSegment", s)
}
func (e *echo) Reopen(ctx context.Context, r api.Reopen) (int64, error) {
	return reply[int64](e, ctx, "Reopen", r)
}
func (e *echo) Exclude(ctx context.Context, id salvor.CrawlID, rule string, k []api.HostKey) (int64, error) {
	return reply[int64](e, ctx, "Exclude", id, rule, k)
}
func (e *echo) Rank(ctx context.Context, id salvor.CrawlID, items []api.Ranked) (int64, error) {
	return reply[int64](e, ctx, "Rank", id, items)
}
func (e *echo) SetCeiling(ctx context.Context, id salvor.CrawlID, host string, p salvor.Pace) error {
	return e.note(ctx, "SetCeiling", id, host, p)
}
func (e *echo) Crawl(ctx context.Context, id salvor.CrawlID) (api.Crawl, error) {
	return reply[api.Crawl](e, ctx, "Crawl", id)
}
func (e *echo) Crawls(ctx context.Context) ([]api.Crawl, error) {
	return reply[[]api.Crawl](e, ctx, "Crawls")
}
func (e *echo) Totals(ctx context.Context, id salvor.CrawlID) (api.Totals, error) {
	return reply[api.Totals](e, ctx, "Totals", id)
}
func (e *echo) Hosts(ctx context.Context, id salvor.CrawlID, limit int) ([]api.Host, error) {
	return reply[[]api.Host](e, ctx, "Hosts", id, limit)
}
func (e *echo) Types(ctx context.Context, id salvor.CrawlID) (map[string]api.Count, error) {
	return reply[map[string]api.Count](e, ctx, "Types", id)
}
func (e *echo) Codes(ctx context.Context, id salvor.CrawlID) (map[int]api.Count, error) {
	return reply[map[int]api.Count](e, ctx, "Codes", id)
}
func (e *echo) Reasons(ctx context.Context, id salvor.CrawlID) (map[api.Reason]int64, error) {
	return reply[map[api.Reason]int64](e, ctx, "Reasons", id)
}
func (e *echo) Lookup(ctx context.Context, id salvor.CrawlID, host string, k salvor.Key) (api.Known, error) {
	return reply[api.Known](e, ctx, "Lookup", id, host, k)
}
func (e *echo) Walk(ctx context.Context, id salvor.CrawlID, o []salvor.Outcome, f func(api.Known) error) error {
	for _, k := range e.known {
		if err := f(k); err != nil {
			return err
		}
	}
	return e.note(ctx, "Walk", id, o)
}
func (e *echo) Segments(ctx context.Context) ([]api.Segment, error) {
	return reply[[]api.Segment](e, ctx, "Segments")
}
func (e *echo) Robots(ctx context.Context, id salvor.CrawlID, host string) ([]api.Robots, error) {
	return reply[[]api.Robots](e, ctx, "Robots", id, host)
}
func (e *echo) Records(ctx context.Context, table string) ([]api.Record, error) {
	return reply[[]api.Record](e, ctx, "Records", table)
}
func (e *echo) SetRecord(ctx context.Context, r api.Record) (uint64, error) {
	return reply[uint64](e, ctx, "SetRecord", r)
}

func (e *echo) MergeHosts(ctx context.Context, g api.HostGroup) error {
	return e.note(ctx, "MergeHosts", g)
}
func (e *echo) SetShare(ctx context.Context, name string, p salvor.Pace) error {
	return e.note(ctx, "SetShare", name, p)
}
func (e *echo) SetLimits(ctx context.Context, l api.GroupLimits) error {
	return e.note(ctx, "SetLimits", l)
}
func (e *echo) HostGroups(ctx context.Context) ([]api.HostGroup, error) {
	return reply[[]api.HostGroup](e, ctx, "HostGroups")
}

// node is a Server of one group, with what it observed.
type node struct {
	group  api.Group
	number int
	allow  func(method string) error

	mu   sync.Mutex
	seen []string
	last error
}

func (n *node) Group(i int) (api.Group, error) {
	if i != n.number {
		return nil, salvor.Errorf(salvor.NotFound, "no group %d here", i)
	}
	return n.group, nil
}

func (n *node) Allow(_ context.Context, method string, _ int) error {
	if n.allow != nil {
		return n.allow(method)
	}
	return nil
}

func (n *node) Observe(method string, group int, took time.Duration, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	class := "ok"
	if err != nil {
		class = salvor.ClassOf(err).String()
	}
	n.seen, n.last = append(n.seen, fmt.Sprintf("%s/%d %s", method, group, class)), err
}

// serve runs a node over TLS with HTTP/2.
func serve(t testing.TB, s Server) *httptest.Server {
	t.Helper()
	_, h := NewHandler(s)
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// addr is a server's host:port.
func addr(s *httptest.Server) string { return s.Listener.Addr().String() }

// dial makes a client of servers that share one certificate, as those of
// httptest do.
func dial(t testing.TB, group int, endpoints ...string) *Client {
	t.Helper()
	some := httptest.NewTLSServer(nil)
	config := some.Client().Transport.(*http.Transport).TLSClientConfig
	some.Close()
	c := Dial(Config{Endpoints: func() []string { return endpoints }, HTTP: NewHTTPClient(config), Group: group})
	t.Cleanup(func() { c.Close(); c.c.HTTP.CloseIdleConnections() })
	return c
}

// filler puts something else into every field.
type filler struct{ r *rand.Rand }

func (f filler) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 3 {
			k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			f.fill(k)
			f.fill(e)
			v.SetMapIndex(k, e)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("ü%d", f.r.Uint32()))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(1 + f.r.Int64N(1<<15))
	case reflect.Int64:
		v.SetInt(-1 - f.r.Int64N(1<<62))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1 + f.r.Uint64N(1<<min(63, v.Type().Bits()-1)))
	default:
		panic("a field of kind " + v.Kind().String())
	}
}

func filled[T any](seed uint64) T {
	var v T
	filler{rand.New(rand.NewPCG(seed, 1))}.fill(reflect.ValueOf(&v).Elem())
	return v
}
