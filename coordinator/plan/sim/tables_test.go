package sim

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
)

var (
	update = flag.Bool("update", false, "write the golden files anew")
	long   = flag.Bool("long", false, "play all worlds of the tables, not two of each shape")
)

// board is one table: how much of the optimum each policy saves, of worlds of
// several shapes.
type board struct {
	title    string
	head     func(shape) string
	worlds   uint64 // of each shape
	policies []string
	rows     []shape
}

func byLoad(s shape) string { return fmt.Sprintf("load %.1f", s.load) }

var loads = []float64{.6, 1, 1.5, 3, 6}

func shapes(base shape, loads ...float64) (out []shape) {
	for _, x := range loads {
		base.load = x
		out = append(out, base)
	}
	return out
}

func uncertain() (out []shape) {
	for _, p := range []float64{.2, .5, .8} {
		out = append(out, shapes(shape{hosts: 60, length: 96 * hour, early: p}, 1, 2, 4)...)
	}
	return out
}

var tables = []board{
	{"All announced at the start", byLoad, 12, []string{"fifo", "proportional", "rr", "edf", "llf", "density", "value/time", "flow"},
		shapes(shape{hosts: 80, length: 168 * hour}, loads...)},
	{"Announced over time", byLoad, 12, []string{"fifo", "rr", "edf", "llf", "density", "value/time", "flow"},
		shapes(shape{hosts: 80, length: 168 * hour, late: true}, loads...)},
	{"Dates are uncertain", func(s shape) string { return fmt.Sprintf("early %.1f, load %g", s.early, s.load) }, 24,
		[]string{"rr", "edf", "density", "value*hazard", "flow", "haz"}, uncertain()},
}

// result is what a policy saved of the optimum, over worlds of one shape.
type result struct{ mean, least float64 }

// play has each policy play so many worlds of a shape.
func (b *board) play(t *testing.T, s shape, worlds uint64, optima map[string]optimum) map[string]result {
	out := map[string]result{}
	for seed := range worlds {
		w, name := s.world(seed), s.name(seed)
		best, p := optima[name], w.problem(name)
		if worth := p.worth(); math.Abs(best.worth/worth-1) > 1e-6 {
			t.Fatalf("%s is of another world than %s: write it anew (testdata/optima.py)", optimaFile, name)
		}
		if own := w.Best(); s.early == 0 && math.Abs(own/best.value-1) > 1e-5 {
			t.Errorf("%s: the most that was possible is %.7g, the solver says %.7g", name, own, best.value)
		}
		for _, policy := range b.policies {
			x, share := out[policy], w.Run(find(t, policy)).Value/best.value
			if seed == 0 || share < x.least {
				x.least = share
			}
			x.mean += share / float64(worlds)
			out[policy] = x
		}
	}
	return out
}

func find(t *testing.T, name string) Policy {
	p, ok := Find(name)
	if !ok {
		t.Fatalf("there is no policy %q", name)
	}
	return p
}

func (b *board) text(results []map[string]result) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s\n%-20s", b.title, "")
	for _, p := range b.policies {
		fmt.Fprintf(&s, "%14s", p)
	}
	for i, row := range b.rows {
		fmt.Fprintf(&s, "\n%-20s", b.head(row))
		for _, p := range b.policies {
			r := results[i][p]
			fmt.Fprintf(&s, "%14s", fmt.Sprintf("%.3f (%.2f)", r.mean, r.least))
		}
	}
	return s.String() + "\n"
}

// TestTables plays rescues of many shapes under all policies, and holds what they
// save against the optimum that an LP solver found. Each cell is the mean, and
// the least in brackets. The tables of docs/deadline.md are those of -long.
func TestTables(t *testing.T) {
	optima, golden := readOptima(t), "testdata/brief.txt"
	if *long {
		golden = "testdata/tables.txt"
	}
	var all []string
	for _, b := range tables {
		worlds := uint64(2)
		if *long {
			worlds = b.worlds
		}
		results := make([]map[string]result, len(b.rows))
		for i, s := range b.rows {
			results[i] = b.play(t, s, worlds, optima)
		}
		b.judge(t, results)
		all = append(all, b.text(results))
	}
	compare(t, golden, strings.Join(all, "\n"))
}

// judge holds the planner to what is promised of it.
func (b *board) judge(t *testing.T, results []map[string]result) {
	sum := 0.0
	planner := b.policies[len(b.policies)-1]
	for i, s := range b.rows {
		r := results[i][planner]
		sum += r.mean / float64(len(b.rows))
		if s.early == 0 && !s.late && r.least < 0.999 {
			t.Errorf("%s, %s: %s saves %.4f of the optimum", b.title, b.head(s), planner, r.least)
		}
		if density := results[i]["density"].mean; r.mean < density-noise {
			t.Errorf("%s, %s: %s saves %.4f, and density %.4f", b.title, b.head(s), planner, r.mean, density)
		}
	}
	least := 0.98
	if b.rows[0].early > 0 {
		least = 0.95
	}
	if sum < least {
		t.Errorf("%s: %s saves %.4f of the optimum on average", b.title, planner, sum)
	}
}

// noise is by how much the mean of two dozen drawn worlds is off.
const noise = 0.01

func compare(t *testing.T, golden, got string) {
	t.Helper()
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

// TestDocument: docs/deadline.md has the tables as they are.
func TestDocument(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/deadline.md")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := os.ReadFile("testdata/tables.txt")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), string(tables)) {
		t.Error("docs/deadline.md has other tables than testdata/tables.txt")
	}
}
