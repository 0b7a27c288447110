package scope

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"salvor"
	"salvor/crawler/canon"
	"salvor/crawler/extract"
)

// TestDecisions drives testdata/decisions/*:
//
//	rules            what Rules says, a field a line
//	seed             URLs a person names
//	page, requisite, redirect, sitemap [from=URL] [hop=LINKS/EMBEDS/EXTRA]
//	     [path=LETTERS] [class=CLASS]      URLs that such a page links to
//	recheck class=CLASS [hop=...] [path=...] [via=URL]      known items
//
// The answer to each URL is in, out or listed (out, but told of), and the rule.
func TestDecisions(t *testing.T) {
	datadriven.Walk(t, "testdata/decisions", func(t *testing.T, path string) {
		var s *Scope
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "rules" {
				var err error
				if s, err = Compile(readRules(t, d.Input)); err != nil {
					return fmt.Sprintf("%v\n  %s\n", err, salvor.HintOf(err))
				}
				return ""
			}
			var out strings.Builder
			for _, line := range strings.Fields(d.Input) {
				u, err := canon.Parse(line)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&out, "%s %s\n", decide(t, s, d, u), line)
			}
			return out.String()
		})
	})
}

func readRules(t *testing.T, text string) Rules {
	r := Rules{MaxHops: NoLimit, Requisites: true}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "kind":
			r.Kind = value
		case "seed":
			r.Seeds = append(r.Seeds, value)
		case "max-hops":
			r.MaxHops = atoi(t, value)
		case "extra-hops":
			r.ExtraHops = atoi(t, value)
		case "include":
			r.Include = append(r.Include, value)
		case "exclude":
			r.Exclude = append(r.Exclude, value)
		case "exclude-from":
			r.ExcludeFrom = append(r.ExcludeFrom, value)
		case "live":
			r.Live = append(r.Live, value)
		case "sets":
			r.Sets = strings.Fields(value)
		case "no-requisites":
			r.Requisites = false
		default:
			t.Fatalf("unknown rule %q", line)
		}
	}
	return r
}

func decide(t *testing.T, s *Scope, d *datadriven.TestData, u canon.URL) string {
	hop, class, from, via := readHop(t, d), readClass(t, d), "http://example.org/", ""
	d.MaybeScanArgs(t, "from", &from)
	d.MaybeScanArgs(t, "via", &via)
	parent, err := canon.Parse(from)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]extract.Kind{
		"page": extract.Page, "requisite": extract.Requisite, "redirect": extract.Redirect,
		"sitemap": extract.Sitemap, "feed": extract.Feed, "guess": extract.Speculative,
	}
	kind, isLink := kinds[d.Cmd]
	switch {
	case d.Cmd == "seed":
		return show(s.Seed(u))
	case d.Cmd == "recheck":
		return show(s.Recheck(salvor.Item{URL: u.Href, Class: class, Hop: hop, Via: via}))
	case isLink:
		return show(s.Decide(Parent{URL: parent, Hop: hop, Class: class}, kind, u))
	}
	t.Fatalf("unknown command %q", d.Cmd)
	return ""
}

func readHop(t *testing.T, d *datadriven.TestData) (h salvor.Hop) {
	text := "0/0/0"
	d.MaybeScanArgs(t, "hop", &text)
	if _, err := fmt.Sscanf(text, "%d/%d/%d", &h.Links, &h.Embeds, &h.Extra); err != nil {
		t.Fatal(err)
	}
	d.MaybeScanArgs(t, "path", &h.Path)
	return h
}

func readClass(t *testing.T, d *datadriven.TestData) salvor.Class {
	name := "page"
	d.MaybeScanArgs(t, "class", &name)
	for c := salvor.ClassSeed; c <= salvor.ClassSpeculative; c++ {
		if c.String() == name {
			return c
		}
	}
	t.Fatalf("unknown class %q", name)
	return 0
}

func show(d Decision) string {
	if d.In {
		return fmt.Sprintf("in     %-22s %s %d/%d/%d", d.Rule, d.Class, d.Hop.Links, d.Hop.Embeds, d.Hop.Extra)
	}
	if d.Record {
		return fmt.Sprintf("listed %-22s", d.Rule)
	}
	return fmt.Sprintf("out    %-22s", d.Rule)
}

func atoi(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// FuzzPrefilter: a pattern that is passed over because its letters are missing
// does not match.
func FuzzPrefilter(f *testing.F) {
	for _, set := range Sets() {
		for line := range strings.Lines(set.Text) {
			if _, text, ok := strings.Cut(strings.TrimSpace(line), " "); ok && line[0] != '#' {
				f.Add(strings.TrimSpace(text), "http://example.org/index.php?action=login&share=x")
			}
		}
	}
	f.Add("(?i)ab+c|[xy]z", "http://example.org/ABBC/yz")
	f.Fuzz(func(t *testing.T, text, url string) {
		u, err := canon.Parse(url)
		if err != nil || len(text) > 200 {
			return
		}
		p, err := newPattern("x", "x", text)
		if err != nil {
			return
		}
		fl := newFilter([]pattern{p})
		if got, want := fl.match(u) != "", p.re.MatchString(u.Href); got != want {
			t.Errorf("%s on %s: %v, the expression alone says %v", text, u.Href, got, want)
		}
	})
}

// TestSets: every built-in rule excludes something, and lets its neighbour be.
// testdata/sets holds lines of: the rule, a URL it hits, one that is in.
func TestSets(t *testing.T) {
	hit := map[string]bool{}
	datadriven.RunTest(t, "testdata/sets", func(t *testing.T, d *datadriven.TestData) string {
		var out strings.Builder
		s, err := Compile(Rules{Kind: "any", Seeds: []string{"http://x.example/"}, MaxHops: NoLimit, Sets: []string{d.Cmd}})
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Fields(strings.ReplaceAll(d.Input, "LONG", strings.Repeat("a", 4100))) {
			u, err := canon.Parse(line)
			if err != nil {
				t.Fatal(err)
			}
			rule := s.Decide(Parent{URL: u}, extract.Page, u).Rule
			hit[rule] = true
			fmt.Fprintf(&out, "%-38s %.120s\n", rule, line)
		}
		return out.String()
	})
	all, err := compileSets(setNames)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if !hit[p.id] {
			t.Errorf("nothing shows what %s excludes", p.id)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	s, err := Compile(Rules{Seeds: []string{"http://example.org/"}, MaxHops: NoLimit, Requisites: true, Sets: []string{"global"}})
	if err != nil {
		b.Fatal(err)
	}
	u, err := canon.Parse("http://example.org/forum/d001/viewtopic-12345.html")
	if err != nil {
		b.Fatal(err)
	}
	p := Parent{URL: u}
	b.ReportAllocs()
	for b.Loop() {
		s.Decide(p, extract.Page, u)
	}
}
