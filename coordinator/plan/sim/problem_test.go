package sim

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
)

var problems = flag.String("problems", "", "write the linear programmes of the tables to `FILE`, for testdata/optima.py")

// problem is a linear programme no policy can do better than: what is planned of
// a host is done as far as the host is still there, both in what it is worth and
// in what it takes of the workers.
type problem struct {
	Name     string        `json:"name"`
	Capacity []float64     `json:"capacity"` // requests by interval
	Hosts    []problemHost `json:"hosts"`
}

type problemHost struct {
	Value float64   `json:"value"`
	Left  float64   `json:"left"`
	Most  float64   `json:"most"`  // requests an interval
	There []float64 `json:"there"` // by interval
}

func (w *World) problem(name string) problem {
	p := problem{Name: name}
	steps := int(math.Round(w.Length / w.Period))
	for range steps {
		p.Capacity = append(p.Capacity, w.Capacity[0].Rate*w.Period)
	}
	for i := range w.Hosts {
		h := &w.Hosts[i]
		x := problemHost{Value: h.Tiers[0].Value, Left: h.Tiers[0].Left, Most: h.Rates[0].Rate * w.Period}
		for k := range steps {
			x.There = append(x.There, h.chance(float64(k)*w.Period, float64(k+1)*w.Period)/w.Period)
		}
		p.Hosts = append(p.Hosts, x)
	}
	return p
}

// chance is for how long of a time people know of the host and it is there, on
// average.
func (h *Host) chance(from, to float64) float64 {
	from, to = max(from, h.News[0].At), min(to, h.News[0].Deadline)
	switch {
	case to <= from:
		return 0
	case h.Hazard == 0:
		return to - from
	}
	return (math.Exp(-h.Hazard*from) - math.Exp(-h.Hazard*to)) / h.Hazard
}

// worth is all there is: whether a problem is the one that was solved.
func (p *problem) worth() (v float64) {
	for _, h := range p.Hosts {
		for _, s := range h.There {
			v += h.Value * h.Left * s
		}
	}
	return v
}

const optimaFile = "testdata/optima.txt"

// optima are what an LP solver found to be the most, by name; worth tells that it
// solved the same.
type optimum struct{ value, worth float64 }

func readOptima(t *testing.T) map[string]optimum {
	t.Helper()
	b, err := os.ReadFile(optimaFile)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]optimum{}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] == "#" {
			continue
		}
		v, err := strconv.ParseFloat(f[1], 64)
		w, werr := strconv.ParseFloat(f[2], 64)
		if err != nil || werr != nil {
			t.Fatalf("%s: %q", optimaFile, line)
		}
		out[f[0]] = optimum{v, w}
	}
	return out
}

// TestProblems writes what testdata/optima.py solves.
func TestProblems(t *testing.T) {
	if *problems == "" {
		t.Skip("-args -problems FILE writes them")
	}
	f, err := os.Create(*problems)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e := json.NewEncoder(f)
	for _, x := range tables {
		for _, row := range x.rows {
			for seed := range x.worlds {
				if err := e.Encode(row.world(seed).problem(row.name(seed))); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func (s shape) name(seed uint64) string {
	return fmt.Sprintf("%d/%v/%g/%g/%d", s.hosts, s.late, s.early, s.load, seed)
}
