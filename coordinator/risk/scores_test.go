package risk_test

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"salvor/coordinator/risk"
)

// told is what was said of a site, and what came.
type told struct {
	p    float64
	lost bool
}

// score sums up forecasts: the mean square error (Brier) and the mean of -ln of
// what was given to what came, which says 0.69 for who always says a half.
type score struct {
	n          int
	brier, log float64
}

func (s *score) add(f told) {
	p := min(max(f.p, 1e-4), 1-1e-4)
	hit, given := 0., 1-p
	if f.lost {
		hit, given = 1, p
	}
	s.n++
	s.brier += (p - hit) * (p - hit)
	s.log -= math.Log(given)
}

func (s score) String() string {
	return fmt.Sprintf("%5d told  Brier %.4f  log %.4f", s.n, s.brier/float64(s.n), s.log/float64(s.n))
}

// forecasts asks a timeline again and again what it would have said, at three
// horizons, as long as the site was there and the end is known.
func (l *timeline) forecasts(t *testing.T) (list []told) {
	slices.SortStableFunc(l.events, func(a, b event) int { return a.at.Compare(b.at) })
	if len(l.events) == 0 || l.step == 0 {
		return nil
	}
	k := known{site: l.site}
	next, last := 0, l.events[len(l.events)-1].at
	for at := l.events[0].at; !at.After(last) && (l.lost.IsZero() || at.Before(l.lost)); at = at.Add(l.step) {
		for ; next < len(l.events) && !l.events[next].at.After(at); next++ {
			if err := l.events[next].apply(&k); err != nil {
				t.Fatal(err)
			}
		}
		a := risk.Assess(risk.Input{Site: k.site, History: k.history, Now: at})
		for _, span := range []time.Duration{day, 7 * day, 30 * day} {
			if by := at.Add(span); !by.After(l.known) {
				list = append(list, told{a.P(risk.Host, span), !l.lost.IsZero() && !by.Before(l.lost)})
			}
		}
	}
	return list
}

// result is the score of a part of the stories.
type result struct {
	name string
	score
}

// results scores every story, every class, and all, in this order, with what was
// told.
func results(t *testing.T) (list []result, every []told) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	classes, all := map[string]*score{}, score{}
	for _, f := range files {
		var l timeline
		datadriven.RunTest(t, f, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "curve" && d.Cmd != "explain" && d.Cmd != "audit" {
				l.run(t, d)
			}
			return d.Expected
		})
		one := score{}
		for _, p := range l.forecasts(t) {
			if classes[l.site.Class] == nil {
				classes[l.site.Class] = &score{}
			}
			classes[l.site.Class].add(p)
			one.add(p)
			all.add(p)
			every = append(every, p)
		}
		if one.n > 0 {
			list = append(list, result{strings.TrimSuffix(filepath.Base(f), ".txt"), one})
		}
	}
	for _, c := range slices.Sorted(maps.Keys(classes)) {
		list = append(list, result{"class " + c, *classes[c]})
	}
	return append(list, result{"all", all}), every
}

// TestScores says how good the model is on the timelines. The bounds are a little
// above what it reaches: they catch a change for the worse. They prove little
// else, as the timelines are few and were known when the weights were guessed.
func TestScores(t *testing.T) {
	list, every := results(t)
	most := map[string][2]float64{"class forum": {.038, .16}, "class ugc": {.045, .22}, "class established": {.048, .22}, "all": {.042, .19}}
	for _, r := range list {
		t.Logf("%-18s %s", r.name, r.score)
		if m, ok := most[r.name]; ok && (r.n < 500 || r.brier/float64(r.n) > m[0] || r.log/float64(r.n) > m[1]) {
			t.Errorf("%s: worse than it was: %s", r.name, r.score)
		}
		delete(most, r.name)
	}
	if len(most) > 0 {
		t.Errorf("nothing told of %v", most)
	}
	for line := range strings.Lines(reliability(every)) {
		t.Log(strings.TrimSpace(line))
	}
}

// always is the score of who always says how often it came.
func always(list []told) result {
	r := result{name: "who always says how often it came"}
	rate := 0.
	for _, f := range list {
		if f.lost {
			rate += 1 / float64(len(list))
		}
	}
	for _, f := range list {
		r.add(told{rate, f.lost})
	}
	return r
}

func scoreTable(t *testing.T) string {
	list, every := results(t)
	out := "| | forecasts | Brier | log |\n|---|---|---|---|\n"
	for _, r := range append(list, always(every)) {
		out += fmt.Sprintf("| %s | %d | %.4f | %.3f |\n", r.name, r.n, r.brier/float64(r.n), r.log/float64(r.n))
	}
	return out + "\n" + reliability(every)
}

// reliability tells how often what was told came, by what was told.
func reliability(list []told) string {
	out := "| told | forecasts | mean | came |\n|---|---|---|---|\n"
	for _, bin := range [][2]float64{{0, .01}, {.01, .05}, {.05, .2}, {.2, .5}, {.5, .8}, {.8, 1.01}} {
		n, sum, came := 0, 0., 0.
		for _, f := range list {
			if f.p >= bin[0] && f.p < bin[1] {
				n++
				sum += f.p
				if f.lost {
					came++
				}
			}
		}
		if n > 0 {
			out += fmt.Sprintf("| %g to %g | %d | %.3f | %.3f |\n", bin[0], min(bin[1], 1), n, sum/float64(n), came/float64(n))
		}
	}
	return out
}
