package crawler

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"salvor"
	"salvor/api"
	"salvor/crawler/canon"
	"salvor/crawler/extract"
	"salvor/crawler/scope"
)

func testScope(t *testing.T, r scope.Rules) *scope.Scope {
	t.Helper()
	if r.Seeds == nil {
		r.Seeds = []string{"http://a.test/"}
	}
	s, err := scope.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testURL(t *testing.T, href string) canon.URL {
	t.Helper()
	u, err := canon.Parse(href)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestHarvest: what lies outside is not offered; what a rule excludes is, with
// the rule.
func TestHarvest(t *testing.T) {
	w := New(Config{Scope: testScope(t, scope.Rules{MaxHops: 2, Requisites: true, Exclude: []string{"secret"}}), Crawl: api.Crawl{ID: 7}})
	parent := scope.Parent{URL: testURL(t, "http://a.test/dir/"), Hop: salvor.Hop{Links: 1, Path: "L"}, Class: salvor.ClassPage}
	var h harvest
	for _, l := range []struct {
		href string
		kind extract.Kind
	}{
		{"http://a.test/1", extract.Page}, {"http://b.test/", extract.Page}, {"http://a.test/secret", extract.Page},
		{"http://cdn.test/x.png", extract.Requisite}, {"http://a.test/sitemap.xml", extract.Sitemap}, {"http://b.test/moved", extract.Redirect},
	} {
		h.add(w, parent, extract.Link{URL: testURL(t, l.href), Kind: l.kind})
	}
	var got []string
	for _, o := range h.offers {
		if o.Crawl != 7 || o.Via != parent.URL.Href || o.Key != salvor.ItemKey(w.c.Crawl.HashKey, "", o.URL, nil) {
			t.Errorf("%+v", o.Item)
		}
		got = append(got, fmt.Sprintf("%s %v %s %s", o.URL, o.Class, o.Hop.Path, o.Excluded))
	}
	for i, want := range []string{
		"http://a.test/1 page LL ", "http://a.test/secret page LL exclude:cli/1 secret", "http://cdn.test/x.png requisite LE ",
		"http://a.test/sitemap.xml sitemap LS ", "http://b.test/moved page LR ",
	} {
		if i >= len(got) || got[i] != want {
			t.Fatalf("offer %d of %q is not %s", i, got, want)
		}
	}
}

// TestBestOf: what is passed over because it was offered at best could not have
// been judged better.
func TestBestOf(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	urls := []string{"http://a.test/x", "http://b.test/x", "http://a.test/dir/y"}
	for range 2000 {
		r := scope.Rules{Kind: []string{"page", "prefix", "host", "any"}[rng.IntN(4)], MaxHops: rng.IntN(4) - 1, ExtraHops: rng.IntN(3), Requisites: rng.IntN(2) == 0}
		if rng.IntN(2) == 0 {
			r.Value.Rules = []scope.ValueRule{{Text: "host:b.test 7"}, {Text: "/dir/ 3"}}
		}
		s := testScope(t, r)
		p := scope.Parent{
			URL: testURL(t, urls[rng.IntN(3)]), Class: salvor.Class(rng.IntN(5)),
			Hop: salvor.Hop{Links: uint16(rng.IntN(4)), Embeds: uint8(rng.IntN(6)), Extra: uint8(rng.IntN(3))},
		}
		for kind := range extract.NumKinds {
			best, ok := bestOf(s, p, kind)
			u := testURL(t, urls[rng.IntN(3)])
			d := s.Decide(p, kind, u)
			if !ok || !d.In {
				continue
			}
			// Another page as near to a seed could have put it no earlier.
			q := scope.Parent{URL: testURL(t, urls[rng.IntN(3)]), Class: p.Class, Hop: p.Hop}
			if e := s.Decide(q, kind, u); e.In && e.Hop == d.Hop {
				best.band = e.Band
			} else {
				best.band = d.Band
			}
			if !best.covers(sentAs(&salvor.Item{Hop: d.Hop, Class: d.Class, Band: d.Band})) {
				t.Fatalf("%v of %+v: %+v is better than %+v", kind, p, d, best)
			}
		}
	}
}

// TestSharedRequisites: what a page of great value needs is offered as such, though
// a page of little value needed it before.
func TestSharedRequisites(t *testing.T) {
	for _, rules := range [][]scope.ValueRule{nil, {{Text: "/thread/ 10"}}} {
		w := New(Config{Scope: testScope(t, scope.Rules{MaxHops: scope.NoLimit, Requisites: true, Value: scope.ValueRules{Rules: rules}})})
		offer := func(page string) (offers []api.Offer) {
			var h harvest
			h.add(w, scope.Parent{URL: testURL(t, page), Hop: salvor.Hop{Links: 1}, Class: salvor.ClassPage}, extract.Link{URL: testURL(t, "http://a.test/x.css"), Kind: extract.Requisite})
			for _, o := range h.offers { // they are sent, and accepted
				k := sentKey{o.Key, w.rules.Load().version}
				if !w.sender.known(k, sentAs(&o.Item)) {
					offers = append(offers, o)
				}
				w.sender.remember(k, sentAs(&o.Item))
			}
			return offers
		}
		first, second := offer("http://a.test/user/"), offer("http://a.test/thread/1")
		if len(first) != 1 || len(second) != len(rules) {
			t.Fatalf("rules %v: %d offers, then %d", rules, len(first), len(second))
		}
		if rules != nil && second[0].Band >= first[0].Band {
			t.Errorf("it is offered in %#x, then in %#x", first[0].Band, second[0].Band)
		}
		if again := append(offer("http://a.test/user/2"), offer("http://a.test/thread/2")...); len(again) > 0 {
			t.Errorf("rules %v: it is offered again: %+v", rules, again)
		}
	}
}

func TestRejudge(t *testing.T) {
	w := New(Config{Scope: testScope(t, scope.Rules{MaxHops: scope.NoLimit})})
	offer := func(href string, c salvor.Class) api.Offer {
		return api.Offer{Item: salvor.Item{URL: href, Class: c}, Excluded: "of an older scope"}
	}
	if o := w.rejudge(offer("http://a.test/x", salvor.ClassPage)); o.Excluded != "" {
		t.Errorf("still excluded: %q", o.Excluded)
	}
	w.SetScope(testScope(t, scope.Rules{MaxHops: scope.NoLimit, Live: []string{"/x"}}), 2)
	for _, c := range []struct {
		o    api.Offer
		want string
	}{
		{offer("http://a.test/x", salvor.ClassPage), "exclude:live /x"},
		{offer("http://b.test/", salvor.ClassPage), scope.RuleOutside},
		{offer("http://a.test/", salvor.ClassSeed), ""},
	} {
		if got := w.rejudge(c.o); got.Excluded != c.want {
			t.Errorf("%s is excluded by %q, want %q", c.o.URL, got.Excluded, c.want)
		}
	}
	if o := (api.Offer{Item: salvor.Item{URL: "http://c.test/robots.txt", Class: salvor.ClassRobots}}); w.rejudge(o).Excluded != "" {
		t.Error("a robots.txt is judged")
	}
}

// TestSeedMoves: the target of a seed's redirect is a seed, and the scope that
// holds it is in force before the target is offered.
func TestSeedMoves(t *testing.T) {
	var moved string
	w := New(Config{Scope: testScope(t, scope.Rules{MaxHops: scope.NoLimit}), Crawl: api.Crawl{Scope: 3}})
	w.c.SeedMoved = func(_ context.Context, from, to string) (*scope.Scope, uint32, error) {
		moved = from + " " + to
		s, err := scope.Compile(scope.Rules{Seeds: []string{from, to}, MaxHops: scope.NoLimit, Exclude: []string{"/never"}})
		return s, 3, err
	}
	seed := task{Item: salvor.Item{URL: "http://a.test/", Class: salvor.ClassSeed}}
	var h harvest
	l := extract.Link{URL: testURL(t, "http://b.test/home"), Kind: extract.Redirect}
	if err := w.takeLink(t.Context(), &h, seed, scope.Parent{URL: testURL(t, seed.URL), Class: seed.Class}, l); err != nil {
		t.Fatal(err)
	}
	if moved != "http://a.test/ http://b.test/home" || len(h.offers) != 1 || h.offers[0].Class != salvor.ClassSeed || h.offers[0].Hop.Path != "R" || h.offers[0].Via != seed.URL {
		t.Errorf("moved %q, offered %+v", moved, h.offers)
	}
	if w.rules.Load().version != 3 {
		t.Errorf("scope %d", w.rules.Load().version)
	}
	h = harvest{}
	h.add(w, scope.Parent{URL: l.URL}, extract.Link{URL: testURL(t, "http://b.test/page")})
	if len(h.offers) != 1 {
		t.Error("pages of the target are out")
	}
}

// TestOlderScope: the scope of a seed's move that is overtaken by newer rules
// does not take their place.
func TestOlderScope(t *testing.T) {
	w := New(Config{Scope: testScope(t, scope.Rules{MaxHops: scope.NoLimit}), Crawl: api.Crawl{Scope: 3}})
	old := testScope(t, scope.Rules{MaxHops: scope.NoLimit})
	newer := testScope(t, scope.Rules{MaxHops: scope.NoLimit, Live: []string{"/x"}})
	w.c.SeedMoved = func(context.Context, string, string) (*scope.Scope, uint32, error) {
		w.SetScope(newer, 4)
		return old, 3, nil
	}
	var h harvest
	l := extract.Link{URL: testURL(t, "http://a.test/x"), Kind: extract.Redirect}
	if err := w.moveSeed(t.Context(), &h, task{Item: salvor.Item{URL: "http://a.test/"}}, l); err != nil {
		t.Fatal(err)
	}
	if now := w.rules.Load(); now.Scope != newer || now.version != 4 {
		t.Errorf("version %d is in force, want 4", now.version)
	}
}

// TestEndlessSeed: a seed that redirects for ever makes 20 seeds.
func TestEndlessSeed(t *testing.T) {
	s := testScope(t, scope.Rules{MaxHops: scope.NoLimit})
	w := New(Config{Scope: s})
	moves := 0
	w.c.SeedMoved = func(context.Context, string, string) (*scope.Scope, uint32, error) { moves++; return s, 0, nil }
	x := task{Item: salvor.Item{URL: "http://a.test/inf/0", Class: salvor.ClassSeed}}
	for i := 1; i < 100; i++ {
		var h harvest
		to := fmt.Sprintf("http://a.test/inf/%d", i)
		if err := w.moveSeed(t.Context(), &h, x, extract.Link{URL: testURL(t, to), Kind: extract.Redirect}); err != nil {
			t.Fatal(err)
		}
		if len(h.offers) != 1 {
			t.Fatalf("%s: %d offers", to, len(h.offers))
		}
		if o := h.offers[0]; o.Excluded != "" {
			if o.Excluded != scope.RuleMaxRedirects || moves != 20 {
				t.Errorf("ended by %q after %d moves", o.Excluded, moves)
			}
			return
		}
		x = task{Item: h.offers[0].Item}
	}
	t.Error("followed for ever")
}

// TestHopLetters: letters of a journal and of outlinks lead back to what they
// were written for.
func TestHopLetters(t *testing.T) {
	for _, k := range []extract.Kind{extract.Page, extract.Requisite, extract.Redirect, extract.Sitemap, extract.Feed, extract.Speculative} {
		if got := extract.KindOf(k.Hop()); got != k {
			t.Errorf("%v is written %c and read as %v", k, k.Hop(), got)
		}
	}
	for path, want := range map[string]string{"": "0/0", "LLE": "2/1", "LEEL": "2/0", "RLRE": "1/1", "LISX": "1/0"} {
		if h := HopOf(path); fmt.Sprintf("%d/%d", h.Links, h.Embeds) != want || h.Path != path {
			t.Errorf("%s is %+v, want %s", path, h, want)
		}
	}
}
