package drill

import (
	"reflect"
	"testing"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/drill/platform"
)

// TestCatalogue: what ships can be played, leaves something to choose, and is the
// same each time.
func TestCatalogue(t *testing.T) {
	if len(Names()) < 12 {
		t.Errorf("%d scenarios ship", len(Names()))
	}
	for _, name := range Names() {
		s, err := Find(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if s.About == "" || len(s.About) > 80 {
			t.Errorf("%s is about %q", name, s.About)
		}
		work := 0.0
		for _, x := range s.Sites {
			end := x.Manner.Death
			if end == 0 {
				end = s.Length
			}
			if work += min(float64(x.Pages), x.Manner.Rate*(end-x.Notices[0].At).Seconds()); end <= x.Notices[0].At || end > s.Length {
				t.Errorf("%s: %s dies at %s", name, x.Name, end)
			}
		}
		if load := work / (s.Capacity * s.Length.Seconds()); load < 1 || load > 3 {
			t.Errorf("%s: the work is %.2f of what can be done", name, load)
		}
		if again, err := Find(name); err != nil || !reflect.DeepEqual(s, again) {
			t.Errorf("%s is not the same again: %v", name, err)
		}
	}
	if _, err := Find("none"); salvor.ClassOf(err) != salvor.NotFound {
		t.Errorf("%v", err)
	}
}

func TestHeard(t *testing.T) {
	s := time.Second
	x := Site{Notices: []Notice{{5 * s, 60 * s}, {20 * s, 30 * s}}}
	for at, want := range map[time.Duration]time.Duration{0: -1, 5 * s: 60 * s, 19 * s: 60 * s, 20 * s: 30 * s} {
		got, ok := x.heard(at)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("at %s: %s, want %s", at, got, want)
		}
	}
}

func TestScenarioCheck(t *testing.T) {
	good := func() Scenario {
		return Scenario{Length: 1, Capacity: 1, Sites: []Site{{Spec: platform.Spec{Pages: 1}, Notices: []Notice{{0, 0}}}}}
	}
	s := good()
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*Scenario){
		"no time":     func(s *Scenario) { s.Length = 0 },
		"no capacity": func(s *Scenario) { s.Capacity = 0 },
		"no sites":    func(s *Scenario) { s.Sites = nil },
		"no pages":    func(s *Scenario) { s.Sites[0].Pages = 0 },
		"no notice":   func(s *Scenario) { s.Sites[0].Notices = nil },
		"no order":    func(s *Scenario) { s.Sites[0].Notices = []Notice{{5, 0}, {4, 0}} },
	} {
		s := good()
		spoil(&s)
		if err := s.Check(); salvor.ClassOf(err) != salvor.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSlots(t *testing.T) {
	for _, c := range []struct {
		capacity float64
		workers  int
		slots    int
		latency  time.Duration
	}{
		{60, 3, leastSlots, 400*time.Millisecond - beside},
		{2000, 2, 101, 101*time.Millisecond - beside},
	} {
		if n, d := slots(c.capacity, c.workers); n != c.slots || d != c.latency {
			t.Errorf("%g requests a second of %d workers: %d connections, answers take %s", c.capacity, c.workers, n, d)
		}
	}
}

// TestScaled keeps the shape, and leaves the original alone.
func TestScaled(t *testing.T) {
	s := time.Second
	was := Scenario{Length: 100 * s, Capacity: 10, Sites: []Site{{
		Spec: platform.Spec{Pages: 1000, Manner: platform.Conduct{
			Rate: 4, Death: 50 * s, Tail: platform.Tail{Share: .1, Latency: s}, Changes: []platform.Change{{At: 20 * s, Rate: 1}},
			Storms: []platform.Storm{{From: 10 * s, To: 30 * s}}, Ban: platform.Ban{After: 9, For: 20 * s},
		}},
		Notices: []Notice{{10 * s, 90 * s}, {30 * s, 50 * s}},
	}}}
	got := was.Scaled(20*s, 30)
	x, m := got.Sites[0], got.Sites[0].Manner
	if got.Length != 20*s || got.Capacity != 30 || x.Pages != 600 || m.Rate != 12 || m.Death != 10*s || m.Tail.Latency != s ||
		m.Changes[0] != (platform.Change{At: 4 * s, Rate: 3}) || m.Storms[0] != (platform.Storm{From: 2 * s, To: 6 * s}) || m.Ban.For != 4*s || m.Ban.After != 9 ||
		x.Notices[0] != (Notice{2 * s, 18 * s}) || x.Notices[1] != (Notice{6 * s, 10 * s}) {
		t.Errorf("%+v", got)
	}
	if o := was.Sites[0]; o.Pages != 1000 || o.Notices[1].At != 30*s || o.Manner.Changes[0].Rate != 1 || o.Manner.Storms[0].To != 30*s {
		t.Errorf("the original became %+v", o)
	}
}
