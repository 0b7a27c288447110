package platform

import (
	"math"
	"strings"
	"testing"
)

func mixed(pages int) Spec {
	return Spec{Name: "forum", Pages: pages, Tiers: []Tier{{.1, 10}, {.3, 3}, {.6, 1}}, Media: .4, API: .1, Listed: true}
}

// TestReachable walks from the front page: each resource is linked once, and
// found again by its path.
func TestReachable(t *testing.T) {
	for _, n := range []int{1, 2, 24, 25, 26, 27, 100, 1000, 5003} {
		c := NewContent(mixed(n), 7)
		linked := make([]int, n)
		linked[0] = 1
		for i := range n {
			for _, k := range c.Links(i) {
				linked[k]++
				if body, _ := c.Body(i); !strings.Contains(string(body), `"`+c.Path(k)+`"`) {
					t.Errorf("%d pages: %s does not link to %s", n, c.Path(i), c.Path(k))
				}
			}
			if got, ok := c.Index(c.Path(i)); !ok || got != i {
				t.Errorf("%d pages: %s is found as %d, %v, want %d", n, c.Path(i), got, ok, i)
			}
		}
		for i, k := range linked {
			if k != 1 {
				t.Errorf("%d pages: %d links lead to %s", n, k, c.Path(i))
			}
		}
	}
}

// TestTiers counts what each tier has.
func TestTiers(t *testing.T) {
	c := NewContent(mixed(1000), 7)
	tiers := make([]int, 3)
	for i := range c.Len() {
		tiers[c.Tier(i)]++
	}
	if tiers[0] != 100 || tiers[1] != 300 || tiers[2] != 600 {
		t.Errorf("tiers of %v, want 100, 300 and 600", tiers)
	}
	if v := c.Total(); v != 100*10+300*3+600 {
		t.Errorf("all is worth %g", v)
	}
	for i := range c.lists {
		if c.Tier(i) != 0 {
			t.Errorf("listing %d is in tier %d", i, c.Tier(i))
		}
	}
}

// TestBodies sees that no two resources, of no two platforms, are alike, and
// that the same ones are the same again.
func TestBodies(t *testing.T) {
	a, again := NewContent(mixed(500), 7), NewContent(mixed(500), 7)
	other := mixed(500)
	other.Name = "photos"
	seen, kinds := map[string]string{}, map[kind]int{}
	for _, c := range []*Content{a, NewContent(other, 7), NewContent(mixed(500), 8)} {
		for i := range c.Len() {
			body, _ := c.Body(i)
			if at := seen[string(body)]; at != "" {
				t.Errorf("%s %s has the bytes of %s", c.spec.Name, c.Path(i), at)
			}
			seen[string(body)] = c.spec.Name + c.Path(i)
		}
	}
	for i := range a.Len() {
		if a.Path(i) != again.Path(i) || a.Digest(i) != again.Digest(i) {
			t.Errorf("%s is not the same the second time", a.Path(i))
		}
		kinds[a.kind(i)]++
	}
	if kinds[thumb] != kinds[original] || math.Abs(float64(kinds[thumb]+kinds[original])/480-.4) > .1 || kinds[document] == 0 || kinds[page] == 0 {
		t.Errorf("kinds %v", kinds)
	}
}

func TestNotFound(t *testing.T) {
	c := NewContent(mixed(100), 7)
	for _, p := range []string{"", "/x", "/t0/page/0.html", "/t0/page/100.html", "/t9/page/50.html", "/t0/page/-1.html", "/0", c.Path(50) + "l"} {
		if i, ok := c.Index(p); ok {
			t.Errorf("%q is found as %d", p, i)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, s := range []Spec{
		{Pages: 0},
		{Pages: 5, Tiers: []Tier{{.5, 1}}},
		{Pages: 5, Tiers: []Tier{{1, -1}}},
		{Pages: 5, Media: .6, API: .6},
		{Pages: 60_000, Listed: true},
	} {
		if s.Check() == nil {
			t.Errorf("%+v is served", s)
		}
	}
	s := mixed(5)
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}

func FuzzIndex(f *testing.F) {
	c := NewContent(mixed(300), 7)
	f.Add("/")
	f.Add(c.Path(200))
	f.Add("/t0/list/9.html")
	f.Fuzz(func(t *testing.T, path string) {
		if i, ok := c.Index(path); ok && c.Path(i) != path {
			t.Errorf("%q is found as %d, which is %q", path, i, c.Path(i))
		}
	})
}

func BenchmarkBody(b *testing.B) {
	c := NewContent(mixed(10_000), 7)
	for i := 0; b.Loop(); i++ {
		c.Body(i % c.Len())
	}
}
