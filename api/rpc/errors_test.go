package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"salvor"
	"salvor/api"
)

func TestErrorsArriveWhole(t *testing.T) {
	e := &echo{}
	c := dial(t, 0, addr(serve(t, &node{group: e})))
	for class := range salvor.Interrupted {
		want := fmt.Errorf("outside: %w", salvor.Errorf(class, "that is “%s”", class).WithHint("Do %d things.", 2))
		e.set(nil, want, nil)
		_, err := c.Crawl(t.Context(), 1)
		if salvor.ClassOf(err) != class || err.Error() != want.Error() || salvor.HintOf(err) != "Do 2 things." {
			t.Errorf("%s arrived as %s: %v (%s)", class, salvor.ClassOf(err), err, salvor.HintOf(err))
		}
	}
}

func TestNotLeaderArrives(t *testing.T) {
	e := &echo{err: salvor.Errorf(salvor.Unavailable, "not here: %w", &api.NotLeader{Group: 4})}
	c := dial(t, 4, addr(serve(t, &node{group: e, number: 4})))
	_, err := c.Crawl(t.Context(), 1)
	n, ok := errors.AsType[*api.NotLeader](err)
	if !ok || *n != (api.NotLeader{Group: 4}) || salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("%v %+v", err, n)
	}
}

// TestEveryClassHasItsCode: the table is one to one, so that it can be read
// both ways.
func TestEveryClassHasItsCode(t *testing.T) {
	for class := range salvor.ErrorClass(len(codes)) {
		if back := classOfCode(codes[class]); back != class || codes[class] == 0 {
			t.Errorf("%s is %v, which is %s", class, codes[class], back)
		}
		if class.String() == "unknown" {
			t.Errorf("class %d is none", class)
		}
	}
	if salvor.ErrorClass(len(codes)).String() != "unknown" {
		t.Error("a class without a code")
	}
	for code := connect.CodeCanceled; code <= connect.CodeUnauthenticated; code++ {
		if c := classOfCode(code); int(c) >= len(codes) {
			t.Errorf("%v: %v", code, c)
		}
	}
}

// TestStopped: a server that stops is no reason for the caller to stop.
func TestStopped(t *testing.T) {
	e := &echo{err: salvor.Errorf(salvor.Interrupted, "stopping")}
	c := dial(t, 0, addr(serve(t, &node{group: e})))
	if _, err := c.Crawl(t.Context(), 1); salvor.ClassOf(err) != salvor.Unavailable {
		t.Error(err)
	}
}

func TestContextsEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	e := &echo{hook: func(inner context.Context) error { cancel(); <-inner.Done(); return inner.Err() }}
	c := dial(t, 0, addr(serve(t, &node{group: e})))
	err := c.SetSegment(ctx, api.Segment{})
	if salvor.ClassOf(err) != salvor.Interrupted || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := c.SetSegment(ctx, api.Segment{}); salvor.ClassOf(err) != salvor.Interrupted {
		t.Error(err)
	}
}

func TestPanicIsAnError(t *testing.T) {
	e := &echo{hook: func(context.Context) error { panic("oh") }}
	n := &node{group: e}
	c := dial(t, 0, addr(serve(t, n)))
	for range 2 {
		err := c.SetSegment(t.Context(), api.Segment{})
		if salvor.ClassOf(err) != salvor.Internal || !strings.Contains(err.Error(), "oh") {
			t.Error(err)
		}
	}
	p, ok := errors.AsType[*Panic](n.last)
	if !ok || !strings.Contains(string(p.Stack), "TestPanicIsAnError") {
		t.Error("it was not observed with its stack")
	}
}

func TestAllow(t *testing.T) {
	e := &echo{}
	n := &node{group: e, number: 2, allow: func(method string) error {
		if method == "End" {
			return nil
		}
		return salvor.Errorf(salvor.Forbidden, "a worker may not %s", method)
	}}
	c := dial(t, 2, addr(serve(t, n)))
	if err := c.End(t.Context(), 1); err != nil {
		t.Error(err)
	}
	if err := c.Walk(t.Context(), 1, nil, nil); salvor.ClassOf(err) != salvor.Forbidden {
		t.Error(err)
	}
	if _, err := c.Crawls(t.Context()); salvor.ClassOf(err) != salvor.Forbidden || err.Error() != "a worker may not Crawls" {
		t.Error(err)
	}
	if got := strings.Join(n.seen, ", "); got != "End/2 ok, Walk/2 forbidden, Crawls/2 forbidden" {
		t.Error(got)
	}
	if e.count("Crawls") != 0 {
		t.Error("it was called")
	}
}

// TestStrangers: what is no coordinator of ours.
func TestStrangers(t *testing.T) {
	status := 0
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", status) }))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	c := dial(t, 0, addr(srv))
	for code, class := range map[int]salvor.ErrorClass{
		401: salvor.Forbidden, 403: salvor.Forbidden, 404: salvor.TooNew,
		500: salvor.Unavailable, 502: salvor.Unavailable, 503: salvor.Unavailable,
	} {
		status = code
		if _, err := c.Crawls(t.Context()); salvor.ClassOf(err) != class {
			t.Errorf("HTTP %d: %s: %v", code, salvor.ClassOf(err), err)
		}
	}
	c = Dial(Config{Endpoints: func() []string { return []string{addr(srv)} }, HTTP: NewHTTPClient(nil)})
	defer c.Close()
	if _, err := c.Crawls(t.Context()); salvor.ClassOf(err) != salvor.Forbidden || salvor.HintOf(err) == "" {
		t.Errorf("a certificate of another cluster: %v", err)
	}
}
