package drill

import (
	"testing"

	"salvor"
	"salvor/cmd/salvor/internal/drill/platform"
	"salvor/crawler/canon"
	"salvor/crawler/scope"
)

// TestValueRulesKnowThePlatforms: what the cluster is told a resource is worth is
// what the drill counts.
func TestValueRulesKnowThePlatforms(t *testing.T) {
	s, err := Find("brief")
	if err != nil {
		t.Fatal(err)
	}
	var at []*platform.Site
	for range s.Sites {
		at = append(at, &platform.Site{Host: "127.0.0." + string(rune('1'+len(at)))})
	}
	tiers, err := scope.CompileValues(scope.ValueRules{Rules: valueRules(s.Sites, at)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Sites {
		content := platform.NewContent(s.Sites[i].Spec, s.Seed)
		for k := 1; k < s.Sites[i].Pages; k++ {
			u := canon.Parts("http://" + at[i].Host + ":8080" + content.Path(k))
			if w := tiers.Of(u, canon.URL{}, salvor.ClassPage, salvor.Hop{Links: 9}); w.Value < .999*content.Value(k) || w.Value > 1.001*content.Value(k) {
				t.Fatalf("%s is worth %g, the cluster is told %g", u.Href, content.Value(k), w.Value)
			}
		}
	}
	if f := tiers.First(); len(f) != 1 || f[0].Times != 1 {
		t.Errorf("first pages: %v", f)
	}
}
