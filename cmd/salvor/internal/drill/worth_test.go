package drill

import (
	"strings"
	"testing"

	"salvor/cmd/salvor/internal/drill/platform"
)

// TestWorths: the rules say of every resource what it is worth.
func TestWorths(t *testing.T) {
	s := platform.Spec{Name: "a", Pages: 500, Tiers: tiers(2), Media: .3, API: .3}
	c := platform.NewContent(s, 1)
	rules := Worths(&s)
	for i := range c.Len() {
		got := -1.0
		for _, r := range rules {
			if prefix, all := strings.CutSuffix(r.Path, "*"); c.Path(i) == r.Path || all && strings.HasPrefix(c.Path(i), prefix) {
				got = r.Times
				break
			}
		}
		if got != c.Value(i) {
			t.Errorf("%s is worth %g by the rules, and %g", c.Path(i), got, c.Value(i))
		}
	}
}
