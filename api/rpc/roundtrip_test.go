package rpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"salvor"
	"salvor/api"
)

// TestEveryMethodArrivesWhole calls every method of api.Group with every field
// of its arguments set, and answers with every field set. A field or a method
// added to api fails here until it travels.
func TestEveryMethodArrivesWhole(t *testing.T) {
	e := &echo{}
	c := dial(t, 3, addr(serve(t, &node{group: e, number: 3})))
	r := rand.New(rand.NewPCG(1, 2))
	group := reflect.TypeFor[interface {
		api.Group
		api.Budgets
	}]()
	for i := range group.NumMethod() {
		m := group.Method(i)
		if m.Name == "Walk" {
			continue // TestWalk
		}
		t.Run(m.Name, func(t *testing.T) { callWhole(t, c, e, m, filler{r}) })
	}
}

func callWhole(t *testing.T, c *Client, e *echo, m reflect.Method, f filler) {
	in := []reflect.Value{reflect.ValueOf(t.Context())}
	var sent []any
	for i := 1; i < m.Type.NumIn(); i++ {
		v := reflect.New(m.Type.In(i)).Elem()
		f.fill(v)
		if w, ok := v.Addr().Interface().(*api.Want); ok {
			w.Hosts, w.Items, w.Wait = 5, 7, time.Second // larger ones are cut
		}
		in, sent = append(in, v), append(sent, v.Interface())
	}
	var answer any
	if m.Type.NumOut() == 2 {
		v := reflect.New(m.Type.Out(0)).Elem()
		f.fill(v)
		answer = v.Interface()
	}
	before := e.count(m.Name)
	e.set(answer, nil, nil)
	out := reflect.ValueOf(c).MethodByName(m.Name).Call(in)
	if err, _ := out[len(out)-1].Interface().(error); err != nil {
		t.Fatal(err)
	}
	if e.count(m.Name) != before+1 {
		t.Errorf("called %d times", e.count(m.Name)-before)
	}
	if d := cmp.Diff(sent, e.asked, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("the group was asked (-sent +arrived):\n%s", d)
	}
	if answer != nil {
		if d := cmp.Diff(answer, out[0].Interface(), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("the answer (-sent +arrived):\n%s", d)
		}
	}
}

func TestNothingIsNothing(t *testing.T) {
	e := &echo{}
	c := dial(t, 0, addr(serve(t, &node{group: e})))
	if err := c.Settle(t.Context(), api.Call{}, api.Settlement{Entries: []api.Entry{{}}}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]any{api.Call{}, api.Settlement{Entries: []api.Entry{{}}}}, e.asked); d != "" {
		t.Error(d)
	}
	if l, err := c.Lease(t.Context(), api.Call{Session: 1, Request: 2}, api.Want{}); len(l) != 0 || err != nil {
		t.Error(l, err)
	}
}

// TestTextOfTheWorld: what servers say need not be UTF-8, and is no reason to
// fail.
func TestTextOfTheWorld(t *testing.T) {
	e := &echo{}
	c := dial(t, 0, addr(serve(t, &node{group: e})))
	s := api.Settlement{Entries: []api.Entry{{Type: "text/\xff", Reason: "caf\xe9"}}}
	if err := c.Settle(t.Context(), api.Call{}, s); err != nil {
		t.Fatal(err)
	}
	got := e.asked[1].(api.Settlement).Entries[0]
	if got.Type != "text/\uFFFD" || got.Reason != "caf\uFFFD" {
		t.Errorf("%q %q", got.Type, got.Reason)
	}
	_, err := c.Discover(t.Context(), api.Call{}, api.Discovery{Items: []api.Offer{{Item: salvor.Item{URL: "\xff"}}}})
	if salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("a URL that is no UTF-8: %v", err)
	}
	if e.count("Discover") != 0 {
		t.Error("something was sent in its place")
	}
}

func TestWalk(t *testing.T) {
	e := &echo{}
	for i := range uint64(2*walkBatch + 10) {
		e.known = append(e.known, filled[api.Known](i))
	}
	c := dial(t, 0, addr(serve(t, &node{group: e})))
	var got []api.Known
	outcomes := []salvor.Outcome{salvor.Failed, salvor.Gone}
	if err := c.Walk(t.Context(), 7, outcomes, func(k api.Known) error { got = append(got, k); return nil }); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(e.known, got, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]any{salvor.CrawlID(7), outcomes}, e.asked); d != "" {
		t.Error(d)
	}
	enough, n := errors.New("enough"), 0
	if err := c.Walk(t.Context(), 7, nil, func(api.Known) error { n++; return enough }); err != enough || n != 1 {
		t.Errorf("after %d items: %v", n, err)
	}
}

