package drill

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"salvor/coordinator/plan/sim"
)

// TestSimulated plays what ships, under all policies: the golden file is what
// each saves of what was possible.
func TestSimulated(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s", "")
	for _, p := range sim.Policies {
		fmt.Fprintf(&b, "%13s", p.Name)
	}
	for _, name := range Names() {
		s, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Simulate(s, 3, sim.Policies)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\n%-12s", name)
		for _, o := range r.Results {
			if o.Value > r.Possible*(1+1e-6) {
				t.Errorf("%s: %s saves %g of %g", name, o.Policy, o.Value, r.Possible)
			}
			fmt.Fprintf(&b, "%13.3f", o.Value/r.Possible)
		}
	}
	const golden = "testdata/simulated.txt"
	got := b.String() + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("it is not %s (-update writes it anew):\n%s", golden, got)
	}
}

// TestGrown makes thousands of sites that are not all the same, with as much to
// do for each worker.
func TestGrown(t *testing.T) {
	s, err := Find("cdn")
	if err != nil {
		t.Fatal(err)
	}
	g := s.Grown(1200)
	if len(g.Sites) != 1200 || g.Capacity != 100*s.Capacity || g.Check() != nil {
		t.Errorf("%d sites, %g requests a second: %v", len(g.Sites), g.Capacity, g.Check())
	}
	names := map[string]bool{}
	for _, x := range g.Sites {
		names[x.Name] = true
	}
	if len(names) != 1200 || g.Sites[12].Pages == s.Sites[0].Pages {
		t.Error("the sites are copies of each other")
	}
	if n := len(g.World(3).Pools); n != 100 {
		t.Errorf("%d sites share each limit", 1200/n)
	}
}

func TestCapacityFalls(t *testing.T) {
	s := Scenario{Capacity: 90, Length: time.Minute, Lost: []time.Duration{10 * time.Second, 20 * time.Second}}
	got := s.capacity(3)
	if len(got) != 3 || got[1].Rate != 60 || got[2].Rate != 30 || got[2].From != 20 {
		t.Errorf("%v", got)
	}
}

// TestDocument: docs/deadline.md has the table of the scenarios as it is.
func TestDocument(t *testing.T) {
	doc, err := os.ReadFile("../../../../docs/deadline.md")
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("testdata/simulated.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), string(table)) {
		t.Error("docs/deadline.md has another table than testdata/simulated.txt")
	}
}
