package scope

import (
	"math/rand/v2"
	"testing"

	"salvor"
	"salvor/crawler/canon"
	"salvor/crawler/extract"
)

// TestDecideAgreesWithRecheck walks sites at random under random rules: what a
// link was let in by must let it be fetched, or it would be queued for nothing.
func TestDecideAgreesWithRecheck(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var urls []canon.URL
	for _, s := range []string{
		"http://example.org/", "http://example.org/a/x", "https://www.example.org/b", "http://sub.example.org/a/",
		"http://cdn.example/x", "http://other.example/media/y", "http://other.example/media/b",
	} {
		u, err := canon.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		urls = append(urls, u)
	}
	one := func(list []string) []string { return list[:rng.IntN(len(list)+1)] }
	seen := map[string]bool{}
	for range 1500 {
		r := Rules{
			Kind: []string{"page", "prefix", "host", "domain", "any"}[rng.IntN(5)], Seeds: []string{"http://example.org/a/"},
			MaxHops: rng.IntN(5) - 1, ExtraHops: rng.IntN(4), Requisites: rng.IntN(2) == 0,
			Include: one([]string{"/media/"}), Exclude: one([]string{"/b$"}),
		}
		s, err := Compile(r)
		if err != nil {
			t.Fatal(err)
		}
		p := Parent{URL: urls[1], Class: salvor.ClassSeed}
		for range 12 {
			u, kind := urls[rng.IntN(len(urls))], extract.Kind(rng.IntN(int(extract.Speculative)))
			d := s.Decide(p, kind, u)
			if !d.In {
				continue
			}
			seen[d.Rule] = true
			if x := s.Recheck(salvor.Item{URL: u.Href, Class: d.Class, Band: d.Band, Hop: d.Hop, Via: p.URL.Href}); !x.In {
				t.Fatalf("%+v\n%v of %s to %s is in by %q, and then out by %q: %+v", r, kind, p.URL.Href, u.Href, d.Rule, x.Rule, d)
			}
			checkHop(t, r, d)
			p = Parent{URL: u, Hop: d.Hop, Class: d.Class}
		}
	}
	for _, rule := range []string{"scope:host", "include/1 /media/", RuleRequisite, RuleRedirect, RuleSitemap, RuleExtra} {
		if !seen[rule] {
			t.Errorf("nothing was in by %s", rule)
		}
	}
}

// checkHop holds what is true of everything that is in.
func checkHop(t *testing.T, r Rules, d Decision) {
	t.Helper()
	switch h := d.Hop; {
	case r.MaxHops >= 0 && int(h.Links) > r.MaxHops,
		int(h.Extra) > max(r.ExtraHops, 1),
		h.Embeds > MaxEmbeds,
		d.Class == salvor.ClassPage && h.Embeds > 0 && h.Path[len(h.Path)-1] == 'L',
		h.Path == "", len(h.Path) > salvor.MaxPath:
		t.Fatalf("%+v lets in %+v", r, d)
	}
}

// TestNarrower: a scope within another lets nothing more in.
func TestNarrower(t *testing.T) {
	seeds := []string{"http://example.org/a/start.html"}
	var scopes []*Scope
	for _, kind := range []string{"page", "prefix", "host", "domain", "any"} {
		s, err := Compile(Rules{Kind: kind, Seeds: seeds, MaxHops: NoLimit})
		if err != nil {
			t.Fatal(err)
		}
		scopes = append(scopes, s)
	}
	for _, href := range []string{
		"http://example.org/a/start.html", "https://www.example.org/a/start.html", "http://example.org/a/start.html?x", "http://example.org/a/b/c",
		"http://example.org/", "http://example.org:8080/a/", "http://sub.example.org/a/", "http://example.com/a/", "http://192.0.2.1/a/",
		"http://[2001:db8::1]/a/", "http://user:pw@example.org/a/", "http://example.org./a/", "http://org/a/",
	} {
		u, err := canon.Parse(href)
		if err != nil {
			t.Fatal(err)
		}
		was := false
		for i, s := range scopes {
			is := s.Decide(Parent{URL: u}, extract.Page, u).In
			if was && !is {
				t.Errorf("%s is in a narrower scope than the %dth", href, i)
			}
			was = is
		}
		if !was {
			t.Errorf("%s is not in any scope", href)
		}
	}
}

// TestExcludesInOrder: the operator's rules come before the built-in ones, and
// say where they are from.
func TestExcludesInOrder(t *testing.T) {
	s, err := Compile(Rules{
		Kind: "any", Seeds: []string{"http://example.org/"}, MaxHops: NoLimit, Sets: []string{"global"},
		Exclude: []string{"logout", "x"}, ExcludeFrom: []string{"logout"}, Live: []string{"logout"},
	})
	if err != nil {
		t.Fatal(err)
	}
	all := s.Excludes()
	for i, want := range []Exclude{
		{"exclude:cli/1 logout", "logout", "--exclude"}, {"exclude:cli/2 x", "x", "--exclude"},
		{"exclude:file/1 logout", "logout", "--exclude-from"}, {"exclude:live logout", "logout", "control"},
		{"exclude:global/long-url", "@max-length 4096", "global"},
	} {
		if all[i] != want {
			t.Errorf("rule %d is %+v, want %+v", i, all[i], want)
		}
	}
	u, err := canon.Parse("http://example.org/logout")
	if err != nil {
		t.Fatal(err)
	}
	if d := s.Decide(Parent{URL: u}, extract.Page, u); d.Rule != all[0].ID || d.In || !d.Record {
		t.Errorf("%+v", d)
	}
	if d := s.SeedRedirect(u); d.Rule != all[0].ID || d.In {
		t.Errorf("a seed's target: %+v", d)
	}
}
