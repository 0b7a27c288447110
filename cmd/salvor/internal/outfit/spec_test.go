package outfit

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/job"
	"salvor/crawler/canon"
	"salvor/crawler/extract"
	"salvor/crawler/scope"
)

func settingsOf(kind string) job.Settings {
	return job.Settings{Name: "test", UserAgent: "test", Scope: kind, MaxHops: job.NoLimit, MaxRate: 5, Tries: 3}
}

// TestSpecTravels: what a crawl's settings say is the same on the other side.
func TestSpecTravels(t *testing.T) {
	s := settingsOf("host")
	s.Deadline = time.Unix(1_800_000_000, 0).UTC()
	s.Secrets.Headers = []job.Header{{Name: "Authorization", Value: "s3cret"}}
	x, err := NewSpec(s, []string{"http://a.test/", "http://b.test/x"})
	if err != nil {
		t.Fatal(err)
	}
	x.Moves = []Move{{From: "http://a.test/", To: "http://c.test/", Scope: 2, Widens: true}}
	x.Excludes = []string{"/logout"}
	c := api.Crawl{Name: "one"}
	if err := x.Apply(&c); err != nil {
		t.Fatal(err)
	}
	if c.Ceiling != 5000 || c.Start != 2000 || c.Tries != 3 || c.Deadline != 1_800_000_000_000 {
		t.Errorf("%+v", c)
	}
	if strings.Contains(string(c.Settings), "s3cret") {
		t.Error("a secret travels")
	}
	got, err := SpecOf(c)
	x.Settings.Secrets = job.Secrets{}
	if err != nil || !reflect.DeepEqual(got, x) {
		t.Errorf("%+v became %+v, %v", x, got, err)
	}
	rules := got.Rules()
	if want := []string{"http://a.test/", "http://b.test/x", "http://c.test/"}; !reflect.DeepEqual(rules.Seeds, want) || rules.Live[0] != "/logout" {
		t.Errorf("%+v", rules)
	}
}

// TestManySeeds: of a long list only what the scope needs is kept; where that
// is too much, it says what to do.
func TestManySeeds(t *testing.T) {
	seeds := func(n int, format string) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf(format, i))
		}
		return out
	}
	for _, c := range []struct {
		kind  string
		seeds []string
		kept  int
		error string
	}{
		{"host", seeds(100, "http://a.test/%d"), 100, ""}, // few: as they are
		{"host", seeds(5000, "http://a.test/%d"), 1, ""},
		{"host", seeds(1500, "http://s%d.a.test/"), 1500, ""},
		{"host", seeds(5000, "http://s%d.a.test/"), 0, "choose a wider scope"},
		{"domain", seeds(5000, "http://s%d.a.test/"), 1, ""},
		{"prefix", seeds(5000, "http://a.test/d/%d"), 1, ""},
		{"prefix", seeds(5000, "http://a.test/%d/x"), 0, "split the seeds"},
		{"page", seeds(5000, "http://a.test/%d"), 0, "split the seeds"},
		{"any", seeds(5000, "http://s%d.test/"), 0, ""},
	} {
		x, err := NewSpec(settingsOf(c.kind), c.seeds)
		switch {
		case c.error != "":
			if salvor.ClassOf(err) != salvor.Invalid || !strings.Contains(salvor.HintOf(err), c.error) || !strings.Contains(err.Error(), "64 KB") {
				t.Errorf("%s, %d seeds: %v; %s", c.kind, len(c.seeds), err, salvor.HintOf(err))
			}
		case err != nil || len(x.Seeds) != c.kept || x.Named != len(c.seeds):
			t.Errorf("%s, %d seeds: %d kept of %d, %v", c.kind, len(c.seeds), len(x.Seeds), x.Named, err)
		}
	}
	s := settingsOf("host")
	s.ExcludeFrom = seeds(9000, "/thread/%d$")
	if _, err := NewSpec(s, seeds(1, "http://a.test/%d")); !strings.Contains(salvor.HintOf(err), "fewer or shorter patterns") {
		t.Errorf("%v; %s", err, salvor.HintOf(err))
	}
}

