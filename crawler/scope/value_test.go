package scope

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"salvor"
	"salvor/crawler/canon"
	"salvor/crawler/extract"
)

// TestValues drives testdata/values/*:
//
//	rules      value rules, one a line; "recipe NAME" takes a recipe's, "seed VALUE
//	           URL" values a seed
//	worth [class=CLASS] [links=N] [extra=N] [via=URL]      known items
//	bands      what is known of the bands of a number of values
//
// The answer to each URL is its band, its value and why.
func TestValues(t *testing.T) {
	datadriven.Walk(t, "testdata/values", func(t *testing.T, path string) {
		tiers, _ := CompileValues(ValueRules{})
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "rules":
				x, err := CompileValues(readValues(t, d.Input))
				if err != nil {
					return fmt.Sprintf("%v\n  %s\n", err, salvor.HintOf(err))
				}
				tiers = x
				return fmt.Sprintf("valued=%v first=%v\n", tiers.Valued(), tiers.First())
			case "bands":
				var out strings.Builder
				for _, f := range strings.Fields(d.Input) {
					v, _ := strconv.ParseFloat(f, 64)
					b := bandWorth(v)
					fmt.Fprintf(&out, "%g %#x %.3g %q; before it %.3g\n", v, uint8(b), tiers.BandValue(b), tiers.BandRules(b), tiers.BandValue(b-1))
				}
				return out.String()
			}
			return worths(t, tiers, d)
		})
	})
}

func readValues(t *testing.T, text string) (r ValueRules) {
	for i, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) == 2 && f[0] == "recipe":
			x, err := FindRecipe(f[1])
			if err != nil {
				t.Fatal(err)
			}
			r.Rules = append(r.Rules, x.Rules...)
		case len(f) == 3 && f[0] == "seed":
			v, _ := strconv.ParseFloat(f[1], 64)
			r.Seeds = append(r.Seeds, SeedValue{Value: v, Seeds: []string{f[2]}})
		default:
			r.Rules = append(r.Rules, ValueRule{Text: line, From: fmt.Sprintf("f:%d", i+1)})
		}
	}
	return r
}

func worths(t *testing.T, tiers *Tiers, d *datadriven.TestData) string {
	class, h := salvor.ClassPage, salvor.Hop{Links: 1}
	var via canon.URL
	for _, a := range d.CmdArgs {
		switch v := a.Vals[0]; a.Key {
		case "class":
			for class.String() != v {
				class = (class + 1) % (salvor.ClassSpeculative + 1)
			}
		case "links":
			h.Links = uint16(atoi(t, v))
		case "extra":
			h.Extra = uint8(atoi(t, v))
		case "via":
			via = canon.Parts(v)
		}
	}
	var out strings.Builder
	for _, line := range strings.Fields(d.Input) {
		u, err := canon.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		w := tiers.Of(u, via, class, h)
		fmt.Fprintf(&out, "%#x %.3g", uint8(w.Band), w.Value)
		if w.Rule != "" {
			fmt.Fprintf(&out, " %d %q", w.Number, w.Rule)
		}
		if w.Page {
			out.WriteString(" as its page")
		}
		fmt.Fprintf(&out, " %s\n", line)
	}
	return out.String()
}

// TestWithoutRulesNothingChanges: a crawl without value rules keeps the order by
// nearness, and so does one that only counts the first pages more.
func TestWithoutRulesNothingChanges(t *testing.T) {
	for _, r := range []ValueRules{{}, {Rules: []ValueRule{{Text: "first 10 2"}}}} {
		s, err := Compile(Rules{Kind: "any", MaxHops: NoLimit, ExtraHops: 2, Requisites: true, Value: r})
		if err != nil {
			t.Fatal(err)
		}
		u := canon.Parts("http://a.test/x.jpg")
		if d := s.Seed(u); d.Band != salvor.BandSeed {
			t.Errorf("seed: %#x", d.Band)
		}
		for kind, want := range map[extract.Kind]salvor.Band{extract.Page: salvor.BandPage + 3, extract.Requisite: salvor.BandRequisite, extract.Sitemap: salvor.BandSitemap} {
			d := s.Decide(Parent{URL: u, Hop: salvor.Hop{Links: 3}, Class: salvor.ClassPage}, kind, u)
			it := salvor.Item{URL: u.Href, Class: d.Class, Hop: d.Hop, Via: u.Href}
			if got := s.Rank(it).Band; d.Band != want || got != want {
				t.Errorf("%v: %#x, ranked %#x, want %#x", kind, d.Band, got, want)
			}
		}
	}
}