// TestWalkIsNotBegunAgain: who was given items must not be given them twice.
func TestWalkIsNotBegunAgain(t *testing.T) {
	for _, known := range []int{0, walkBatch} {
		e := &echo{known: make([]api.Known, known)}
		other := &echo{err: salvor.Errorf(salvor.Unavailable, "%w", &api.NotLeader{})}
		b := addr(serve(t, &node{group: other}))
		e.err = salvor.Errorf(salvor.Unavailable, "deposed: %w", &api.NotLeader{Leader: b})
		c := dial(t, 0, addr(serve(t, &node{group: e})))
		n := 0
		err := c.Walk(t.Context(), 1, nil, func(api.Known) error { n++; return nil })
		if n != known || salvor.ClassOf(err) != salvor.Unavailable {
			t.Errorf("%d of %d items, %v", n, known, err)
		}
		if again := other.count("Walk") > 0; again != (known == 0) {
			t.Errorf("after %d items: another node was asked: %v", known, again)
		}
	}
}

// TestJSON is the way of scripts.
func TestJSON(t *testing.T) {
	e := &echo{answer: api.Totals{Accepted: 12, Clock: 99}}
	srv := serve(t, &node{group: e, number: 2})
	post := func(method, group, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/salvor.v1.GroupService/"+method, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set(GroupHeader, group)
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		var compact bytes.Buffer
		if json.Compact(&compact, b) != nil {
			t.Fatalf("%s", b)
		}
		return res.StatusCode, compact.String()
	}
	status, body := post("Totals", "2", `{"crawl": 5, "new_in_a_later_version": 1}`)
	if status != 200 || !strings.HasPrefix(body, `{"totals":{"accepted":"12",`) {
		t.Error(status, body)
	}
	if status, body := post("Totals", "two", `{}`); status != 400 || !strings.Contains(body, `"invalid_argument"`) {
		t.Error(status, body)
	}
	e.set(nil, salvor.Errorf(salvor.NotFound, "no crawl 5").WithHint("Look."), nil)
	if status, body := post("Crawl", "2", `{"id": 5}`); status != 404 || !strings.Contains(body, `"message":"no crawl 5"`) || !strings.Contains(body, `"hint":"Look."`) {
		t.Error(status, body)
	}
}

// TestTooMuch: what is too large is refused, not held.
func TestTooMuch(t *testing.T) {
	e := &echo{}
	srv := serve(t, &node{group: e})
	c := dial(t, 0, addr(srv))
	_, err := c.Discover(t.Context(), api.Call{}, api.Discovery{Items: []api.Offer{{Item: salvor.Item{URL: strings.Repeat("x", maxRequest)}}}})
	if salvor.ClassOf(err) != salvor.Exhausted {
		t.Error(err)
	}
	body := bytes.NewReader(make([]byte, maxRequest+1))
	res, err := srv.Client().Post(srv.URL+"/salvor.v1.GroupService/Discover", "application/proto", body)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 429 || e.count("Discover") != 0 {
		t.Error(res.Status, e.calls)
	}
	if _, err := c.Lease(t.Context(), api.Call{}, api.Want{Hosts: 1000, Items: 1000}); err != nil {
		t.Error(err)
	}
	if w := e.asked[1].(api.Want); w.Hosts*w.Items > mostItems {
		t.Error(w)
	}
}

// TestLeasesFit: what would make too large an answer is left out, but for one.
func TestLeasesFit(t *testing.T) {
	items := slices.Repeat([]salvor.Item{{URL: strings.Repeat("u", 30<<10)}}, 1000)
	large := api.Lease{Items: items}
	for give, want := range map[int]int{0: 0, 1: 1, 2: 2, 3: 2} {
		if got := fitting(slices.Repeat([]api.Lease{large}, give)); len(got) != want {
			t.Errorf("%d of %d, want %d", len(got), give, want)
		}
	}
	large.Items = slices.Repeat(items, 5)
	if got := fitting([]api.Lease{large}); len(got) != 1 {
		t.Error("none")
	}
}