// TestRootsSpanTheSame: rules with few seeds in the place of many judge alike.
func TestRootsSpanTheSame(t *testing.T) {
	seeds := []string{
		"http://a.test/d/1", "https://www.a.test/d/2?x=/y/", "http://a.test/e/", "http://sub.b.test/", "http://www.b.test/z", "http://c.test:8080/p/q",
		"http://192.0.2.1/", "http://[2001:db8::1]/i/j",
	}
	links := append([]string{
		"http://a.test/", "https://a.test/d/9", "http://b.test/", "http://x.b.test/z", "http://c.test/p/q", "http://c.test:8080/p/r", "http://1.192.0.2.1.test/",
		"http://other.test/", "http://[2001:db8::1]/i/k", "http://a.test/d/2",
	}, seeds...)
	for _, kind := range []string{"page", "prefix", "host", "domain", "any"} {
		roots, err := scope.Roots(kind, append(seeds, seeds...))
		if err != nil || len(roots) > len(seeds) {
			t.Fatalf("%s: %q, %v", kind, roots, err)
		}
		s := settingsOf(kind)
		all, err := Area(Rules(&s, seeds))
		if err != nil {
			t.Fatal(err)
		}
		few, err := Area(Rules(&s, roots))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range links {
			u, err := canon.Parse(l)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range []extract.Kind{extract.Page, extract.Sitemap} {
				if a, b := all.Decide(scope.Parent{URL: u}, k, u), few.Decide(scope.Parent{URL: u}, k, u); a.In != b.In {
					t.Errorf("%s: %s is in by all seeds: %v, by %q: %v", kind, l, a.In, roots, b.In)
				}
			}
		}
	}
	if _, err := scope.Roots("nonsense", seeds); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("an unknown kind: %v", err)
	}
}