// TestRankAgrees: what a link is offered in, and where a sweep puts it, is the
// same band.
func TestRankAgrees(t *testing.T) {
	s, err := Compile(Rules{Kind: "any", MaxHops: NoLimit, ExtraHops: 2, Requisites: true, Value: ValueRules{
		Rules: []ValueRule{{Text: "/t0/ 10"}, {Text: "kind:video .1"}, {Text: "host:b.test 3"}},
		Seeds: []SeedValue{{5, []string{"http://c.test/d/"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	urls := []string{"http://a.test/t0/1", "http://a.test/1", "http://b.test/v.mp4", "http://b.test/", "http://c.test/d/e/f", "http://c.test/x"}
	for _, from := range urls {
		for _, to := range urls {
			for _, k := range []extract.Kind{extract.Page, extract.Requisite, extract.Redirect, extract.Sitemap, extract.Speculative} {
				for _, links := range []uint16{0, 1, 9, 60} {
					d := s.Decide(Parent{URL: canon.Parts(from), Hop: salvor.Hop{Links: links}, Class: salvor.ClassPage}, k, canon.Parts(to))
					it := salvor.Item{URL: to, Via: from, Class: d.Class, Hop: d.Hop}
					if got := s.Rank(it).Band; got != d.Band {
						t.Errorf("%v from %s to %s, %d links: offered in %#x, ranked %#x", k, from, to, links, d.Band, got)
					}
					if d.Band <= salvor.BandRobots {
						t.Errorf("%s gates its host", to)
					}
				}
			}
		}
	}
}

// TestBandsFollowValues: more value is never a later band, and a band tells its
// value to a tenth.
func TestBandsFollowValues(t *testing.T) {
	none, _ := CompileValues(ValueRules{})
	last := salvor.Band(0xff)
	for v := minValue; v <= maxValue; v *= 1.01 {
		b := bandWorth(v)
		if b > last || b < firstTier {
			t.Fatalf("%g: %#x after %#x", v, b, last)
		}
		if back := none.BandValue(b); b != bandWorth(1)-1 && math.Abs(back/v-1) > .1 {
			t.Errorf("%g is in %#x, which says %g", v, b, back)
		}
		last = b
	}
}

func TestRecipes(t *testing.T) {
	for _, r := range Recipes() {
		if r.Name == "" || r.About == "" || len(r.Rules) == 0 {
			t.Errorf("%+v", r)
		}
		if _, err := CompileValues(ValueRules{Rules: r.Rules}); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
	}
	if _, err := FindRecipe("none"); salvor.ClassOf(err) != salvor.Invalid || !strings.Contains(salvor.HintOf(err), "text-first") {
		t.Error(err)
	}
}

func TestSeedValuesAreCollected(t *testing.T) {
	seeds := []string{"http://a.test/x/1", "http://a.test/x/2", "http://b.test/", "http://a.test/"}
	values := []float64{5, 5, 0, 9}
	got := SeedValues(seeds, func(i int) float64 { return values[i] })
	want := []SeedValue{{9, []string{"http://a.test/"}}, {5, []string{"http://a.test/x/"}}}
	if !slices.EqualFunc(got, want, func(a, b SeedValue) bool { return a.Value == b.Value && slices.Equal(a.Seeds, b.Seeds) }) {
		t.Errorf("%v", got)
	}
}

// FuzzValueRule: whatever a person writes, it is a rule that gives a band between
// what gates a host and the end, or an error with a remedy.
func FuzzValueRule(f *testing.F) {
	for _, s := range []string{"/t0/ 10", "first 10 2", "host:*.a.test kind:image .5", "( 1", "host: 1", "kind:x 1", "", "a 1e9", "a NaN", "first 1", "host:[::1] 2"} {
		f.Add(s, "http://a.test/t0/x.jpg")
	}
	f.Fuzz(func(t *testing.T, text, url string) {
		tiers, err := CompileValues(ValueRules{Rules: []ValueRule{{Text: text}}})
		if err != nil {
			if salvor.ClassOf(err) != salvor.Invalid || salvor.HintOf(err) == "" {
				t.Fatalf("%q: %v (%s)", text, err, salvor.HintOf(err))
			}
			return
		}
		u, err := canon.Parse(url)
		if err != nil {
			return
		}
		for c := salvor.ClassSeed; c <= salvor.ClassSpeculative; c++ {
			w := tiers.Of(u, u, c, salvor.Hop{Links: 3})
			if c != salvor.ClassRobots && w.Band <= salvor.BandRobots || !(w.Value > 0) {
				t.Fatalf("%q, %v: %+v", text, c, w)
			}
		}
	})
}
