package risk_test

import (
	"math"
	"testing"
	"time"

	"salvor/coordinator/risk"
)

var (
	noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	day  = 24 * time.Hour
)

// seen is one sight of a signal, some time ago.
type seen struct {
	signal, subject string
	ago             time.Duration
}

func history(t testing.TB, sights ...seen) (h risk.History) {
	t.Helper()
	for _, s := range sights {
		o := risk.Observation{Site: "forum.example", Signal: s.signal, Subject: s.subject, At: noon.Add(-s.ago), Vantage: risk.Vantage{Node: "n1", Network: "AS64500"}}
		if _, err := h.Add(risk.Default(), o); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func site(t testing.TB, class string, deadlines ...risk.Deadline) risk.Site {
	t.Helper()
	s := risk.Site{Name: "forum.example", Class: class}
	var err error
	for _, d := range deadlines {
		d.By = "ada"
		if s, _, err = s.AddDeadline(d); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func inDays(recorded time.Time, days, confidence float64, law string) risk.Deadline {
	return risk.Deadline{At: recorded.Add(time.Duration(days * float64(day))), Confidence: confidence, Law: law, Record: risk.Record{Recorded: recorded}}
}

// TestSanity holds the model to numbers that were worked out apart from it. The
// tolerance is one percent point (a third of numbers below 3), or a twelfth.
func TestSanity(t *testing.T) {
	removed := history(t, seen{risk.SigAppRemoved, "Google Play", 6 * time.Hour}, seen{risk.SigAppRemoved, "App Store", 6 * time.Hour}, seen{risk.SigNews, "", 6 * time.Hour})
	for _, c := range []struct {
		name string
		in   risk.Input
		want map[float64]float64 // percent, by days
	}{
		{"healthy forum", risk.Input{Site: site(t, "forum")}, map[float64]float64{7: .2}},
		{"Parler, app removals", risk.Input{Site: site(t, "ugc"), History: removed}, map[float64]float64{1: 13, 7: 41}},
		{"Parler, the host's letter", risk.Input{Site: site(t, "ugc", inDays(noon, 1.25, .95, "provider")), History: removed}, map[float64]float64{7: 96}},
		{"Yahoo Groups, day 0", risk.Input{Site: site(t, "ugc", inDays(noon, 59, .98, "company"))}, map[float64]float64{30: 6, 90: 91}},
		{"blog, expired and parked", risk.Input{Site: site(t, "forum"), History: history(t, seen{risk.SigExpired, "", 0}, seen{risk.SigParkedNS, "", 0})}, map[float64]float64{7: 9, 90: 53}},
		{"5xx burst, six hours old", risk.Input{Site: site(t, "forum"), History: history(t, seen{risk.SigErrors, "", 6 * time.Hour})}, map[float64]float64{7: 1.2}},
		{"client hold", risk.Input{Site: site(t, "forum"), History: history(t, seen{risk.SigClientHold, "", 0})}, map[float64]float64{1: 15, 7: 49, 30: 57}},
	} {
		c.in.Now = noon
		a := risk.Assess(c.in)
		for days, want := range c.want {
			got := 100 * a.P(risk.Host, time.Duration(days*float64(day)))
			if off := math.Abs(got - want); off > max(min(1, want/3), want/12) {
				t.Errorf("%s: lost within %g d: %.2f %%, want %g %%", c.name, days, got, want)
			}
			t.Logf("%-27s %3g d %6.2f %% (%g %%)", c.name, days, got, want)
		}
	}
}