func TestParseSpec(t *testing.T) {
	for in, class := range map[string]salvor.ErrorClass{
		"": salvor.Invalid, "{}": salvor.Invalid, `{"version":3}`: salvor.TooNew, `{"version":1,"seeds":7}`: salvor.Invalid,
		`{"version":9,"seeds":7}`: salvor.TooNew, `{"version":-1}`: salvor.Invalid,
	} {
		if _, err := ParseSpec([]byte(in)); salvor.ClassOf(err) != class {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func FuzzParseSpec(f *testing.F) {
	x, _ := NewSpec(settingsOf("host"), []string{"http://a.test/"})
	b, _ := x.Encode()
	f.Add(b)
	f.Add([]byte(`{"version":1,"settings":{"allow_net":["10.0.0.0/8"],"deadline":"2026-01-01T00:00:00Z"},"moves":[{"from":"a","to":"b"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := ParseSpec(b)
		if err != nil {
			if c := salvor.ClassOf(err); c != salvor.Invalid && c != salvor.TooNew {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseSpec(again)
		if err != nil {
			t.Fatal(err)
		}
		if last, _ := json.Marshal(back); string(last) != string(again) {
			t.Fatalf("%s became %s", again, last)
		}
		_, _ = x.Compile() // an error, never a panic
	})
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"one": true, "example.org": true, "A-1_b": true, "9": true, strings.Repeat("x", 64): true,
		"": false, ".x": false, "-x": false, "_x": false, "a/b": false, "a b": false, "ä": false, "..": false, "a\x00": false, strings.Repeat("x", 65): false,
	} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestPristine: only while nothing but the one seed, the targets of its redirects
// and their robots.txt is known can nothing have been left outside.
func TestPristine(t *testing.T) {
	two := []string{"http://a.test/", "https://a.test/"}
	for _, c := range []struct {
		accepted int64
		named    int
		seeds    []string
		want     bool
	}{
		{2, 1, two[:1], true}, {3, 1, two[:1], false}, {4, 1, two, true}, {5, 1, two, false}, {4, 2, two, false}, {4, 1, []string{"http://a.test/", "::"}, false},
	} {
		if got := Pristine(c.accepted, c.named, c.seeds); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestOnlyMoves: what a worker may make of a crawl is one move more.
func TestOnlyMoves(t *testing.T) {
	spec, err := NewSpec(job.Settings{Name: "one", Scope: "host"}, []string{"http://a.test/"})
	if err != nil {
		t.Fatal(err)
	}
	now := api.Crawl{ID: 1, Name: "one", State: salvor.CrawlRunning, Scope: 3, Version: 5}
	if now.Settings, err = spec.Encode(); err != nil {
		t.Fatal(err)
	}
	moved := func(change func(*api.Crawl, *Spec)) api.Crawl {
		next, x := now, spec
		next.Scope, next.Version = 4, 6
		x.Moves = []Move{{From: "http://a.test/", To: "http://b.test/", Scope: 4}}
		change(&next, &x)
		next.Settings, _ = x.Encode()
		return next
	}
	if err := OnlyMoves(now, moved(func(*api.Crawl, *Spec) {})); err != nil {
		t.Errorf("a move: %v", err)
	}
	for what, change := range map[string]func(*api.Crawl, *Spec){
		"no move":       func(_ *api.Crawl, x *Spec) { x.Moves = nil },
		"a pause":       func(c *api.Crawl, _ *Spec) { c.State = salvor.CrawlPaused },
		"no version":    func(c *api.Crawl, _ *Spec) { c.Version = 0 },
		"other seeds":   func(_ *api.Crawl, x *Spec) { x.Seeds = []string{"http://c.test/"} },
		"no robots.txt": func(_ *api.Crawl, x *Spec) { x.Settings.Robots = "ignore" },
		"a rate":        func(c *api.Crawl, _ *Spec) { c.Ceiling = 1 },
	} {
		if err := OnlyMoves(now, moved(change)); salvor.ClassOf(err) != salvor.Forbidden || err == nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestSpecOfValues: value rules given while a crawl runs take the place of those it
// began with, and no node that does not know them works by the Spec.
func TestSpecOfValues(t *testing.T) {
	s := settingsOf("host")
	x, err := NewSpec(s, []string{"http://a.test/"})
	if err != nil {
		t.Fatal(err)
	}
	version := func() int {
		b, err := x.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var head struct{ Version int }
		if err := json.Unmarshal(b, &head); err != nil {
			t.Fatal(err)
		}
		return head.Version
	}
	if v := version(); v != 1 || x.Unranked() {
		t.Errorf("without rules it is of version %d", v)
	}
	x.Settings.ValueRules = []scope.ValueRule{{Text: "/t0/ 10"}}
	if v := version(); v != 2 {
		t.Errorf("with rules it is of version %d", v)
	}
	if r := x.Rules().Value.Rules; len(r) != 1 || r[0].Text != "/t0/ 10" {
		t.Errorf("%v", r)
	}
	x.Values, x.Valued = &Values{}, 3
	if v := version(); v != 2 || !x.Unranked() || len(x.Rules().Value.Rules) != 0 {
		t.Errorf("with none that are given live: version %d, %+v", v, x.Rules().Value)
	}
	if x.Ranked = 3; x.Unranked() {
		t.Error("it was ranked")
	}
	x.SeedValues = []scope.SeedValue{{Value: 5, Seeds: []string{"http://a.test/"}}}
	c, err := x.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Rank(salvor.Item{URL: "http://a.test/x", Class: salvor.ClassPage}); w.Value != 5 {
		t.Errorf("%+v", w)
	}
	for range 4000 {
		x.SeedValues[0].Seeds = append(x.SeedValues[0].Seeds, "http://long.example/a/b/c/")
	}
	if _, err := x.Encode(); salvor.ClassOf(err) != salvor.Invalid || !strings.Contains(salvor.HintOf(err), "value") {
		t.Errorf("%v (%s)", err, salvor.HintOf(err))
	}
}
