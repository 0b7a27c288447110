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

// TestScores says how good the model is on the timelines. The bounds are a little
// above what it reaches: they catch a change for the worse. They prove little
// else, as the timelines are few and were known when the weights were guessed.
func TestScores(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	classes, all, rate := map[string]*score{}, score{}, 0.
	var every []told
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
			if p.lost {
				rate++
			}
		}
		if one.n > 0 {
			t.Logf("%-16s %s", strings.TrimSuffix(filepath.Base(f), ".txt"), one)
		}
	}
	rate /= float64(len(every))
	for _, c := range slices.Sorted(maps.Keys(classes)) {
		t.Logf("%-16s %s", "class "+c, *classes[c])
	}
	t.Logf("%-16s %s", "all", all)
	t.Logf("who always says %.2f: Brier %.4f, log %.4f", rate, rate*(1-rate), -rate*math.Log(rate)-(1-rate)*math.Log(1-rate))
	reliability(t, every)
	n := float64(all.n)
	if all.n < 1000 || all.brier/n > .042 || all.log/n > .19 {
		t.Errorf("worse than it was: %s", all)
	}
	for c, most := range map[string]float64{"forum": .038, "ugc": .045, "established": .048} {
		if s := classes[c]; s == nil || s.brier/float64(s.n) > most {
			t.Errorf("class %s: %v, at most %.3f", c, s, most)
		}
	}
}

// reliability tells how often what was told came, by what was told.
func reliability(t *testing.T, list []told) {
	t.Log("told        n    mean    came")
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
			t.Logf("%.2f-%.2f %5d  %6.3f  %6.3f", bin[0], min(bin[1], 1), n, sum/float64(n), came/float64(n))
		}
	}
}
